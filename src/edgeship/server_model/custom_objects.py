"""The source of a model's custom objects, which are part of the model."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from pathlib import Path

from edgeship.errors import InputError
from edgeship.storage import digest


def custom_digest(modules: str | None) -> str | None:
    """The digest of the sources of the custom objects' top-level packages: they are part of the model."""
    names = (modules or "").replace(",", " ").split()
    return digest.of_json([_source_digest(name) for name in names]) if names else None


def _source_digest(module: str) -> str:
    top = module.removesuffix(".py").replace("/", ".").split(".", maxsplit=1)[0]
    places = [Path.cwd() / top, Path.cwd() / f"{top}.py"]
    with contextlib.suppress(ImportError, ValueError):
        spec = find_spec(top)
        if spec and spec.origin:  # an installed one comes first, as in the import itself
            places.insert(0, Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin))
    place = next((place for place in places if place.exists()), None)
    if place is None:
        raise InputError(f"--custom-objects {module}: no module '{top}' in this folder or installed")
    sources = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return digest.of_json({path.relative_to(place.parent).as_posix(): digest.of_path(path) for path in sources})

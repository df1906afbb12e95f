"""Content digests: sha256 of files, folders and JSON values."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from edgeship import untrusted
from edgeship.errors import InputError
from edgeship.types import to_json

# What edgeship is written in: Python, JavaScript for Node, a plugin in C, and what a device's known outputs are.
SOURCES = (".py", ".mjs", ".c", ".npz")
STAGES = ("train", "optimize", "convert", "runtimes", "benchmarks")
SMALL = 1 << 14  # bytes of what is digested in one go
# What no step of a run executes; pages are among it, because steps in a browser name them in their keys as built.
NOT_RUN = (
    *("api", "cli", "client", "data_checks", "demo", "model_registry", "page", "pipeline/rebuild", "serving"),
    *(f"deploy/{part}" for part in ("ai_pack", "bom", "channel", "codegen", "fleet", "signing")),
    *(f"monitoring/{part}" for part in ("drift", "experiments", "inbox", "reports")),
    *(f"learning/{part}" for part in ("labels", "retraining", "samples", "stream")),
    *("runtimes/clients", "runtimes/web"),
)


def of_path(path: Path) -> str:
    """The digest of a regular file (sha256 of its content), or of a folder (`of_tree`); a link at `path` itself is followed.

    Raises InputError for what is neither, and for a link, a pipe or a device anywhere below: what lies behind a link may
    change without a trace.
    """
    if not path.is_dir():
        with untrusted.regular_file(path, links=True).open("rb") as stream:
            head = stream.read(SMALL)  # most files end here; what digests a stream takes a buffer of 256 KB for each
            if len(head) < SMALL:
                return hashlib.sha256(head).hexdigest()
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()
    return of_tree(
        of_files(path), (folder.relative_to(path).as_posix() for folder in path.rglob("*") if folder.is_dir())
    )


def of_files(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, by relative path. Raises InputError as `of_path`."""
    return {name: of_path(file) for name, file in untrusted.tree_files(folder).items()}


def of_module(module: str, where: str = "") -> str:
    """The digest of the sources of a module's top-level package, installed or in the working folder; nothing is imported.

    Raises InputError, which begins with `where`, for a module that is not there.
    """
    top = module.removesuffix(".py").replace("/", ".").split(".", maxsplit=1)[0]
    places = [Path.cwd() / top, Path.cwd() / f"{top}.py"]
    with contextlib.suppress(ImportError, ValueError):
        spec = find_spec(top)
        if spec and spec.origin:  # an installed one comes first, as in the import itself
            places.insert(0, Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin))
    place = next((place for place in places if place.exists()), None)
    if place is None:
        raise InputError(f"{where}{module}: no module '{top}' in this folder or installed")
    sources = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return of_json({path.relative_to(place.parent).as_posix(): of_path(path) for path in sources})


@contextlib.contextmanager
def check_unchanged(path: Path, digest: str) -> Iterator[None]:
    """Inside, the file or folder is read by its name. Raises InputError where it is then another than that digest is of."""
    yield
    if of_path(path) != digest:
        raise changed_error(path)


def changed_error(path: Path) -> InputError:
    """The error for a file that is not what it was when it was first looked at."""
    return InputError(f"{untrusted.printable(path)}: was changed while it was read; run the command again")


def of_tree(files: Mapping[str, str], folders: Iterable[str] = ()) -> str:
    """The digest of a folder that holds these files (digest by relative path) and folders, empty ones too.

    Of another family than a file's, so that no file has it.
    """
    parents = (parent.as_posix() for name in files for parent in PurePosixPath(name).parents)
    content = {"files": dict(files), "folders": sorted({*folders, *parents} - {"."})}
    text = json.dumps(content, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=32, person=b"edgeship folder").hexdigest()


def of_json(value: Any) -> str:
    """The digest of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True, allow_nan=False).encode()).hexdigest()


@cache
def of_code(stages: tuple[str, ...] = STAGES, root: Path = Path(__file__).parents[1]) -> str:
    """The digest of the sources of these stages and of the ground that all share, so that a changed program never meets
    old results. `root` is edgeship's folder.
    """  # noqa: D205  # one sentence
    others = {*STAGES} - {*stages}
    names = [path.name for path in root.iterdir() if path.is_file()]
    # One by one: some are links, which a walk does not follow.
    for folder in (path for path in root.iterdir() if path.is_dir() and path.name not in others):
        for place, below, files in os.walk(folder):
            inside = Path(place).relative_to(root).as_posix()
            below[:] = (name for name in below if _is_code_of_run(f"{inside}/{name}"))
            names += (f"{inside}/{name}" for name in files)
    sources = (name for name in names if name.endswith(SOURCES) and _is_code_of_run(name))
    return of_json({name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in sources})


def _is_code_of_run(name: str) -> bool:
    return name.rpartition("/")[2] not in ("node_modules", "__pycache__") and not f"{name}/".startswith(
        tuple(f"{folder}/" for folder in NOT_RUN)
    )

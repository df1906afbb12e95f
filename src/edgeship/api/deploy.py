"""What brings a judged bundle into an app."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import check_outside_of_bundles, list_names


def write_clients(
    bundle: AnyBundle, out: AnyPath, *, languages: Sequence[str], artifact: str | None = None
) -> tuple[Path, ...]:
    """Write client code for one artifact into `out`/<language> and return these folders.

    Each holds the model, its goldens and a self-test, and needs no edgeship. `artifact`: an id (default: `tflite/mobile`, else
    a recommended `.tflite`, else the first). Raises InputError for an unknown language, a bundle without raw goldens, a model
    that clients cannot feed, and a folder that holds something else.
    """
    from edgeship.deploy.codegen.generate import write_clients as write

    names = list_names(languages, "languages")
    source = open_bundle(bundle)
    check_outside_of_bundles(Path(out) / "client")
    return tuple(write(source, names, Path(out), artifact))

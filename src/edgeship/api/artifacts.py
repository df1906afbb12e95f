"""Single model files: what they hold, and sessions that run them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeship.bundle.receipt import Receipt
    from edgeship.deploy.contract.summary import ContractLine
    from edgeship.runtimes.session import Session
    from edgeship.types import Artifact


def inspect_model(path: str | os.PathLike[str]) -> dict[str, Receipt]:
    """The receipt of a `.tflite`, `.onnx` or TF.js model, or of every artifact of a bundle, by name.

    Raises InputError where the file is not a whole artifact.
    """
    from edgeship.pipeline.inspection import read_receipts

    return read_receipts(Path(path))


def summarize_contract(path: str | os.PathLike[str]) -> tuple[ContractLine, ...]:
    """What a bundle's contract says to an app, in lines; none for a single artifact, or a bundle of an earlier version."""
    from edgeship.deploy.contract.summary import read_summary

    return read_summary(Path(path))


def find_damage(path: str | os.PathLike[str]) -> str:
    """Why a bundle is not as its manifest says (a file was changed, is missing, or was added); empty where it is, or is none."""
    from edgeship.pipeline import inspection

    return inspection.find_damage(Path(path))


def open_session(
    model: Artifact | str | os.PathLike[str], runtime: str | None = None, *, threads: int | None = 1
) -> Session:
    """A model, opened in a process of its own that a `with` block ends; `session.run({"image": images})` runs it.

    `model` is an artifact of a bundle, or the path of a `.tflite`, `.onnx` or TF.js model, or with `runtime="keras"` of a
    server model. `runtime` is by default the usual one of its format; `threads` None means one per core.
    `run` takes and returns real numbers, arrays by name, samples along the first axis.
    Raises InputError for an unknown runtime or a missing file, MissingDependencyError where the runtime is not here,
    ProcessError where it cannot load the model.
    """
    from edgeship.convert.receipts.receipt import format_of
    from edgeship.runtimes import registry, session
    from edgeship.types import Artifact

    path = model.path if isinstance(model, Artifact) else Path(model)
    if runtime is None:
        kind = model.format if isinstance(model, Artifact) else format_of(path)
        runtime = registry.for_format(kind)[0].name
    return session.open_session(runtime, path, threads=threads)

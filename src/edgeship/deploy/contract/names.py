"""What a contract and its classes are called. Light: a cached `ship` imports no more of the contract than this and `file`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeship.errors import InputError, unknown_name_error
from edgeship.settings.outputs import OutputForm
from edgeship.types import TensorSpec
from edgeship.untrusted import printable

PLAIN_NAMES = ("model", "server")  # of a model's file, which say nothing of it
LONGEST_SLUG = 64
SERVER = "server"  # whose output a raw golden's file has, where it is no artifact's


def name_contract(model: Path) -> str:
    """What the contract of a model at that path is called: the name of its file, or its folder's where that says nothing."""
    path = model.absolute()
    stem = path.parent.name if path.stem.lower() in PLAIN_NAMES else path.stem
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    return slug[:LONGEST_SLUG].strip("-") or "model"


def class_counts(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """How many labels an output of that shape (batch first) may have: one a class, and two for a single score."""
    last = shape[-1] if len(shape) > 1 else 1
    return () if last is None else (1, 2) if last == 1 else (last,)


def check_labels(labels: Sequence[str], outputs: Sequence[TensorSpec], chosen: str | None, source: str) -> None:
    """Raise InputError where the names of classes fit no output, or not the `chosen` one. `source` is the configuration."""
    asked = [spec for spec in outputs if chosen in (None, spec.name)]
    known = [spec for spec in asked if class_counts(spec.shape)]  # else nobody knows how many classes there are
    if not labels or len(known) < len(asked) or any(len(labels) in class_counts(spec.shape) for spec in asked):
        return
    counts = ", ".join(f"'{spec.name}' gives {max(class_counts(spec.shape))}" for spec in asked)
    problem = f"{len(labels)} labels ([data] labels, or labels.txt), and {counts}"
    raise InputError(f"{source}: {problem}; give one name for each class")


def check_outputs(stated: Mapping[str, OutputForm], outputs: Sequence[TensorSpec], source: str) -> None:
    """Raise InputError where a table of the configuration is of no output, or of one without a row of scores."""
    specs = {spec.name: spec for spec in outputs}
    for name, form in stated.items():
        where = f"{source}, [output.{printable(name)}]"
        if name not in specs:
            raise unknown_name_error("output", name, specs, where)
        if form.threshold is not None and len(specs[name].shape) != 2:
            shape = " x ".join("?" if size is None else str(size) for size in specs[name].shape)
            raise InputError(f"{where}: threshold is for a score a class, and the output is {shape}")

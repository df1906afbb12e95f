"""What `edgeship init` writes of a model's inputs: what the data leaves no doubt about, and as comments what to state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeship.bundle.goldens import pick_samples
from edgeship.data import RepresentativeDataset
from edgeship.deploy.contract.describe import describe_inputs
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.steps import Affine, Invert, Resize
from edgeship.errors import InputError
from edgeship.settings.inputs import KEYS, InputForm
from edgeship.toml_tables import describe_keys, toml_value
from edgeship.types import TensorSpec

LIKELY = {3: "image", 2: "window"}  # by the axes of a sample
HEAD = """\
# What an app has in hand for each input, and what training did to it: contract.json in the bundle says it to apps, and says
# `unknown` of what is not stated. docs/configuration.md has all keys."""


def input_lines(calibration: Path, inputs: tuple[TensorSpec, ...]) -> str:
    """The tables of the inputs, with what `calibration` tells, the data beside the model, if it is there."""
    found: Sequence[ContractInput] = ()
    if calibration.is_file() and not calibration.is_symlink():
        with contextlib.suppress(InputError):  # `ship` says what is wrong with it
            found = describe_inputs(inputs, pick_samples(RepresentativeDataset(calibration), inputs), {})
    described = {item.name: item for item in found}
    return "\n".join([HEAD, *(line for spec in inputs for line in _table_lines(spec, described.get(spec.name)))])


def _table_lines(spec: TensorSpec, item: ContractInput | None) -> Iterator[str]:
    if item is None or item.kind != "image":
        likely = LIKELY.get(len(spec.shape) - 1, "table")
        yield f"# [input.{spec.name}]"
        yield _line("kind", likely, asked=True)
        yield from (_line(key, None, asked=True) for key in KEYS[likely] if key not in ("multiply", "add"))
        return
    yield f"[input.{spec.name}]"
    values = _image_values(item)
    for key in ("kind", *KEYS["image"][:5]):
        yield _line(key, values[key], asked=item.known.get(key) == "unknown")
    for key in ("multiply", "add"):
        yield _line(key, values[key], asked=False)


def _image_values(item: ContractInput) -> dict[str, Any]:
    resize, affine, invert = item.step(Resize), item.step(Affine), item.step(Invert)
    if resize is None or affine is None:
        raise ValueError("a picture is resized and scaled")
    return {
        "kind": "image",
        "colour": item.raw.colour,
        "fit": resize.fit,
        "resampler": resize.resampler,
        "border": resize.border,
        "ground": invert.ground if invert else "any",
        "multiply": affine.multiply[0],
        "add": affine.add[0],
    }


def _line(key: str, value: Any, *, asked: bool) -> str:
    """A key with its value, or an example; a comment where it is `asked`."""
    known = next(item for item in describe_keys(InputForm) if item.name == key)
    line = f"{key} = {toml_value(known.example if value is None else value)}"
    return f"{'# ' if asked else ''}{line:36} # {known.description}"

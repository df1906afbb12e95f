"""What `edgeship init` writes of a model's inputs: what the data leaves no doubt about, and as comments what to state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from edgeship.bundle.goldens import pick_samples
from edgeship.data import RepresentativeDataset
from edgeship.deploy.contract.describe import describe_inputs
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.steps import Affine, Invert, Resize
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.settings import config
from edgeship.settings.inputs import KEYS, InputForm
from edgeship.settings.outputs import OutputForm
from edgeship.toml_tables import describe_keys, toml_key, toml_value
from edgeship.types import TensorSpec, to_json

HEAD = """\
# What an app has in hand for each input, and what training did to it: contract.json in the bundle says it to apps, and says
# `unknown` of what is not stated. docs/configuration.md has all keys."""
WITHOUT_FORM = "# No picture, PCM, window or row has this shape: an app hands over the tensor itself."
CHOICES = ("kind", "colour", "fit", "resampler", "border", "ground")  # whose line says what else they may be
LONGEST_ROW = 256  # a row of more numbers is rather PCM
MOST_SHOWN = 8  # columns that are written out


@dataclass(frozen=True)
class StatedForms:
    """What the training beside the model left of its inputs and outputs, by their names."""

    inputs: Mapping[str, InputForm] = field(default_factory=dict)
    outputs: Mapping[str, OutputForm] = field(default_factory=dict)


NOTHING_STATED = StatedForms()


def read_stated_forms(path: Path) -> StatedForms:
    """The tables `[input.NAME]` and `[output.NAME]` of a file; none where it is not there. Raises InputError for others."""
    if not config.is_usable_file(path):
        return NOTHING_STATED
    settings = config.Config.read(path)
    return StatedForms(settings.input, settings.output)


def output_lines(stated: StatedForms, outputs: tuple[TensorSpec, ...], example: str) -> str:
    """The tables of the outputs that something is stated of; else the `example` of a threshold, as a comment."""
    known = {spec.name: stated.outputs[spec.name] for spec in outputs if spec.name in stated.outputs}
    if not known:
        return f"# [output.{toml_key(outputs[0].name)}]\n# {example}"
    lines = [
        line
        for name, form in known.items()
        for line in (f"[output.{toml_key(name)}]", f"threshold = {toml_value(form.threshold)}")
    ]
    return "\n".join(lines)


def input_lines(calibration: Path, inputs: tuple[TensorSpec, ...], stated: StatedForms = NOTHING_STATED) -> str:
    """The tables of the inputs, with what is stated, or what `calibration` tells, the data beside the model, if it is there."""
    found: Sequence[ContractInput] = ()
    if calibration.is_file() and not calibration.is_symlink():
        with contextlib.suppress(InputError):  # `ship` says what is wrong with it
            found = describe_inputs(inputs, pick_samples(RepresentativeDataset(calibration), inputs), {})
    described = {item.name: item for item in found}
    lines = [HEAD]
    for spec in inputs:
        form = stated.inputs.get(spec.name)
        lines += _stated_lines(spec.name, form) if form else _table_lines(spec, described.get(spec.name))
    return "\n".join(lines)


def _stated_lines(name: str, form: InputForm) -> Iterator[str]:
    yield f"[input.{toml_key(name)}]"
    for key in form.stated:
        value = to_json(getattr(form, key))
        if key == "columns":
            value = [{part: item for part, item in column.items() if item not in (None, [])} for column in value]
            yield from ("columns = [", *(f"    {toml_value(column)}," for column in value), "]")
        else:
            yield f"{key} = {toml_value(value)}"


def _table_lines(spec: TensorSpec, item: ContractInput | None) -> Iterator[str]:
    if item is None or item.kind != "image":
        likely = _likely_kind(spec.shape[1:])
        if likely == "tensor":
            yield WITHOUT_FORM
        yield f"# [input.{spec.name}]"
        examples = {"kind": likely, **_fitting_examples(likely, spec.shape[1:])}
        for key in ("kind", *KEYS[likely]):
            if key not in ("multiply", "add"):
                yield _line(key, examples.get(key), asked=True)
        return
    yield f"[input.{spec.name}]"
    values = _image_values(item)
    for key in ("kind", *KEYS["image"][:5]):
        yield _line(key, values[key], asked=item.known.get(key) == "unknown")
    for key in ("multiply", "add"):
        yield _line(key, values[key], asked=False)


def _likely_kind(shape: Sequence[int | None]) -> str:
    """The kind to ask for, by the axes of a sample."""
    if len(shape) == 3:
        return "image" if shape[2] in (1, 3) else "tensor"
    if len(shape) == 2:
        return "audio" if shape[1] in (1, 2) and _is_long(shape[0]) else "window"
    if len(shape) == 1:
        return "audio" if _is_long(shape[0]) else "table"
    return "table" if not shape else "tensor"


def _is_long(size: int | None) -> bool:
    return size is None or size > LONGEST_ROW


def _fitting_examples(kind: str, shape: Sequence[int | None]) -> Mapping[str, Any]:
    """Examples of keys that fit an input of that shape, where others would be refused or mislead."""
    if kind == "image":
        return {"colour": "grey", "mean": 127.5, "std": 127.5} if shape[2] == 1 else {}
    count = (shape[-1] if shape else 1) or 1
    if kind == "audio":
        return {"channels": count if len(shape) > 1 else 1, "mean": 0.0, "std": 32768.0}
    own: dict[str, Any] = {}
    if kind == "window":
        own = {"rate": 50, "units": ["m/s2"] * (count if len(shape) > 1 else 1)}
    elif kind == "table" and count <= MOST_SHOWN:
        own = {"columns": [{"name": f"column {place}", "kind": "number"} for place in range(count)]}
    return {"mean": 0.0, "std": 1.0, **own}


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
    words = f"{known.words}. " if asked and key in CHOICES else ""
    return f"{'# ' if asked else ''}{line:36} # {words}{known.description}"

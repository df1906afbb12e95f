"""The contract's inputs, of what the configuration states and of what the data leaves no doubt about; the rest is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeship.bundle import preprocessing
from edgeship.bundle.preprocessing import PictureInput
from edgeship.data import Array
from edgeship.deploy.contract.inputs import LAYOUTS, RAW_DTYPES, ContractInput, Known, RawForm, TensorForm
from edgeship.deploy.contract.preprocess import invert_scale
from edgeship.deploy.contract.steps import (
    Affine,
    FlattenAlpha,
    Frame,
    Grey,
    HashWords,
    Invert,
    Lookup,
    Mono,
    Orient,
    Resize,
    Step,
    SwapRedBlue,
)
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import InputForm
from edgeship.types import TensorSpec
from edgeship.untrusted import printable

PCM = 32768.0
GROUNDS = {"dark": 0, "light": 255, "any": 255}  # what lies behind a picture with opacity
OUTSIDE = 0.01  # the share of values that may lie outside of bytes: where pictures were resized they overshoot
BYTE_ERROR = 0.01  # of a byte


@dataclass(frozen=True)
class InputSamples:
    """An input with its samples (n, ...); `real`: they are the user's data and not made up. `where` is its table in a file."""

    spec: TensorSpec
    values: Array
    form: InputForm
    where: str
    real: bool

    def error(self, text: str) -> InputError:
        """The error for a table that cannot be."""
        return InputError(f"{self.where}: {text}")

    def known(self, **inferred: bool) -> dict[str, Known]:
        """How each key is known: stated, or inferred where that is true, or not at all."""
        return {
            name: "stated" if name in self.form.stated else "inferred" if sure else "unknown"
            for name, sure in inferred.items()
        }

    def known_scale(self, sure: bool) -> dict[str, Known]:
        """How `affine` is known."""
        stated = {"multiply", "add", "mean", "std"} & set(self.form.stated)
        return {"affine": "stated" if stated else "inferred" if sure else "unknown"}


def describe_inputs(
    specs: Sequence[TensorSpec],
    samples: Mapping[str, Array],
    stated: Mapping[str, InputForm],
    *,
    source: str = "the configuration",
    real: bool = True,
) -> tuple[ContractInput, ...]:
    """The contract's inputs in the model's order.

    `samples` are the goldens, (n, ...) by name; `stated` are the tables of `source`, the configuration. Raises InputError for a
    table of no input, and for one that does not fit the input or its data.
    """
    for name in stated:
        if name not in samples:
            raise unknown_name_error(
                "input", name, [spec.name for spec in specs], f"{source}, [input.{printable(name)}]"
            )
    pictures = preprocessing.describe_pictures(specs, samples) if real else {}
    described = []
    for spec in specs:
        where = f"{source}, [input.{spec.name}]"
        item = InputSamples(spec, samples[spec.name], stated.get(spec.name, InputForm()), where, real)
        described.append(_describe_input(item, pictures.get(spec.name)))
    return tuple(described)


def _describe_input(item: InputSamples, picture: PictureInput | None) -> ContractInput:
    kind = item.form.kind or ("image" if picture else "tensor")
    known: dict[str, Known] = {"kind": "stated" if item.form.kind else "inferred" if picture else "unknown"}
    if item.form.kind is None and item.form.stated and not picture:
        raise item.error(
            f"{item.form.stated[0]} needs the kind of input beside it: image, audio, window, table or text"
        )
    try:
        if kind == "image":
            # A table that leaves the kind out may hold keys of another one.
            InputForm(**{name: getattr(item.form, name) for name in item.form.stated if name != "kind"}, kind="image")
            return _describe_image(item, picture, known)
        if kind == "audio":
            return _describe_audio(item, known)
        if kind == "window":
            return _describe_window(item, known)
        if kind == "table":
            return _describe_table(item, known)
        if kind == "text":
            return _describe_text(item, known)
        return _assemble(item, kind, (), known, item.spec.shape[1:])
    except ValueError as error:
        raise item.error(printable(error)) from error


def _assemble(
    item: InputSamples,
    kind: str,
    steps: Sequence[Step],
    known: Mapping[str, Known],
    shape: Sequence[int | None],
    **form: object,
) -> ContractInput:
    raw = RawForm(RAW_DTYPES[kind], LAYOUTS[kind], **form)  # type: ignore[arg-type]
    tensor = TensorForm((1, *shape), item.spec.dtype)
    return ContractInput(item.spec.name, kind, raw, tuple(steps), tensor, known)  # type: ignore[arg-type]


def _describe_image(item: InputSamples, picture: PictureInput | None, known: dict[str, Known]) -> ContractInput:
    form, shape = item.form, item.values.shape[1:]
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
        raise item.error(f"an image has height, width and 1 or 3 channels, and the input has the shape {list(shape)}")
    grey = len(shape) == 2 or shape[2] == 1
    if form.colour and (form.colour == "grey") != grey:
        raise item.error(f"colour = {form.colour!r} does not fit the shape {list(shape)}")
    affine = _stated_affine(item, 1 if grey else 3) or (_range_affine(picture.range) if picture else None)
    if affine is None:
        raise item.error(
            "what bytes become is unknown: multiply and add, or mean and std, tell it"
            + (f" (the data's values are {_span(item.values)})" if item.real else "")
        )
    if item.real:
        _check_bytes(item, affine, picture)
    inferred = picture.background if picture else "any"
    ground = form.ground or inferred
    border = form.border if form.border is not None else "rim" if ground == "any" else GROUNDS[ground]
    fit = form.fit or ("contain" if grey else "cover")
    steps: list[Step | None] = [
        Orient(),
        FlattenAlpha(GROUNDS[ground]),
        Grey() if grey else None,
        Invert(ground) if ground != "any" else None,  # type: ignore[arg-type]
        Resize(shape[0], shape[1], fit, form.resampler or "area", border),
        SwapRedBlue() if form.colour == "bgr" else None,
        affine,
    ]
    known |= item.known(colour=grey, fit=False, resampler=False, ground=inferred != "any", border=False)
    known |= item.known_scale(picture is not None)
    return _assemble(
        item, "image", [step for step in steps if step], known, shape,
        colour="grey" if grey else "rgb", alpha=True, orientation="exif",
    )  # fmt: skip


def _range_affine(span: tuple[float, float]) -> Affine:
    return Affine((_float32((span[1] - span[0]) / 255),), (_float32(span[0]),))


def _check_bytes(item: InputSamples, affine: Affine, picture: PictureInput | None) -> None:
    """Raise InputError where the data cannot be bytes behind this affine step."""
    values = invert_scale(affine, item.values[:, :, :, None] if item.values.ndim == 3 else item.values)
    low, high = (_pair(affine, value) for value in (0, 255))
    outside = np.mean((values < -1) | (values > 256))
    fraction = np.abs(values - values.round()).max() if picture else 0.0
    # What was scaled to 0 to 1 and is said to be bytes: pictures that are all of nearly one level are none.
    flat = 0 < np.ptp(values) < preprocessing.LEAST_LEVELS
    if outside > OUTSIDE or fraction > BYTE_ERROR or flat:
        raise item.error(
            f"its numbers make {low} to {high} of bytes, and the data's values are {_span(item.values)}"
            + (f", bytes as {picture.range[0]:g} to {picture.range[1]:g}" if picture else "")
        )


def _pair(affine: Affine, value: int) -> str:
    results = (f"{value * factor + add:.4g}" for factor, add in zip(affine.multiply, affine.add, strict=True))
    return "/".join(dict.fromkeys(results))


def _span(values: Array) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def _describe_audio(item: InputSamples, known: dict[str, Known]) -> ContractInput:
    form, shape = item.form, item.values.shape[1:]
    if len(shape) not in (1, 2):
        raise item.error(f"PCM has the shape (n) or (n, channels), and the input has {list(shape)}")
    if form.rate is None:
        raise item.error("PCM needs its rate, in samples per second, as rate = 16000")
    has, takes = form.channels or 1, shape[1] if len(shape) == 2 else 1
    if takes not in (1, has):
        raise item.error(f"channels = {has} does not fit the shape {list(shape)}")
    affine = _stated_affine(item, takes) or Affine((1 / PCM,), (0.0,))
    values = invert_scale(affine, item.values)
    if item.real and np.abs(values).max(initial=0) > PCM:
        raise item.error(
            f"its numbers make -1 to 1 of PCM or so, and the data's values are {_span(item.values)}: multiply tells which"
        )
    whole = item.real and bool(np.abs(values - values.round()).max(initial=0) < BYTE_ERROR)
    steps: list[Step] = [*([Mono()] if has > takes else []), Frame(shape[0]), affine]
    known |= {**item.known(rate=False), **item.known_scale(whole)}
    return _assemble(item, "audio", steps, known, shape, rate=form.rate, channels=has)


def _describe_window(item: InputSamples, known: dict[str, Known]) -> ContractInput:
    form, shape = item.form, item.spec.shape[1:]
    if not shape:
        raise item.error("a window has the shape (t) or (t, channels), and the input has one number")
    channels = item.values.shape[-1] if len(shape) > 1 else 1
    if form.units and len(form.units) != channels:
        raise item.error(f"{len(form.units)} units do not fit {channels} channels")
    affine = _stated_affine(item, channels) or Affine((1.0,), (0.0,))
    known |= {**item.known(rate=False, units=False), **item.known_scale(False)}
    return _assemble(item, "window", [affine], known, shape, rate=form.rate, units=form.units)


def _describe_table(item: InputSamples, known: dict[str, Known]) -> ContractInput:
    columns, shape = item.form.columns, item.values.shape[1:]
    if not columns:
        raise item.error("a row needs its columns, as columns = [{ name = 'age', kind = 'number' }]")
    if shape not in ((len(columns),), *([()] if len(columns) == 1 else [])):
        raise item.error(f"{len(columns)} columns do not fit the shape {list(shape)}")
    affine = _stated_affine(item, len(columns)) or Affine((1.0,), (0.0,))
    known |= {**item.known(columns=False), **item.known_scale(False)}
    return _assemble(item, "table", [Lookup(), affine], known, shape, columns=columns)


def _describe_text(item: InputSamples, known: dict[str, Known]) -> ContractInput:
    buckets, shape, values = item.form.buckets, item.values.shape[1:], item.values
    if buckets is None:
        raise item.error("a text's words are hashed: into how many ids, as buckets = 4096?")
    if len(shape) != 1:
        raise item.error(f"a text has one id a word, (words,), and the input has the shape {list(shape)}")
    if item.real and ((values < 0) | (values > buckets) | (values != np.rint(values))).any():
        raise item.error(f"buckets = {buckets} makes ids of 0 to {buckets}, and the data's values are {_span(values)}")
    known |= item.known(buckets=False)
    return _assemble(item, "text", [HashWords(shape[0], buckets)], known, shape, column=item.form.column)


def _stated_affine(item: InputSamples, channels: int) -> Affine | None:
    """The affine step of the stated numbers, as float32 has them; None where none is stated."""
    form = item.form
    if form.mean is not None or form.std is not None:
        mean, std = (np.asarray(value, np.float64) for value in (form.mean or 0.0, form.std or 1.0))
        multiply, add = 1 / std, -mean / std
    elif form.multiply is not None or form.add is not None:
        factor = 1.0 if form.multiply is None else form.multiply
        multiply, add = np.asarray(factor, np.float64), np.asarray(form.add or 0.0, np.float64)
    else:
        return None
    for numbers in (multiply, add):
        if numbers.ndim and len(numbers) not in (1, channels):
            raise item.error(f"{len(numbers)} numbers do not fit {channels} channels")
    multiply, add = np.broadcast_arrays(multiply, add)
    return Affine(*(tuple(_float32(value) for value in numbers.reshape(-1)) for numbers in (multiply, add)))


def _float32(value: float) -> float:
    """The nearest float32, which every language reads from its decimal digits."""
    return float(np.float32(value)) + 0.0  # no negative zero

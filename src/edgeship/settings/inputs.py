"""`[input.NAME]` of `edgeship.toml`: what an app has in hand for an input of the model, and what training did to it.

What cannot be read off the model and its data is stated here, and stands in the bundle's contract.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal, get_args

from msgspec import Meta

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.toml_tables import Table
from edgeship.untrusted import printable

InputKind = Literal["image", "audio", "window", "table", "text", "tensor"]
Fit = Literal["contain", "cover", "stretch"]
Resampler = Literal["area", "pil-bilinear", "tf-bilinear"]
Byte = Annotated[int, Meta(ge=0, le=255)]
FLOAT32 = 3.4e38
Float32 = Annotated[float, Meta(ge=-FLOAT32, le=FLOAT32)]
MOST_COLUMNS, MOST_VALUES, LONGEST_TEXT = 4096, 100_000, 1000
MOST_BUCKETS = 1 << 16  # that words are hashed into
Numbers = Float32 | tuple[Float32, ...]
Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
SCALES = ("multiply", "add", "mean", "std")
KEYS: dict[str, tuple[str, ...]] = {
    "image": ("colour", "fit", "resampler", "border", "ground", *SCALES),
    "audio": ("rate", "channels", *SCALES),
    "window": ("rate", "units", *SCALES),
    "table": ("columns", *SCALES),
    "text": ("buckets", "column"),
    "tensor": (),
}
FITS: tuple[str, ...] = get_args(Fit)
RESAMPLERS: tuple[str, ...] = get_args(Resampler)
NUMBERS = "a number, or a list with one a channel"


@dataclass(frozen=True)
class Column:
    """A column of a table: a number, or a category that becomes its place in `values`.

    `unknown`: the number for every other text; without one such a row is refused. `missing`, of a number: what the empty text
    stands for; without one it is refused.
    """

    name: Text
    kind: Literal["number", "category"]
    values: Annotated[tuple[Text, ...], Meta(max_length=MOST_VALUES)] = ()
    unknown: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    missing: Float32 | None = None

    def __post_init__(self) -> None:
        for text in (self.name, *self.values):
            if printable(text) != text:
                raise ValueError(f"{printable(text)[:40]!r} is not printable")
        if (self.kind == "category") != bool(self.values):
            raise ValueError(f"column {self.name}: a category has values, and a number has none")
        if self.kind == "category" and self.missing is not None:
            raise ValueError(f"column {self.name}: of a category the empty text may be one of its values")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"column {self.name}: a value stands there twice")


@dataclass(frozen=True)
class InputForm(Table):
    """What an app has in hand for an input, and what training did to it; None where nobody stated it."""

    kind: Annotated[
        InputKind | None,
        Meta(
            title="image, audio, window, table, text or tensor",
            description="What an app has in hand: a picture, PCM, a window of sensor values, a row, a text, or the tensor.",
            examples=["image"],
        ),
    ] = None
    colour: Annotated[
        Literal["rgb", "bgr", "grey"] | None,
        Meta(title="rgb, bgr or grey", description="The order of the model's channels.", examples=["rgb"]),
    ] = None
    fit: Annotated[
        Fit | None,
        Meta(
            title="contain, cover or stretch",
            description="A picture of another shape is shown whole with a border, cut to shape, or distorted.",
            examples=["cover"],
        ),
    ] = None
    resampler: Annotated[
        Resampler | None,
        Meta(
            title="area, pil-bilinear or tf-bilinear",
            description="How training resized pictures: `area` as cv2.INTER_AREA, `pil-bilinear` as Pillow and torchvision, "
            "`tf-bilinear` as tf.image.resize and Keras' Resizing.",
            examples=["tf-bilinear"],
        ),
    ] = None
    border: Annotated[
        Byte | Literal["rim"] | None,
        Meta(
            title='0 to 255, or "rim"',
            description="What lies beside a picture that is contained; rim: the mean of its outermost pixels.",
            examples=[0],
        ),
    ] = None
    ground: Annotated[
        Literal["dark", "light", "any"] | None,
        Meta(
            title="dark, light or any",
            description="What surrounds the subject in the training data: a picture with the other ground is inverted.",
            examples=["any"],
        ),
    ] = None
    multiply: Annotated[
        Numbers | None,
        Meta(
            title=NUMBERS,
            description="The tensor is value * multiply + add; a picture's values are 0 to 255.",
            examples=[0.00784313725],
        ),
    ] = None
    add: Annotated[Numbers | None, Meta(title=NUMBERS, description="See `multiply`; default: 0.", examples=[-1.0])] = (
        None
    )
    mean: Annotated[
        Numbers | None,
        Meta(
            title=NUMBERS,
            description="In place of `multiply` and `add`: (value - mean) / std.",
            examples=[[123.675, 116.28, 103.53]],
        ),
    ] = None
    std: Annotated[
        Numbers | None, Meta(title=NUMBERS, description="See `mean`; default: 1.", examples=[[58.395, 57.12, 57.375]])
    ] = None
    rate: Annotated[
        Annotated[float, Meta(gt=0, le=1e9)] | None,
        Meta(title="a number above 0", description="Samples per second of PCM or of a window.", examples=[16000]),
    ] = None
    channels: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None,
        Meta(title="a whole number, 1 to 64", description="Channels of PCM; default: 1.", examples=[2]),
    ] = None
    units: Annotated[
        tuple[Text, ...],
        Meta(
            title="a list of strings",
            description="The unit of each channel of a window.",
            examples=[["m/s2", "m/s2", "m/s2"]],
        ),
    ] = ()
    columns: Annotated[
        tuple[Column, ...],
        Meta(
            title="a list of columns: name, kind (number or category), of a category values and unknown, of a number missing",
            description="The columns of a row, in order; a category becomes its place in `values`, no text the number `missing`.",
            examples=[[{"name": "city", "kind": "category", "values": ["Bern", "Genf"], "unknown": 2}]],
            max_length=MOST_COLUMNS,
        ),
    ] = ()
    buckets: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_BUCKETS)] | None,
        Meta(
            title=f"a whole number, 1 to {MOST_BUCKETS}",
            description="Of a text: a word's id is 1 + its hash (FNV-1a) modulo this; what follows the last word is 0.",
            examples=[4096],
        ),
    ] = None
    column: Annotated[
        Text | None,
        Meta(title="a string", description="The column of a table that a text comes from.", examples=["review"]),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind is not None and (
            strange := [name for name in self.stated if name not in (*KEYS[self.kind], "kind")]
        ):
            known = ", ".join(KEYS[self.kind]) or "no further key"
            raise InputError(f"{strange[0]} says nothing of the kind {self.kind}, which has {known}")
        if (self.multiply, self.add) != (None, None) and (self.mean, self.std) != (None, None):
            raise InputError("multiply and add say the same as mean and std: give one of the pairs")
        for name in ("multiply", "std"):
            value = getattr(self, name)
            if value is not None and 0 in (value if isinstance(value, tuple) else (value,)):
                raise InputError(f"{name} = 0 leaves nothing of the values")

    @property
    def stated(self) -> tuple[str, ...]:
        """The keys that have a value."""
        return tuple(item.name for item in fields(self) if getattr(self, item.name) not in (None, ()))

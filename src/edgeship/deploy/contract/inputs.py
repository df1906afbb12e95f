"""An input of the model as a contract has it: what an app has in hand, the steps to the tensor, and what of that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal, TypeVar

from msgspec import Meta

from edgeship import untrusted
from edgeship.deploy.contract.bounds import (
    Shape,
    Text,
    check_different,
    check_file_names,
    check_printable,
)
from edgeship.deploy.contract.steps import (
    Affine,
    FlattenAlpha,
    Frame,
    Grey,
    HashWords,
    Mono,
    Orient,
    Resize,
    Side,
    Step,
    check_steps,
)
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import MOST_COLUMNS, Column, InputKind
from edgeship.settings.inputs import Text as ShortText

T = TypeVar("T")
Known = Literal["stated", "inferred", "unknown"]
RAW_DTYPES = {
    "image": "uint8", "audio": "int16", "window": "float32", "table": "text", "text": "text", "tensor": "float32",
}  # fmt: skip
LAYOUTS = {"image": "HWC", "audio": "TC", "window": "TC", "table": "row", "text": "text", "tensor": "tensor"}


@dataclass(frozen=True)
class RawForm:
    """What an app has in hand: numbers of `dtype`, texts of a row's columns, or one text.

    `colour` is that of the model: pictures of 1, 3 and 4 channels are taken for both. `alpha`: opacity may be a fourth
    channel. `orientation`: "exif" where the picture is as the camera wrote it. `rate` in samples per second, `channels` of PCM,
    `units` one a channel of a window. `column` of a table that a text comes from.
    """

    dtype: Literal["uint8", "int16", "float32", "text"]
    layout: Literal["HWC", "TC", "row", "text", "tensor"]
    colour: Literal["rgb", "grey"] | None = None
    alpha: bool = False
    orientation: Literal["exif"] | None = None
    rate: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    channels: Side | None = None
    units: Annotated[tuple[Text, ...], Meta(max_length=MOST_COLUMNS)] = ()
    columns: Annotated[tuple[Column, ...], Meta(max_length=MOST_COLUMNS)] = ()
    column: ShortText | None = None

    def __post_init__(self) -> None:
        check_printable(*self.units, self.column or "")
        check_different("columns", (column.name for column in self.columns))


@dataclass(frozen=True)
class TensorForm:
    """A model's input for one sample: its shape with batch 1 (None for a dynamic axis), and the dtype that the model takes.

    The steps end in float32 numbers; a client casts them where `dtype` is another.
    """

    shape: Shape
    dtype: Text


@dataclass(frozen=True)
class ContractInput:
    """An input of the model: what an app has, the steps to the tensor, and what of that is `known` and how."""

    name: Text
    kind: InputKind
    raw: RawForm
    steps: Annotated[tuple[Step, ...], Meta(max_length=16)]
    tensor: TensorForm
    known: Annotated[Mapping[str, Known], Meta(max_length=64)] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_file_names(self.name)
        check_printable(*self.known)
        check_steps(self.kind, self.steps)
        untrusted.count_elements(self.tensor.shape, 4, self.name)
        if (self.raw.dtype, self.raw.layout) != (RAW_DTYPES[self.kind], LAYOUTS[self.kind]):
            raise ValueError(
                f"{self.name}: the raw form of {self.kind} is {RAW_DTYPES[self.kind]}, {LAYOUTS[self.kind]}"
            )
        checks = {"image": _check_image, "audio": _check_audio, "table": _check_table, "text": _check_text}
        checks.get(self.kind, _check_affine)(self)

    def step(self, kind: type[T]) -> T | None:
        """The step of that kind."""
        return next((step for step in self.steps if isinstance(step, kind)), None)


def _check_image(item: ContractInput) -> None:
    shape, resize = item.tensor.shape, item.step(Resize)
    channels = 1 if item.step(Grey) else 3
    expected = (1, resize.height, resize.width, channels) if resize else ()
    grey_without_axis = channels == 1 and shape == expected[:3]
    if shape != expected and not grey_without_axis:
        raise ValueError(
            f"{item.name}: the tensor's shape is (1, height, width, channels), here {list(expected)}, not {list(shape)}"
        )
    if (item.raw.colour == "grey") != (channels == 1) or item.raw.colour is None:
        raise ValueError(f"{item.name}: its colour is not that of its {channels} channels")
    if item.raw.alpha != (item.step(FlattenAlpha) is not None):
        raise ValueError(f"{item.name}: opacity is flattened where there may be some, and only there")
    if (item.raw.orientation == "exif") != (item.step(Orient) is not None):
        raise ValueError(f"{item.name}: a picture is turned where its orientation is told, and only there")
    _check_channels(item, channels)


def _check_audio(item: ContractInput) -> None:
    frame, channels = item.step(Frame), item.raw.channels
    if item.raw.rate is None or channels is None or frame is None:
        raise ValueError(f"{item.name}: PCM needs its rate and the number of its channels")
    if item.step(Mono):
        channels = 1
    shape = (1, frame.length, channels)
    if item.tensor.shape != shape and not (channels == 1 and item.tensor.shape == shape[:2]):
        raise ValueError(f"{item.name}: the tensor's shape is {list(shape)}, not {list(item.tensor.shape)}")
    _check_channels(item, channels)


def _check_table(item: ContractInput) -> None:
    columns = len(item.raw.columns)
    if not columns or item.tensor.shape not in ((1, columns), *([(1,)] if columns == 1 else [])):
        raise ValueError(f"{item.name}: a row has one number a column, {columns}, not {list(item.tensor.shape)}")
    _check_channels(item, columns)


def _check_text(item: ContractInput) -> None:
    step = item.step(HashWords)
    if step is None or item.tensor.shape != (1, step.words):
        raise ValueError(f"{item.name}: a text has one id a word, not {list(item.tensor.shape)}")


def _check_affine(item: ContractInput) -> None:
    if len(item.tensor.shape) > 1 and item.tensor.shape[-1] is not None:
        _check_channels(item, item.tensor.shape[-1])
    if item.raw.units and len(item.raw.units) != item.tensor.shape[-1]:
        raise ValueError(f"{item.name}: a window has one unit a channel")


def _check_channels(item: ContractInput, channels: int) -> None:
    affine = item.step(Affine)
    if affine and len(affine.multiply) not in (1, channels):
        raise ValueError(f"{item.name}: {len(affine.multiply)} numbers multiply {channels} channels")
    if affine and not all(map(math.isfinite, (*affine.multiply, *affine.add))):
        raise ValueError(f"{item.name}: its numbers are not finite")

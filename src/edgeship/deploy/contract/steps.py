"""The steps from what an app has in hand to a model's input. Their arithmetic is that of `preprocess`, the reference.

Structs of msgspec and no dataclasses, since it tells the members of a union apart by their tag, `step`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgeship.settings.inputs import MOST_BUCKETS, Byte, Fit, Float32, Resampler

LONGEST_SIDE = 65_535  # of a picture, as of a JPEG's
MOST_CHANNELS = 4096  # of what a step has numbers for, one each
MOST_WORDS = 65_536
Side = Annotated[int, Meta(ge=1, le=LONGEST_SIDE)]
Factors = Annotated[tuple[Float32, ...], Meta(min_length=1, max_length=MOST_CHANNELS)]
WEIGHTS = (299, 587, 114)  # red, green and blue of grey, in thousandths (ITU-R BT.601)


class Orient(msgspec.Struct, frozen=True, tag_field="step", tag="orient"):
    """Turn and mirror the picture as its EXIF orientation says, 1 to 8."""


class FlattenAlpha(msgspec.Struct, frozen=True, tag_field="step", tag="flatten_alpha"):
    """Lay a picture with opacity over a `ground`; one without stays as it is."""

    ground: Byte


class Grey(msgspec.Struct, frozen=True, tag_field="step", tag="grey"):
    """One channel of three, by their `weights` in thousandths; one channel stays as it is."""

    weights: tuple[Side, Side, Side] = WEIGHTS

    def __post_init__(self) -> None:
        if sum(self.weights) != 1000:
            raise ValueError(f"the weights of grey are thousandths and add up to 1000, not {sum(self.weights)}")


class Invert(msgspec.Struct, frozen=True, tag_field="step", tag="invert"):
    """Invert a picture whose outermost pixels are not as the `ground` of the training data."""

    ground: Literal["dark", "light"]


class Resize(msgspec.Struct, frozen=True, tag_field="step", tag="resize"):
    """Bring the picture to `height` x `width`; `border`: what is beside it, "rim" for the mean of its outermost pixels."""

    height: Side
    width: Side
    fit: Fit
    resampler: Resampler
    border: Byte | Literal["rim"] = 0


class SwapRedBlue(msgspec.Struct, frozen=True, tag_field="step", tag="swap_red_blue"):
    """Red and blue change places."""


class Affine(msgspec.Struct, frozen=True, tag_field="step", tag="affine"):
    """value * multiply + add in float32, each rounded; one number of each, or one a channel (the last axis)."""

    multiply: Factors
    add: Factors

    def __post_init__(self) -> None:
        if len(self.multiply) != len(self.add):
            raise ValueError(f"{len(self.multiply)} numbers multiply and {len(self.add)} are added")


class Mono(msgspec.Struct, frozen=True, tag_field="step", tag="mono"):
    """The rounded mean of the channels of PCM."""


class Frame(msgspec.Struct, frozen=True, tag_field="step", tag="frame"):
    """The first `length` samples; zeros after the end."""

    length: Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Lookup(msgspec.Struct, frozen=True, tag_field="step", tag="lookup"):
    """A row of texts and numbers as numbers: a category becomes its place in the column's `values`."""


class HashWords(msgspec.Struct, frozen=True, tag_field="step", tag="hash_words"):
    """The ids of a text's first `words` words, 1 + hash % `buckets`; zeros after the end (see `arithmetic.words`)."""

    words: Annotated[int, Meta(ge=1, le=MOST_WORDS)]
    buckets: Annotated[int, Meta(ge=1, le=MOST_BUCKETS)]


Step = Orient | FlattenAlpha | Grey | Invert | Resize | SwapRedBlue | Affine | Mono | Frame | Lookup | HashWords
# By kind of input: the steps that it may have, in their order, each at most once; and those that it must have.
ORDER: dict[str, tuple[type, ...]] = {
    "image": (Orient, FlattenAlpha, Grey, Invert, Resize, SwapRedBlue, Affine),
    "audio": (Mono, Frame, Affine),
    "window": (Affine,),
    "table": (Lookup, Affine),
    "text": (HashWords,),
    "tensor": (),
}
NEEDED: dict[str, tuple[type, ...]] = {
    "image": (Resize, Affine),
    "audio": (Frame, Affine),
    "window": (Affine,),
    "table": (Lookup, Affine),
    "text": (HashWords,),
    "tensor": (),
}


def check_steps(kind: str, steps: tuple[Step, ...]) -> None:
    """Raise ValueError where an input of that kind cannot have these steps in this order."""
    kinds = [type(step) for step in steps]
    order = [place for place, allowed in enumerate(ORDER[kind]) for step in kinds if step is allowed]
    if len(order) != len(kinds) or kinds != [ORDER[kind][place] for place in sorted(set(order))]:
        names = ", ".join(_tag(item) for item in ORDER[kind]) or "none"
        raise ValueError(f"the steps of {kind} are {names}, in this order and each at most once")
    if missing := [_tag(item) for item in NEEDED[kind] if item not in kinds]:
        raise ValueError(f"the steps of {kind} lack {', '.join(missing)}")


def _tag(kind: type) -> str:
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]

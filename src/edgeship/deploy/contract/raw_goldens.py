"""Goldens as an app has them in hand: pixels, PCM, windows, rows, texts; each with the tensor of it, and what comes out.

The goldens of a bundle are brought back to raw form, and more cases are made of them: pictures of another size, turned, mirrored,
with colours and opacity, PCM that is too short or too long, rows of unknown categories, texts of any script: a client that does
none of that right is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.deploy.contract.arithmetic.words import find_text
from edgeship.deploy.contract.contract import RawSize
from edgeship.deploy.contract.golden_files import RawSample, float_bytes
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import invert_scale, preprocess_input
from edgeship.deploy.contract.steps import Affine, Grey, HashWords, Mono, SwapRedBlue
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import Column

MOST_BYTES, FEWEST = 32 << 20, 2  # of the tensors of goldens in a bundle; of goldens, however large they are
TINTS = ((4, 4), (3, 4), (2, 4))  # of red, green and blue where a grey picture is given colours


@dataclass(frozen=True)
class RawCase:
    """One case: each input's raw value, and the tensor (1, ...) that the reference makes of it."""

    name: str
    raw: Mapping[str, RawSample]
    tensors: Mapping[str, Array]

    @property
    def sizes(self) -> dict[str, RawSize]:
        """The sizes of its raw values by input."""
        return {name: sample.size for name, sample in self.raw.items()}


def make_cases(inputs: Sequence[ContractInput], samples: Mapping[str, Array]) -> list[RawCase]:
    """The cases of the goldens `samples` (n, ...): one of each sample (of large ones fewer), then others made of them."""
    sample_bytes = sum(4 * array[0].size for array in samples.values())
    count = min(len(next(iter(samples.values()))), max(FEWEST, MOST_BYTES // max(sample_bytes, 1)))
    whole = [{item.name: _bring_back(item, samples[item.name][index]) for item in inputs} for index in range(count)]
    cases = [_make_case(str(index), inputs, raw) for index, raw in enumerate(whole)]
    for kind, changes in CHANGES.items():
        for number, (name, change) in enumerate(changes.items()):
            raw = dict(whole[number % count])
            changed = {item.name: change(raw[item.name].value, item) for item in inputs if item.kind == kind}
            if any(changed.values()):
                found = {key: sample for key, sample in changed.items() if sample}
                cases.append(_make_case(name, inputs, {**raw, **found}))
    return cases


def _make_case(name: str, inputs: Sequence[ContractInput], raw: Mapping[str, RawSample]) -> RawCase:
    tensors = {item.name: preprocess_input(item, raw[item.name].value, raw[item.name].orientation) for item in inputs}
    return RawCase(name, raw, tensors)


def _bring_back(item: ContractInput, sample: Array) -> RawSample:
    """The raw value of a golden's sample (...): the nearest that there is."""
    affine = item.step(Affine)
    values = invert_scale(affine, sample) if affine else sample
    if item.kind == "image":
        pixels = np.clip(values.round(), 0, 255).astype(np.uint8).reshape(*sample.shape[:2], -1)
        return RawSample(pixels[:, :, ::-1] if item.step(SwapRedBlue) else pixels)
    if item.kind == "audio":
        pcm = np.clip(values.round(), -(2**15), 2**15 - 1).astype(np.int16).reshape(len(sample), -1)
        return RawSample(_part_channels(pcm, item.raw.channels or 1) if item.step(Mono) else pcm)
    if item.kind == "table":
        return RawSample(tuple(_row_texts(item, values)))
    if hashing := item.step(HashWords):
        ids = np.clip(sample.round(), 0, hashing.buckets).astype(np.int64)
        return RawSample(find_text(ids[ids > 0].tolist(), hashing.buckets))
    return RawSample(values.astype(np.float32))


def _part_channels(pcm: Array, channels: int) -> Array:
    """Several channels (n, c) whose mean is the one of `pcm`, (n, 1), and which are not all the same."""
    parts = np.repeat(pcm.astype(np.int64), channels, axis=1)
    room = np.minimum(37 * np.arange(len(pcm)) % 64, 2**15 - 1 - np.abs(parts[:, 0]))
    room = np.maximum(room, 0)
    for first in range(0, channels - 1, 2):
        parts[:, first] -= room
        parts[:, first + 1] += room
    return parts.astype(np.int16)


def _row_texts(item: ContractInput, values: Array) -> Iterator[str]:
    for column, value in zip(item.raw.columns, values.reshape(-1), strict=True):
        place = round(float(value))
        if column.missing is not None and value == np.float32(column.missing):
            yield ""
        elif column.kind == "number":
            yield repr(float(np.float32(value)))
        elif 0 <= place < len(column.values):
            yield column.values[place]
        else:
            yield _strange_text(column)


def _strange_text(column: Column) -> str:
    """A text that is none of a category's values."""
    return next(
        text for text in ("?" * length for length in range(1, len(column.values) + 2)) if text not in column.values
    )


def _enlarge(pixels: Array, height: int, width: int) -> Array:
    """The picture (h, w, c) with other sides, each pixel the nearest one."""
    rows, columns = (np.arange(new) * old // new for new, old in ((height, len(pixels)), (width, pixels.shape[1])))
    return np.ascontiguousarray(pixels[rows][:, columns])


def _colour(pixels: Array, item: ContractInput) -> Array:
    """A grey picture with colours, so that it shows which channel is which; others as they are."""
    if not item.step(Grey):
        return pixels
    return np.concatenate([(pixels.astype(np.int64) * part // whole).astype(np.uint8) for part, whole in TINTS], axis=2)


def _make_larger(pixels: Any, item: ContractInput) -> RawSample:
    return RawSample(_colour(_enlarge(pixels, 3 * len(pixels) + 1, 2 * pixels.shape[1] + 3), item))


def _make_smaller(pixels: Any, item: ContractInput) -> RawSample:
    return RawSample(_enlarge(pixels, 2 * len(pixels) // 3 + 1, pixels.shape[1] // 2 + 1))


def _turn(pixels: Any, item: ContractInput) -> RawSample:
    larger = _enlarge(pixels, 2 * len(pixels) + 1, pixels.shape[1] + 2)
    return RawSample(np.ascontiguousarray(larger[:, ::-1].swapaxes(0, 1)), 6)


def _mirror(pixels: Any, item: ContractInput) -> RawSample:
    larger = _enlarge(pixels, len(pixels) + 3, 2 * pixels.shape[1] + 1)
    return RawSample(np.ascontiguousarray(larger.swapaxes(0, 1)), 5)


def _make_opaque(pixels: Any, item: ContractInput) -> RawSample:
    colours = _colour(pixels, item)
    rows, columns = np.mgrid[: len(pixels), : pixels.shape[1]]
    opacity = 255 - (37 * rows + 59 * columns) % 128  # nowhere less than half: the subject stays to be seen
    return RawSample(np.concatenate([colours, opacity.astype(np.uint8)[:, :, None]], axis=2))


def _shorten(pcm: Any, item: ContractInput) -> RawSample:
    return RawSample(pcm[: 2 * len(pcm) // 3 + 1])


def _lengthen(pcm: Any, item: ContractInput) -> RawSample:
    return RawSample(np.concatenate([pcm, pcm[::-1]]))


def _make_unknown(row: Any, item: ContractInput) -> RawSample | None:
    """A row with categories that are none of the known ones; None where it would be refused."""
    columns = item.raw.columns
    if not any(column.unknown is not None for column in columns):
        return None
    texts = (
        text if column.unknown is None else _strange_text(column) for column, text in zip(columns, row, strict=True)
    )
    return RawSample(tuple(texts))


def _make_missing(row: Any, item: ContractInput) -> RawSample | None:
    """A row without what may be missing; None where it would be refused."""
    columns = item.raw.columns
    may_miss = [column.missing is not None or "" in column.values for column in columns]
    if not any(may_miss):
        return None
    return RawSample(tuple("" if empty else text for text, empty in zip(row, may_miss, strict=True)))


def _write_words(text: Any, item: ContractInput) -> RawSample:
    """What two tokenizers do differently: capitals, marks, hyphens, other scripts, signs beyond 16 bits, several lines."""
    return RawSample(
        f"{text.upper()}\t\u00c9cole, Stra\u00dfe\u2014it's 3.5 x2_y!\r\n\u6f22\u5b57 \u0130 e\u0301 \U0001f642a\x00b "
    )


def _write_too_much(text: Any, item: ContractInput) -> RawSample:
    """More words than are taken."""
    hashing = item.step(HashWords)
    return RawSample("the Last " * (1 + hashing.words // 2 if hashing else 1) + text)


def _write_nothing(text: Any, item: ContractInput) -> RawSample:
    return RawSample("")


Change = Callable[[Any, ContractInput], RawSample | None]
# By kind of input: what further cases are made of the goldens, by their names.
CHANGES: Mapping[str, Mapping[str, Change]] = {
    "image": {
        "larger": _make_larger, "smaller": _make_smaller, "turned": _turn, "mirrored": _mirror, "opaque": _make_opaque,
    },
    "audio": {"shorter": _shorten, "longer": _lengthen},
    "table": {"unknown": _make_unknown, "missing": _make_missing},
    "text": {"written": _write_words, "long": _write_too_much, "empty": _write_nothing},
}  # fmt: skip


def input_files(inputs: Sequence[ContractInput], cases: Sequence[RawCase]) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the files with raw values and tensors."""
    for item in inputs:
        yield f"{item.name}.raw", b"".join(case.raw[item.name].to_bytes() for case in cases)
        yield f"{item.name}.tensor", b"".join(float_bytes(case.tensors[item.name]) for case in cases)

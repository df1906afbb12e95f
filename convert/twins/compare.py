"""Tell another rounding of the same computation from another computation, by what two files hold.

Rounding moves a number by at most half a step of the grid that it is rounded to. So two roundings of the same constant differ
by no more than half a step of each, whichever tool did it, for which channels at once, with which calibration. Weights of
another training, damaged ones and ones of fewer bits differ by more. Operators of the same computation have the same
attributes. What differs so is told; noise that comes of activations alone is for the outputs to show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeship import untrusted
from edgeship.bundle.figures.comparisons import FileComparison
from edgeship.convert.receipts import receipt
from edgeship.convert.twins import onnx, tfjs, tflite
from edgeship.convert.twins.contents import Array, Constant, Contents, Operator, Reader

READERS: Mapping[str, Reader] = {"tflite": tflite.read, "onnx": onnx.read, "tfjs": tfjs.read}
# Of half steps, and of the largest value: batch normalization is folded in float32, in an order that tools may choose.
SLACK, FOLDED = 1.02, 1e-4
# 8 bits use most of their 256 codes in a constant of that many numbers; 5 bits have 32.
FEW_CODES, MANY_CODES, COUNTED_FROM = 32, 64, 256
# The share of its own size by which a bias may differ: quantizers correct it by the mean of the rounding errors.
BIAS = 0.25
LISTED = 4


def compare(artifact: str, twin: str, format: str, same_tools: bool = True) -> FileComparison:
    """Compare the artifact of a format (file, or folder of TF.js) with its twin.

    Other tools may build another graph of the same computation: then attributes are no difference, and what has no counterpart
    is only told. Raises InputError for what is damaged.
    """
    found, expected = (_contents(Path(path), format) for path in (artifact, twin))
    pairs, missing = pair_constants(found.constants, expected.constants)
    alike = same_tools and _names(found.operators) == _names(expected.operators)
    differences = [text for pair in pairs if (text := _difference(*pair))]
    if alike:
        differences += [f"{untrusted.printable(item.name)[:80]} is missing" for item in missing]
        differences += _other_attributes(found.operators, expected.operators)
    more = len(differences) - LISTED
    shown = differences[:LISTED] + ([f"and {more} more"] if more > 0 else [])
    return FileComparison(
        tuple(shown), sum(one.values.size for one, _ in pairs), "" if alike else _remark(same_tools, missing)
    )


def _remark(same_tools: bool, missing: Sequence[Constant]) -> str:
    """Why not everything is compared, and how many constants have no counterpart."""
    lost = f"; {len(missing)} of its constants are not found" if missing else ""
    return ("another graph" if same_tools else "made by other tools") + lost


def _contents(path: Path, format: str) -> Contents:
    receipt.read(path, format)  # raises for what is damaged in ways that make readers take all memory
    with untrusted.damage_as_input_error(path):
        contents = READERS[format](path)
    kept = tuple(item for item in contents.constants if item.values.size > 1)
    return Contents(kept, contents.operators)


def pair_constants(
    found: Sequence[Constant], expected: Sequence[Constant]
) -> tuple[list[tuple[Constant, Constant]], list[Constant]]:
    """Constants of the artifact with those of the twin that they stand for, and those of the twin that are not found.

    One of the same name, if it is the same but for rounding; else any other that is, since converters number what they make
    anew in each run; else the one of that name, or the nearest. All of the same shape, and none of them twice.
    """
    free = list(found)
    pairs: list[tuple[Constant, Constant]] = []
    left = list(expected)
    for choose in (_same_name, _same_numbers, _nearest):
        waiting, left = left, []
        for item in waiting:
            fitting = [one for one in free if one.values.shape == item.values.shape]
            match = choose(item, fitting)
            if match is None:
                left.append(item)
                continue
            pairs.append((match, item))
            free = [one for one in free if one is not match]
    return pairs, left


def _same_name(item: Constant, fitting: Sequence[Constant]) -> Constant | None:
    return next((one for one in fitting if one.name == item.name and not _difference(one, item)), None)


def _same_numbers(item: Constant, fitting: Sequence[Constant]) -> Constant | None:
    return next((one for one in fitting if not _difference(one, item)), None)


def _nearest(item: Constant, fitting: Sequence[Constant]) -> Constant | None:
    named = [one for one in fitting if one.name == item.name]
    return min(named or fitting, key=lambda one: float(np.square(one.values - item.values).sum()), default=None)


def _difference(found: Constant, expected: Constant) -> str:
    """How two constants differ by more than rounding explains; empty where they do not."""
    name = f"'{untrusted.printable(expected.name)[:80]}'"
    if found.bias or expected.bias:
        error = float(np.sqrt(np.square(found.values - expected.values).sum()))
        size = float(np.sqrt(np.square(expected.values).sum()))
        return f"the biases {name} differ by {error / size:.0%} of their size" if size and error > BIAS * size else ""
    if found.bits < min(expected.bits, 8) or _uses_few_codes(found, expected):
        return f"{name} has fewer than 8 bits"
    limit = SLACK * (found.step + expected.step) / 2 + FOLDED * float(np.abs(expected.values).max())
    beyond = ~(np.abs(found.values - expected.values) <= limit) & ~_is_cut_off(found, expected)
    count = int(beyond.sum())
    return f"{count:,} of {beyond.size:,} numbers of {name} differ by more than rounding explains" if count else ""


def _uses_few_codes(found: Constant, expected: Constant) -> bool:
    if found.codes is None or expected.codes is None or found.codes.size < COUNTED_FROM:
        return False
    return len(np.unique(found.codes)) <= FEW_CODES and len(np.unique(expected.codes)) > MANY_CODES


def _is_cut_off(found: Constant, expected: Constant) -> Array:
    """Where a value stands at an end of its codes, and the twin's lies beyond: some quantizers cut off what is rare."""
    if found.codes is None:
        return np.zeros(found.values.shape, bool)
    ends = (found.codes == found.codes.min()) | (found.codes == found.codes.max())
    return np.asarray(ends & (np.abs(found.values) < np.abs(expected.values)) & (found.values * expected.values > 0))


def _names(operators: Sequence[Operator]) -> Counter[str]:
    return Counter(item.name for item in operators)


def _other_attributes(found: Sequence[Operator], expected: Sequence[Operator]) -> Iterator[str]:
    """Attributes that differ, operator by operator of each kind in the order of the file."""
    for name in _names(expected):
        ours, theirs = ([item for item in side if item.name == name] for side in (found, expected))
        for one, other in zip(ours, theirs, strict=True):
            for key in {**one.attributes, **other.attributes}:
                have, want = one.attributes.get(key, "nothing"), other.attributes.get(key, "nothing")
                if have != want:
                    yield f"{name} has {key} {untrusted.printable(have)[:40]} instead of {untrusted.printable(want)[:40]}"

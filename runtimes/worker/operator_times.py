"""Times per operator from several profiled inferences, and which operator of a file a delegate's own one stands for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)
WARM_UP, RUNS, SECONDS = 3, 100, 5.0
FEWEST = 5
# What XNNPACK calls operators, where it is not as TFLite does: in letters alone, by the beginning of its name.
XNNPACK = {
    "convolution": ("CONV_2D", "DEPTHWISE_CONV_2D"),
    "deconvolution": ("TRANSPOSE_CONV",),
    "fullyconnected": ("FULLY_CONNECTED", "CONV_2D"),
    "dynamicfullyconnected": ("FULLY_CONNECTED", "BATCH_MATMUL"),
    "batchmatrixmultiply": ("BATCH_MATMUL", "FULLY_CONNECTED"),
    "multiply": ("MUL",),
    "subtract": ("SUB",),
    "divide": ("DIV",),
    "negate": ("NEG",),
    "sigmoid": ("LOGISTIC",),
    "absolutevalue": ("ABS",),
    "reciprocalsquareroot": ("RSQRT",),
    "squareroot": ("SQRT",),
    "clamp": ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"),
    "leakyrelu": ("LEAKY_RELU",),
    "constantpad": ("PAD", "PADV2"),
    "averagepooling": ("AVERAGE_POOL_2D",),
    "maxpooling": ("MAX_POOL_2D",),
    "globalaveragepooling": ("MEAN", "AVERAGE_POOL_2D"),
    "convert": ("QUANTIZE", "DEQUANTIZE"),
    "copy": ("CONCATENATION", "SPLIT", "SLICE", "STRIDED_SLICE", "RESHAPE"),
    "staticreshape": ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
}


class Figures(NamedTuple):
    """The mean of an operator's times in ms, and the lowest and the highest of those that are in it."""

    ms: float
    low_ms: float
    high_ms: float


def repeat(run: Callable[[], T]) -> list[T]:
    """What `run` gives in up to `RUNS` inferences behind a few that warm up; fewer where they take longer than `SECONDS`."""
    for _ in range(WARM_UP):
        run()
    results: list[T] = []
    end = time.monotonic() + SECONDS
    while len(results) < RUNS and (len(results) < FEWEST or time.monotonic() < end):
        results.append(run())
    return results


def summarize(runs: Sequence[Sequence[tuple[Key, float]]]) -> tuple[dict[Key, Figures], float]:
    """Ms per operator, and of all together, as means of the runs without the lowest and the highest tenth.

    Each run is what was executed, with its ms; what is executed several times in a run counts as their sum. Runtimes tell whole
    microseconds: a mean of many tells parts of one, a median does not.
    """
    sums: list[dict[Key, float]] = []
    for executed in runs:
        total: dict[Key, float] = {}
        for key, milliseconds in executed:
            total[key] = total.get(key, 0.0) + milliseconds
        sums.append(total)
    names = dict.fromkeys(key for total in sums for key in total)
    times = {key: _describe_middle([total.get(key, 0.0) for total in sums]) for key in names}
    return times, _describe_middle([sum(total.values()) for total in sums]).ms


def _describe_middle(values: list[float]) -> Figures:
    tenth = len(values) // 10
    middle = sorted(values)[tenth : len(values) - tenth]
    mean = sum(middle) / len(middle)
    return Figures(min(max(mean, middle[0]), middle[-1]), middle[0], middle[-1])  # but for rounding it lies between


def describe(name: str, kind: str, kernel: str, figures: Figures, reads: str = "") -> dict[str, Any]:
    """An operator for the parent: the tensor or node that names it, what it is, what the runtime calls it, its ms.

    `reads` is the tensor that it works on, by the name of the operator that made it.
    """
    times = {"ms": figures.ms, "low_ms": figures.low_ms, "high_ms": figures.high_ms}
    return {"name": name, "kind": kind, "kernel": kernel, "reads": reads, **times}


def align(kinds: Sequence[str], events: Sequence[tuple[str, int | None]]) -> list[int | None]:
    """The file's operator (an index into `kinds`, as TFLite calls them) of each event; None where none fits.

    An event is what a runtime calls it, with its operator where that is known. The others are those of a delegate, in the
    order of the file's: the longest common subsequence by kind tells which is which.
    """
    found: list[int | None] = [known if known is None or known < len(kinds) else None for _, known in events]
    delegated = [(row, _names_of(name)) for row, (name, known) in enumerate(events) if known is None]
    left = [number for number in range(len(kinds)) if number not in found]
    rows, columns = len(delegated), len(left)
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            best[row][column] = max(best[row + 1][column], best[row][column + 1])
            if kinds[left[column]] in delegated[row][1]:
                best[row][column] = max(best[row][column], 1 + best[row + 1][column + 1])
    row = column = 0
    while row < rows and column < columns:
        if kinds[left[column]] in delegated[row][1] and best[row][column] == 1 + best[row + 1][column + 1]:
            found[delegated[row][0]], row, column = left[column], row + 1, column + 1
        elif best[row + 1][column] >= best[row][column + 1]:
            row += 1
        else:
            column += 1
    return found


def _names_of(kernel: str) -> frozenset[str]:
    """What TFLite may call a delegate's operator: its own name in TFLite's letters, or those of the table."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", kernel.partition(" (")[0])
    letters = "".join(words).lower()
    return frozenset({"_".join(words).upper(), letters.upper(), *XNNPACK.get(letters, ())})

"""How many evaluation samples a margin takes: what `init` and `ship` say beforehand and what the gate asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edgeship.benchmarks.compare.statistics import (
    LEAST_SAMPLES,
    Z_POWER,
    Interval,
    samples_advised,
    samples_for_margin,
)
from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.figures.comparisons import AccuracyReport, OutputAccuracy
from edgeship.bundle.metric import number_text

CLASS_MEANS = {"balanced_accuracy", "mean_iou", *(f"macro_{name}" for name in ("f1", "precision", "recall"))}
OF_YES = {"f1", "precision", "recall", "average_precision", "roc_auc"}
ASSUMED_CHANGE = 0.01  # the share of answers that a good int8 artifact gives otherwise, of which half may be losses
MOST_SAMPLES = 10_000_000  # more is no advice


def count_samples(metric: str, n: int, classes: Sequence[int]) -> int:
    """How many of `n` samples a metric rests on, of which `LEAST_SAMPLES` are asked; `classes`: how often each is a label.

    A mean over classes: as many as they have on average. A metric of yes among yes and no: as many as the rarer of them has.
    """
    if metric in CLASS_MEANS and classes:
        return n // len(classes)
    return min(n, *classes) if metric in OF_YES and len(classes) == 2 else n


def count_output_samples(output: OutputAccuracy) -> int:
    """`count_samples` of a comparison."""
    return count_samples(output.metric, output.n, [row.n for row in output.per_class])


def samples_to_decide(output: OutputAccuracy, margin: float) -> int | None:
    """About how many samples would decide a comparison (`statistics.samples_advised`); None where no number would."""
    if output.drop is None or output.low is None or output.high is None:
        return None
    interval = Interval(output.low, output.high, output.spread)
    bounded = output.share and output.server and not output.method.startswith("Tango")
    figure = (output.server or 0.0) if bounded else math.inf
    needed = samples_advised(output.drop, interval, margin, output.n, figure)
    if needed is None:
        return None
    rested_on = count_output_samples(output) / output.n  # share of the samples
    if bounded and rested_on:  # how many a yes are among new samples varies by its root, and with it the figure
        needed = math.ceil(needed * (1 + Z_POWER / math.sqrt(max(needed * rested_on, 1.0))))
    return max(needed, math.ceil(LEAST_SAMPLES / max(rested_on, 1 / output.n)))


def in_two_digits(samples: int) -> int:
    """A number of samples upwards to two digits, so that what is told is enough."""
    step: int = 10 ** max(len(str(samples)) - 2, 0)
    return -(-samples // step) * step


def ask_for_samples(output: OutputAccuracy, margin: float) -> tuple[int | None, str]:
    """What would decide a comparison: a number of samples in two digits, or another margin; and the words for it."""
    needed = samples_to_decide(output, margin)
    if needed is None:
        return None, "no number of samples would decide"
    about = in_two_digits(needed)
    if about <= MOST_SAMPLES:
        return about, f"about {about:,} samples would decide, there are {output.n:,}"
    return None, f"no sensible number of samples would decide: {widen_margin(output)}"


def widen_margin(output: OutputAccuracy) -> str:
    """Which margin the samples at hand decide, in the unit of `max_drop`."""
    scale, unit = (100, "percentage points") if output.share else (1, f"the unit of {output.metric}")
    enough = number_text((output.high or 0.0) * scale)
    return f"set max_drop in [budget] in place of accuracy, in {unit}: above {enough} they do now"


def note_thin_evaluation(itself: AccuracyReport, budget: Budget, samples: int) -> list[str]:
    """Notes where `samples` are too few for an artifact that is as good as the server model to pass, likely enough.

    `itself`: the server model compared with itself, on those samples or some of them; so what a sample may cost that was not
    seen is counted as the gate counts it, in the metric's own unit.
    """
    notes = _describe_thin(itself.outputs or {itself.output: itself}, budget, samples) if budget.wants_accuracy else ()
    return list(dict.fromkeys(notes))


def _describe_thin(outputs: Mapping[str, OutputAccuracy], budget: Budget, samples: int) -> Iterator[str]:
    for output in outputs.values():
        margin = budget.margin(output.server, output.share) if output.server is not None else None
        single = output.method.startswith("Tango")  # of each sample one answer, right or wrong
        needed = margin and (
            samples_for_margin(margin, ASSUMED_CHANGE) if single else samples_to_decide(output, margin)
        )
        if not margin or not needed or needed <= samples:
            continue
        about = in_two_digits(needed)
        changes = (
            f"where {ASSUMED_CHANGE:.0%} of the answers change" if single else "even for what changes hardly an answer"
        )
        takes = (
            f"takes about {about:,} {changes}; fewer may stay INCONCLUSIVE"
            if about <= MOST_SAMPLES
            else f"takes more than any sensible number: {widen_margin(output)}"
        )
        figure = f"{margin * 100:.2f} points of {output.metric}" if output.share else f"{margin:.3g} in {output.metric}"
        yield f"only {samples:,} evaluation samples: a margin of {figure} {takes}"

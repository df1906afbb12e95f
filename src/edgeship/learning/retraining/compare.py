"""Champion and challenger on labelled samples from the field, both as they are shipped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import accuracy, statistics
from edgeship.benchmarks.compare.metrics import choose_metric
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.figures.comparisons import OutputAccuracy
from edgeship.bundle.manifest import Manifest
from edgeship.errors import EdgeshipError
from edgeship.learning.retraining.gather import LABELS, LabelledSamples
from edgeship.learning.retraining.record import AuditGain
from edgeship.learning.samples.scores import TARGETS, answer_samples, recommended_artifacts
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.figures import main_artifact
from edgeship.model_registry.paired import PairedFigure, chance_of_gain
from edgeship.model_registry.promotion import strictest_margin
from edgeship.types import Verdict

Array = np.ndarray[Any, Any]
LEVEL = 0.05  # of the two-sided interval, shared by all who asked the same audit


@dataclass(frozen=True)
class Finding:
    """Whether the challenger stands in one respect, and why."""

    holds: bool
    reason: str


def choose_pair(champion: Manifest, challenger: Manifest) -> tuple[str, str]:
    """The artifacts that are compared: what both recommend for the same purpose, else those that stand for the versions."""
    recommended = [recommended_artifacts(manifest) for manifest in (champion, challenger)]
    target = next((target for target in TARGETS if all(target in item for item in recommended)), None)
    if target:
        return recommended[0][target], recommended[1][target]
    return main_artifact(champion), main_artifact(challenger)


def compare_on(
    champion: Bundle, challenger: Bundle, samples: LabelledSamples, uses: int = 1
) -> tuple[AuditGain, PairedFigure]:
    """Both bundles on the same samples. `uses`: how many challengers they have judged, this one included.

    The interval is as wide as the last of so many looks must be (Bonferroni). The second is the 95 % one, for margins.
    """
    pair = choose_pair(champion.manifest, challenger.manifest)
    try:
        answers = [
            answer_samples(bundle, name, samples.inputs)
            for bundle, name in zip((champion, challenger), pair, strict=True)
        ]
        truths = accuracy.match_labels(
            {LABELS: samples.labels}, tuple(item.name for item in champion.manifest.server.outputs)
        )
        output = next(iter(truths))
        server = champion.manifest.server_measurement
        metric = server.outputs[output].metric if server and output in server.outputs else None
        first, second = answers[0][output], answers[1][output]
        figures = accuracy.compare(samples.labels, first, second, metric)
    except EdgeshipError as error:
        reason = str(error)
        return AuditGain(n=len(samples), reason=reason), PairedFigure(*pair, n=len(samples), reason=reason)
    return _describe_gain(figures, samples.labels, (first, second), uses), _as_paired(figures, pair)


def _describe_gain(figures: OutputAccuracy, labels: Array, scores: tuple[Array, Array], uses: int) -> AuditGain:
    if figures.drop is None or figures.low is None or figures.high is None or figures.value is None:
        return AuditGain(figures.metric, figures.share, figures.n, reason=figures.reason or "there is no interval")
    counts, (low, high) = None, (-figures.high, -figures.low)
    task, truth, first = choose_metric(labels, scores[0], figures.metric)
    if task.is_plain_share and truth[0].size == 1:
        one, two = (task.statistic(truth, item.reshape(first.shape), logits=False).scored[:, 0] for item in scores)
        counts = int((two > one).sum()), int((one > two).sum())
        interval = statistics.paired_difference(*counts, figures.n, _point(LEVEL / uses))
        low, high = interval.low, interval.high
    p = min(1.0, chance_of_gain(figures, labels, scores) * uses)
    return AuditGain(
        figures.metric, figures.share, figures.n, figures.server, figures.value, -figures.drop + 0.0, low, high, p,
        *(counts or (None, None)),
    )  # fmt: skip


def _point(level: float) -> float:
    """The point of the normal distribution that a two-sided interval of that level ends at."""
    from scipy.special import ndtri

    return float(ndtri(1 - level / 2))


def _as_paired(figures: OutputAccuracy, pair: tuple[str, str]) -> PairedFigure:
    def negative(value: float | None) -> float | None:
        return None if value is None else -value

    return PairedFigure(
        *pair, metric=figures.metric, share=figures.share, n=figures.n, value_before=figures.server,
        value_after=figures.value, gain=negative(figures.drop), low=negative(figures.high), high=negative(figures.low),
        at_least_loss=figures.at_least, reason=figures.reason,
    )  # fmt: skip


def judge_gain(gain: AuditGain, uses: int) -> Finding:
    """Whether the challenger is surely better on the newest audit."""
    if gain.gain is None or gain.low is None or gain.p is None:
        return Finding(False, f"newest audit: cannot be decided, {gain.reason}")
    holds = gain.low > 0 and gain.p < LEVEL / 2 and gain.n >= statistics.LEAST_SAMPLES
    told = f"newest audit: {describe_gain(gain)}"
    if uses > 1:
        told += f", corrected for the {uses} challengers that it has judged"
    if holds:
        return Finding(True, f"{told}: better")
    worse = gain.high is not None and gain.high < 0
    return Finding(
        False, f"{told}: {'worse' if worse else 'may be luck, as the interval holds no gain'}{_advise(gain)}"
    )


def _advise(gain: AuditGain) -> str:
    """How many labels would likely decide, where the gain that was seen is the true one."""
    if gain.gained is None or gain.lost is None or gain.gain is None or gain.gain <= 0:
        return ""
    needed = statistics.samples_for_margin(gain.gain, (gain.gained + gain.lost) / gain.n)
    return f"; about {needed:,} audit labels would tell a gain like this" if needed > gain.n else ""


def describe_gain(gain: AuditGain) -> str:
    """The gain in words."""
    scale, unit = (100, " points") if gain.share else (1, "")
    low, high = (scale * (value if value is not None else math.nan) for value in (gain.low, gain.high))
    disagreements = "" if gain.gained is None else f"; {gained_text(gain)}"
    interval = f"interval {low:+.2f} to {high:+.2f}, {gain.n:,} samples{disagreements}"
    return f"{gain.metric} {scale * (gain.gain or 0):+.2f}{unit} ({interval})"


def gained_text(gain: AuditGain) -> str:
    """How many samples each of the two alone has right."""
    return f"{gain.gained:,} right with it alone, {gain.lost:,} with the champion alone"


def judge_not_worse(what: str, figure: PairedFigure, champion: Manifest, challenger: Manifest) -> Finding:
    """Whether the challenger is surely not worse than the gate's margin on former audits."""
    if figure.low is None or figure.high is None or figure.gain is None or figure.value_before is None:
        return Finding(False, f"{what}: cannot be decided, {figure.reason or 'there is no interval'}")
    margin = strictest_margin(figure, champion, challenger)
    if margin is None:
        return Finding(False, f"{what}: cannot be decided, as no budget gives a margin")
    verdict = statistics.judge_drop(-figure.high, -figure.low, margin, figure.n, figure.at_least_loss)
    words = {Verdict.PASS: "not worse", Verdict.FAIL: "worse", Verdict.INCONCLUSIVE: "cannot be decided"}
    scale, unit = (100, " points") if figure.share else (1, "")
    told = f"{scale * figure.gain:+.2f}{unit} ({scale * figure.low:+.2f} to {scale * figure.high:+.2f}, {figure.n:,} samples)"
    # Of few samples, which decide nothing, a loss alone is held against it.
    holds = verdict is Verdict.PASS or (verdict is Verdict.INCONCLUSIVE and figure.high >= 0)
    return Finding(
        holds, f"{what}: {told}, margin {scale * margin:.3g}: {words[verdict]}{'' if holds else ', refused'}"
    )

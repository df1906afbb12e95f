"""Two versions on the same samples: what both answered to each of them gives a paired interval, and not just two numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import accuracy, statistics
from edgeship.benchmarks.compare.metrics import (
    Statistic,
    TaskMetric,
    are_probabilities,
    choose_metric,
    sigmoid,
    softmax,
    threshold_of,
)
from edgeship.bundle.answers import LABELS, SERVER, answers_file
from edgeship.bundle.figures.comparisons import FlippedSample, OutputAccuracy
from edgeship.bundle.manifest import Manifest
from edgeship.data import load
from edgeship.errors import EdgeshipError
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import Version
from edgeship.untrusted import is_code

Array = np.ndarray[Any, Any]
SWAPS = 4000  # p-values are no smaller than 1 / (SWAPS + 1)
BATCH = 100
FLIPS = 10


@dataclass(frozen=True)
class PairedFigure:
    """The metric of two models on the same `n` samples; without figures the `reason` says why.

    `before` and `after` name the models (artifact ids, or `server`), `value_before` and `value_after` are their figures. `gain`
    is positive where the second is better, whatever the metric, with its paired 95 % interval, in the metric's unit (`share`: 0
    to 1). `at_least_loss`: the low end of 99.87 % of what it lost (see `statistics.Interval`). `same`: it is the same file, and
    nothing need be compared. `p`: how likely such a gain or a larger one is where neither model is better. `flips_total` answers
    differ, `flips` are the first of them.
    """

    before: str
    after: str
    output: str = ""
    metric: str = ""
    share: bool = False
    n: int = 0
    value_before: float | None = None
    value_after: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    at_least_loss: float | None = None
    p: float | None = None
    same: bool = False
    flips_total: int | None = None
    flips: tuple[FlippedSample, ...] = ()
    method: str = ""
    reason: str = ""


class Answers:
    """The answers and labels that a version's bundle holds."""

    def __init__(self, store: Store, version: Version) -> None:
        self.store, self.version = store, version
        self.manifest: Manifest = store.manifest(version)

    def holds(self, whose: str) -> bool:
        """Whether the answers of an artifact, or of the server model, are there."""
        return answers_file(whose) in self.manifest.files

    def read(self, whose: str) -> Mapping[str, Array]:
        """These answers, by output (n, ...)."""
        return load(self.store.files.find(self.manifest.files[answers_file(whose)]))

    def labels(self) -> Mapping[str, Array]:
        """The labels of the samples, by output."""
        return accuracy.match_labels(
            load(self.store.files.find(self.manifest.files[LABELS])),
            tuple(item.name for item in self.manifest.server.outputs),
        )

    def content(self, whose: str) -> str:
        """The digest of an artifact, or of the server model."""
        entry = self.manifest.artifact(whose)
        return self.manifest.server.digest if whose == SERVER else (entry.content or "") if entry else ""

    def metrics(self) -> dict[str, str]:
        """The metric of each labelled output."""
        server = self.manifest.server_measurement
        return {name: item.metric for name, item in server.outputs.items()} if server else {}


def why_unpaired(before: Answers, after: Answers) -> str:
    """Why two versions were not evaluated on the same samples; empty where they were."""
    uses = before.version.record.evaluation, after.version.record.evaluation
    for version, use, answers in zip((before.version, after.version), uses, (before, after), strict=True):
        if use is None:
            return f"version {version.number} was not evaluated"
        if LABELS not in answers.manifest.files:
            return f"version {version.number} keeps no answers (no labels, or made before bundles kept them)"
    same_data = uses[0] and uses[1] and (uses[0].digest, uses[0].samples) == (uses[1].digest, uses[1].samples)
    same_labels = before.manifest.files[LABELS] == after.manifest.files[LABELS]
    return "" if same_data and same_labels else "they were evaluated on other samples, so nothing can be paired"


def compare_models(
    before: Answers, after: Answers, pair: tuple[str, str], *, p_values: bool = False
) -> list[PairedFigure]:
    """Each labelled output of two models, `pair` of artifact ids or `server`, by the first version's metric.

    `p_values`: also how likely the gain is by chance, which takes a second for some metrics.
    """
    one, two = pair
    if before.content(one) and before.content(one) == after.content(two):
        return [PairedFigure(one, two, same=True, reason="the same file")]
    if reason := why_unpaired(before, after):
        return [PairedFigure(one, two, reason=reason)]
    for answers, whose in ((before, one), (after, two)):
        if not answers.holds(whose):
            why = f"version {answers.version.number} keeps no answers of {whose}"
            return [PairedFigure(one, two, reason=why)]
    truths, first, second, metrics = before.labels(), before.read(one), after.read(two), before.metrics()
    if len(first) == len(second) == 1:  # layers are numbered, so that the same output may have another name
        second = dict(zip(first, second.values(), strict=True))
    rows = []
    for name, truth in truths.items():
        nothing = PairedFigure(one, two, name if len(first) > 1 else "", metrics.get(name, ""))
        try:
            rows.append(_compare_output(nothing, truth, (first.get(name), second.get(name)), p_values=p_values))
        except EdgeshipError as error:
            rows.append(replace(nothing, reason=str(error)))
    return rows


def _compare_output(
    nothing: PairedFigure, truth: Array, scores: tuple[Array | None, Array | None], *, p_values: bool
) -> PairedFigure:
    """`nothing` with the figures of one output."""
    first, second = scores
    if first is None or second is None:
        return replace(nothing, reason=f"{'the first' if first is None else 'the second'} has no such output")
    if is_code(nothing.metric):  # it would be imported from what stands in a bundle
        return replace(nothing, reason=f"{nothing.metric} is a function of your own, which the registry does not run")
    first, second = _in_one_scale(first, second)
    figures = accuracy.compare(truth, first, second, nothing.metric or None)
    return replace(
        nothing,
        metric=figures.metric,
        share=figures.share,
        n=figures.n,
        value_before=figures.server,
        value_after=figures.value,
        gain=_negative(figures.drop),
        low=_negative(figures.high),
        high=_negative(figures.low),
        at_least_loss=figures.at_least,
        p=chance_of_gain(figures, truth, (first, second)) if p_values and figures.drop is not None else None,
        flips_total=figures.flips_total,
        flips=figures.flips[:FLIPS],
        method=figures.method,
        reason=figures.reason,
    )


def _in_one_scale(first: Array, second: Array) -> tuple[Array, Array]:
    """Both models' scores; where one gives probabilities and the other logits, both as probabilities."""
    if first.shape != second.shape or {first.dtype.kind, second.dtype.kind} != {"f"}:
        return first, second
    if first.ndim > 1 and first.shape[-1] > 1 and are_probabilities(first) != are_probabilities(second):
        return tuple(item if are_probabilities(item) else softmax(item) for item in (first, second))  # type: ignore[return-value]
    if (first.ndim <= 1 or first.shape[-1] == 1) and threshold_of(first) != threshold_of(second):
        return tuple(item if threshold_of(item) else sigmoid(item) for item in (first, second))  # type: ignore[return-value]
    return first, second


def _negative(value: float | None) -> float | None:
    return None if value is None else -value + 0.0


def chance_of_gain(figures: OutputAccuracy, labels: Array, scores: tuple[Array, Array]) -> float:
    """The one-sided p-value of the gain of the second model: how often one as large comes where neither is better.

    Shares of single right answers: McNemar's exact test (1947). All else: the approximate randomization test (Noreen 1989,
    "Computer-Intensive Methods"; Yeh 2000, COLING), in which each sample's two answers change hands with a probability of 1/2.
    """
    task, truth, first = choose_metric(labels, scores[0], figures.metric)
    second = scores[1].reshape(first.shape)
    if task.is_plain_share and truth[0].size == 1:
        right = [task.statistic(truth, item, logits=False).scored[:, 0] for item in (first, second)]
        gains, losses = int((right[1] > right[0]).sum()), int((right[0] > right[1]).sum())
        return exact_chance(gains, losses)
    both = task.statistic(
        np.concatenate([truth, truth]), np.concatenate([first, second]), logits=_is_logits(task, first)
    )
    return _chance_by_swaps(both, len(truth), 1.0 if task.higher_is_better else -1.0)


def exact_chance(gains: int, losses: int) -> float:
    """How likely so many gains or more are among `gains + losses`, if each goes either way alike (McNemar, one-sided)."""
    from scipy.special import bdtr

    return float(bdtr(losses, gains + losses, 0.5)) if gains + losses else 1.0


def _is_logits(task: TaskMetric, scores: Array) -> bool:
    return not are_probabilities(scores.astype(np.float64)) if task.classes else threshold_of(scores) == 0.0


def _chance_by_swaps(both: Statistic, n: int, sign: float) -> float:
    """`both`: of the samples with the first model's answers, and once more with the second's."""

    def gain(weights: Array) -> Array:
        return sign * (both(np.hstack([1 - weights, weights])) - both(np.hstack([weights, 1 - weights])))

    seen = float(gain(np.ones((1, n)))[0])
    rng, reached = np.random.default_rng(statistics.SEED), 0
    for _ in range(SWAPS // BATCH):
        drawn = gain(rng.integers(0, 2, (BATCH, n)).astype(np.float64))
        reached += int((~(drawn < seen - 1e-12)).sum())  # what has no figure counts against the gain
    return (1 + reached) / (SWAPS + 1)


def recommended_pairs(before: Manifest, after: Manifest) -> Iterator[tuple[str, str, str | None]]:
    """For each target of the first bundle: what it recommends there, and what the second does (None: nothing)."""
    theirs = {item.target: item.artifact for item in after.gate.recommended} if after.gate else {}
    for item in before.gate.recommended if before.gate else ():
        yield item.target, item.artifact, theirs.get(item.target)

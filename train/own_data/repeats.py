"""Repeated k-fold: figures over folds that share samples, with an interval and a test that allow for it.

Training sets of folds overlap, so that their figures are not independent, and their variance alone makes intervals far too
narrow. The variance of the mean is taken as (1 / J + n_test / n_train) times that of the J folds (Nadeau and Bengio, "Inference
for the Generalization Error", Machine Learning 52, 2003; for r times k folds Bouckaert and Frank, "Evaluating the
Replicability of Significance Tests", PAKDD 2004), with Student's t of J - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.train.dataset import Array
from edgeship.train.own_data.expectations import SIGNIFICANT, Baseline, Comparison, FoldsEstimate, HeldOut, Results
from edgeship.train.own_data.samples import Target


@dataclass(frozen=True)
class FoldFigures:
    """The mean errors of each fold, float64 (J,), of the network and the baselines; samples that are tested and learned from."""

    network: Array
    baselines: Mapping[str, Array]
    tested: float
    learned: float


def corrected_deviation(figures: Array, tested: float, learned: float) -> float:
    """The standard error of the mean of some folds' figures, which allows for what they share."""
    return float(np.sqrt((1 / len(figures) + tested / learned) * figures.var(ddof=1)))


def estimate_mean(figures: Array, tested: float, learned: float) -> tuple[float, float, float]:
    """The mean of folds' figures, float64 (J,), with its 95 % interval."""
    from scipy.stats import t

    mean = float(figures.mean())
    half = float(t.ppf(0.975, len(figures) - 1)) * corrected_deviation(figures, tested, learned)
    return mean, mean - half, mean + half


def compare_folds(errors: Array, other: Array, tested: float, learned: float) -> tuple[Comparison, float]:
    """How a model's errors in folds, float64 (J,), compare with another's in the same folds; with the p-value (two-sided)."""
    from scipy.stats import t

    differences = errors - other
    if not differences.any():
        return "no different", 1.0
    deviation = corrected_deviation(differences, tested, learned)
    p_value = float(2 * t.sf(abs(differences.mean()) / deviation, len(differences) - 1)) if deviation else 0.0
    verdict: Comparison = "better" if differences.mean() < 0 else "worse"
    return (verdict if p_value < SIGNIFICANT else "no different"), p_value


def collect_figures(target: Target, folds: Sequence[HeldOut], samples: int) -> FoldFigures:
    """The share that is wrong of each fold's samples, of values the mean squared error."""
    tested = float(np.mean([len(fold.rows) for fold in folds]))
    names = folds[0].baselines

    def mean_errors(scores: Sequence[Array]) -> Array:
        return np.array([_mean_error(target, fold, item) for fold, item in zip(folds, scores, strict=True)])

    return FoldFigures(
        mean_errors([fold.scores for fold in folds]),
        {name: mean_errors([fold.baselines[name] for fold in folds]) for name in names},
        tested,
        samples - tested,
    )


def _mean_error(target: Target, fold: HeldOut, scores: Array) -> float:
    answers = target.answers(scores)
    if target.is_class:
        return float((answers != fold.truth).mean())
    return float(np.square(answers.astype(np.float64) - fold.truth).mean())


def add_repetitions(results: Results, target: Target, found: FoldFigures, repeats: int) -> Results:
    """The results of one repetition with figures and verdicts over all of them."""
    shares = (found.tested, found.learned)
    figures = 1 - found.network if target.is_class else np.sqrt(found.network)
    value, low, high = estimate_mean(figures, *shares)
    if target.is_class:
        low, high = max(0.0, low), min(1.0, high)
    baselines = []
    for item in results.baselines:
        theirs = found.baselines[item.name]
        network, p_value = compare_folds(found.network, theirs, *shares)
        mean = float((1 - theirs if target.is_class else np.sqrt(theirs)).mean())
        figure = {"accuracy": mean} if target.is_class else {"rmse": mean}
        baselines.append(Baseline(item.name, network, p_value, **figure))
    over = FoldsEstimate(value, low, high, len(figures), repeats)
    return replace(results, baselines=tuple(baselines), repeated=over)

"""What a model that everybody can download gives away of its training data: the membership inference attack by loss.

Whoever has a sample with its label asks the model, and says "it was trained on this" where the loss is small (Yeom et al. 2018,
"Privacy Risk in Machine Learning"). The AUC is the chance that a sample of the training data has the smaller loss than another
one: 0.5 gives nothing away, 1 all. The attack is weak; a small AUC does not say that no other attack would do better.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.decisions import are_probabilities, sigmoid, softmax, within_0_and_1
from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]
LEAST = 20  # samples of either kind
Z = 1.959964  # of 95 %
TINY = 1e-12


@dataclass(frozen=True)
class MembershipRisk:
    """The attack's AUC with its 95 % interval, on `members` samples of the training data and `others`; None: the `reason`."""

    artifact: str
    auc: float | None = None
    low: float | None = None
    high: float | None = None
    members: int = 0
    others: int = 0
    data: str = ""
    reason: str = ""


def attack_by_loss(artifact: str, data: str, members: Array, others: Array) -> MembershipRisk:
    """The attack, by the losses (n,) of samples that the model was trained on and of others."""
    counts = len(members), len(others)
    if min(counts) < LEAST:
        reason = f"{counts[0]} and {counts[1]} samples are too few, {LEAST} of either kind are needed"
        return MembershipRisk(artifact, members=counts[0], others=counts[1], data=data, reason=reason)
    auc = smaller_share(members, others)
    low, high = auc_interval(auc, *counts)
    return MembershipRisk(artifact, auc, low, high, *counts, data=data)


def smaller_share(members: Array, others: Array) -> float:
    """The share of pairs in which the member has the smaller loss, equal ones as a half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([others, members]))
    below = ranks[: len(others)].sum() - len(others) * (len(others) + 1) / 2
    return float(below / (len(members) * len(others)))


def auc_interval(auc: float, m: int, n: int) -> tuple[float, float]:
    """The 95 % interval of an AUC from m and n samples: Newcombe's method 5 (2006), a score interval that never has no width.

    It holds the AUCs that lie within 1.96 standard errors of what was seen, each by its own: theta (1 - theta) (1 + (N - 1)
    ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m n) with N = (m + n) / 2.
    """
    from scipy.optimize import brentq

    def beyond(theta: float) -> float:
        spread = (1 - theta) / (2 - theta) + theta / (1 + theta)
        variance = theta * (1 - theta) * (1 + ((m + n) / 2 - 1) * spread) / (m * n)
        return float((theta - auc) ** 2 - Z * Z * variance)

    low = 0.0 if auc <= 0 else float(brentq(beyond, 0.0, min(auc, 1 - TINY)))
    high = 1.0 if auc >= 1 else float(brentq(beyond, max(auc, TINY), 1.0))
    return low, high


def losses(outputs: Array, labels: Array) -> Array | None:
    """Each sample's loss (n,), whatever the metric; None where labels and outputs do not fit.

    Cross-entropy of classes, or of yes and no, else the mean squared error.
    """
    if len(labels) != len(outputs) or labels.dtype.kind not in "biuf" or not labels.size:
        return None
    whole = bool((labels == np.rint(labels)).all())
    scores = outputs.ndim >= 2 and outputs.shape[-1] > 1
    if scores and whole and labels.size * outputs.shape[-1] == outputs.size:
        return _class_losses(outputs, labels.reshape(outputs.shape[:-1]).astype(np.int64))
    if labels.size != outputs.size:
        return None
    values, truth = outputs.astype(np.float64), labels.reshape(outputs.shape).astype(np.float64)
    if not whole or not set(np.unique(truth)) <= {0.0, 1.0}:
        return _mean_of_samples((values - truth) ** 2)
    if scores and are_probabilities(values) and bool((truth.sum(axis=-1) == 1).all()):
        return _class_losses(values, truth.argmax(axis=-1))
    yes = values if within_0_and_1(values) else sigmoid(values)
    return _mean_of_samples(-np.log(np.where(truth > 0, yes, 1 - yes) + TINY))


def _class_losses(outputs: Array, classes: Array) -> Array | None:
    if classes.min() < 0 or classes.max() >= outputs.shape[-1]:
        return None
    shares = outputs if are_probabilities(outputs) else softmax(outputs)
    chosen = np.take_along_axis(shares, classes[..., None], axis=-1)[..., 0]
    return _mean_of_samples(-np.log(chosen.astype(np.float64) + TINY))


def _mean_of_samples(values: Array) -> Array:
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))

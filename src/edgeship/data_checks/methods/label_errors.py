"""Labels that are probably wrong, by confident learning.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70.

Class probabilities are those of models that have not seen the sample. A sample counts as mislabelled where the probability
of another class reaches that class's threshold, the mean probability of the samples that bear its label.

Where classes overlap, confident learning counts samples too whose labels are right. A wrong label does not care how plain
its sample is, an overlap does: among the most plainly told samples there are as many wrong labels as anywhere, and nearly
none of an overlap. So labels are called wrong only where that quarter of the samples contradicts its labels as well.
"""

from __future__ import annotations

import numpy as np

from edgeship.data_checks.methods.features import Array
from edgeship.light_dataclass import dataclass

PLAIN = 0.25  # share of the samples that are told most plainly
LEAST = 0.01  # share of them that contradicts its labels, at the lower end of its 95 % interval
EVEN = 0.4  # of the share of all samples that contradict their labels
INFORMED = 0.5  # of the errors of the majority class: a model that leaves more knows too little to judge labels


@dataclass(frozen=True)
class LabelErrors:
    """`indices` of samples that are probably mislabelled, the surest first, and the class that each seems to be of.

    `wrong`: the share of samples whose label another class beats; `plain_wrong`: that of the most plainly told quarter.
    `found`: whether labels are wrong, rather than classes overlap.
    """

    indices: Array
    suggested: Array
    wrong: float
    plain_wrong: float
    found: bool


def find_label_errors(labels: Array, probabilities: Array) -> LabelErrors:
    """Look for wrong labels. Labels from 0 on, of shape (n,); out-of-sample probabilities of shape (n, classes)."""
    from scipy.stats import binomtest

    rows = np.arange(len(labels))
    contradicts = probabilities.argmax(axis=1) != labels
    plain = contradicts[np.argsort(-probabilities.max(axis=1), kind="stable")[: max(1, int(PLAIN * len(labels)))]]
    low = binomtest(int(plain.sum()), len(plain)).proportion_ci(0.95, method="wilson").low
    wrong, plain_wrong = float(contradicts.mean()), float(plain.mean())
    majority = np.bincount(labels).max() / len(labels)
    found = low >= LEAST and plain_wrong >= EVEN * wrong and wrong <= INFORMED * (1 - majority)
    suggested = confident_classes(labels, probabilities)
    indices = np.flatnonzero((suggested >= 0) & (suggested != labels))
    margin = probabilities[rows, labels] - probabilities[rows, suggested]
    order = indices[np.argsort(margin[indices], kind="stable")]
    return LabelErrors(order, suggested[order], wrong, plain_wrong, bool(found))


def confident_classes(labels: Array, probabilities: Array) -> Array:
    """The likeliest class of those whose threshold is reached, -1 where none is: the columns of the confident joint."""
    classes = probabilities.shape[1]
    thresholds = np.array(
        [probabilities[labels == kind, kind].mean() if (labels == kind).any() else np.inf for kind in range(classes)]
    )
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    return np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)

"""How far annotators agree: Cohen's kappa, and the samples on which they differ."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

from edgeship.errors import InputError
from edgeship.learning.samples.sample_table import ANNOTATOR, LABEL, SAMPLE, read_table
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable


@dataclass(frozen=True)
class Disagreement:
    """A sample with labels that differ, by annotator."""

    sample: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class AnnotatorPair:
    """Two annotators on the samples that both labelled: the share of same labels, and Cohen's kappa.

    Cohen 1960, Educational and Psychological Measurement 20:37: what is beyond the agreement of two who label as often as these,
    but at random. None where chance alone gives full agreement, as with one label.
    """

    first: str
    second: str
    samples: int
    same: float
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How many labels each annotator gave, all pairs with samples in common, and the samples on which somebody differs."""

    labels: dict[str, int]
    pairs: tuple[AnnotatorPair, ...]
    disagreements: tuple[Disagreement, ...]


def compare_annotators(path: Path) -> Agreement:
    """The agreement in a table with the columns sample, label and annotator. Raises InputError where none has a label."""
    _, rows = read_table(path, (SAMPLE, LABEL, ANNOTATOR))
    given: dict[str, dict[str, str]] = {}
    for row in rows:
        if row[LABEL].strip():
            given.setdefault(row[ANNOTATOR].strip(), {})[row[SAMPLE].strip()] = row[LABEL].strip()
    if not given:
        raise InputError(f"{printable(path)}: no row has a label yet")
    pairs = [_compare(first, second, given) for first, second in combinations(sorted(given), 2)]
    samples = dict.fromkeys(sample for labels in given.values() for sample in labels)
    by_sample = (
        (sample, tuple((who, labels[sample]) for who, labels in sorted(given.items()) if sample in labels))
        for sample in samples
    )
    return Agreement(
        {who: len(labels) for who, labels in sorted(given.items())},
        tuple(pair for pair in pairs if pair is not None),
        tuple(Disagreement(sample, labels) for sample, labels in by_sample if len({label for _, label in labels}) > 1),
    )


def _compare(first: str, second: str, given: dict[str, dict[str, str]]) -> AnnotatorPair | None:
    both = sorted(given[first].keys() & given[second].keys())
    if not both:
        return None
    pairs = [(given[first][sample], given[second][sample]) for sample in both]
    return AnnotatorPair(first, second, len(both), sum(a == b for a, b in pairs) / len(both), find_kappa(pairs))


def find_kappa(pairs: list[tuple[str, str]]) -> float | None:
    """Cohen's kappa of pairs of labels; None where two at random would always agree."""
    n = len(pairs)
    one, two = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(one[label] * two[label] for label in one) / n**2
    if chance >= 1:
        return None
    return (sum(a == b for a, b in pairs) / n - chance) / (1 - chance)

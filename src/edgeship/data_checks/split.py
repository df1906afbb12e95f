"""A split of data as the checks see it, whatever it was read of: a table, pictures, arrays."""

from __future__ import annotations

import numpy as np

from edgeship.data_checks.methods.features import Array, Feature
from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class Split:
    """All samples' hashes, and features and labels of those that were drawn for models and tests.

    `drawn`: their indices among all `samples`, in ascending order. `features` of them: what a model learns from;
    `facts`: what should tell nothing (a picture's size), and is looked at for leaks as columns of a table are; so are `words`,
    what texts tell by one word of each class.
    `label`: the label's name, empty without one; `labels` of the drawn samples: class numbers in the order of
    `class_counts` (of all samples), or numbers where that is empty. `groups` of the drawn samples, as numbers;
    `group_names` of all. `column_hashes`: see `duplicates.chance_explains`, None where equal samples are never chance.
    """

    path: str
    samples: int
    hashes: Array
    drawn: Array
    features: tuple[Feature, ...]
    facts: tuple[Feature, ...] = ()
    words: tuple[Feature, ...] = ()
    label: str = ""
    labels: Array | None = None
    class_counts: tuple[tuple[str, int], ...] = ()
    groups: Array | None = None
    group_names: frozenset[str] = frozenset()
    column_hashes: Array | None = None
    names: tuple[str, ...] = ()
    first_row: int = 0

    def name_sample(self, index: int) -> str:
        """What a sample is called: its own name, or its row."""
        return self.names[index] if self.names else f"row {index + self.first_row:,}"

    @property
    def classes(self) -> int:
        """How many classes there are; 0 where the label is a number, or there is none."""
        return len(self.class_counts)

    def one_of_each_group(self) -> Array:
        """Places among the drawn samples, one of each group: what tests that need independent samples take."""
        if self.groups is None:
            return np.arange(len(self.drawn))
        return np.sort(np.unique(self.groups, return_index=True)[1])


def draw_samples(samples: int, most: int) -> Array:
    """Indices of at most that many samples, drawn without replacement (seed 0), in ascending order."""
    if samples <= most:
        return np.arange(samples)
    return np.sort(np.random.default_rng(0).choice(samples, most, replace=False))

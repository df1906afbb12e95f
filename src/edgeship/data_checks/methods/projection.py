"""Many numbers of a sample as few: its principal components, for models and tests that take columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeship.data_checks.methods.features import Array, Feature
from edgeship.light_dataclass import dataclass

COMPONENTS = 24


@dataclass(frozen=True)
class Projection:
    """The mean of a split's samples, of shape (numbers,), and its principal components, of shape (components, numbers)."""

    mean: Array
    components: Array

    def project(self, matrix: Array) -> tuple[Feature, ...]:
        """The components of samples of shape (n, numbers), as features."""
        values = (matrix - self.mean) @ self.components.T
        return tuple(Feature(f"component {place + 1}", values[:, place]) for place in range(values.shape[1]))


def fit_projection(matrices: Sequence[Array]) -> Projection:
    """The projection onto at most 24 principal components of all splits' samples, each of shape (n, numbers) (seed 0).

    All splits: components fitted to one of them would vary less on another, and the two look unlike.
    """
    from sklearn.decomposition import PCA

    matrix = np.concatenate(matrices)
    count = min(COMPONENTS, *matrix.shape)
    fitted = PCA(count, svd_solver="randomized", random_state=0).fit(matrix)
    return Projection(np.asarray(fitted.mean_), np.asarray(fitted.components_))

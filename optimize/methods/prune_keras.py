"""Magnitude pruning in Keras 3 itself, for models that cannot be rebuilt in tf_keras: the same recipe, the same formulas.

Masks follow TFMOT's rules (`pruning_impl.Pruning`): the largest magnitudes stay, chosen anew when the schedule says so; at
every step the others are set to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeship.optimize.methods.prune_schedule import Schedule
from edgeship.optimize.training.selection import SelectedTensor
from edgeship.recipes.training import PruneRecipe

Array = np.ndarray[Any, Any]
KEEP, GROUP = 2, 4  # 2:4 sparsity: so many of so many may differ from zero


def mask(weights: Array, sparsity: float, recipe: PruneRecipe) -> Array:
    """Ones where weights stay, of the weights' shape; at least one of them stays."""
    if recipe.pattern == "2:4":
        return _grouped(weights)
    if recipe.block != (1, 1):
        return _blocked(weights, sparsity, recipe.block)
    return _largest(np.abs(weights), sparsity)


def _largest(magnitudes: Array, sparsity: float) -> Array:
    count = max(1, int(np.round(magnitudes.size * (1 - sparsity))))
    kept = np.argpartition(-magnitudes, count - 1, axis=None)[:count]
    flat = np.zeros(magnitudes.size, magnitudes.dtype)
    flat[kept] = 1
    return flat.reshape(magnitudes.shape)


def _blocked(weights: Array, sparsity: float, block: tuple[int, int]) -> Array:
    """Whole blocks of a two-dimensional kernel, by their mean magnitude; those at the edges may be smaller."""
    rows, columns = weights.shape
    tall, wide = (-(-size // step) for size, step in zip(weights.shape, block, strict=True))
    padded = np.full((tall * block[0], wide * block[1]), np.nan, weights.dtype)
    padded[:rows, :columns] = np.abs(weights)
    means = np.nanmean(padded.reshape(tall, block[0], wide, block[1]), axis=(1, 3))
    spread = np.kron(_largest(means, sparsity), np.ones(block, weights.dtype))
    return spread[:rows, :columns].astype(weights.dtype)


def _grouped(weights: Array) -> Array:
    """The two largest of every four along the input channels, which are the last axis but one and a multiple of four."""
    moved = np.moveaxis(weights, -2, -1)
    groups = np.abs(moved).reshape(*moved.shape[:-1], -1, GROUP)
    order = np.argsort(-groups, axis=-1, kind="stable")
    kept = np.zeros(groups.shape, weights.dtype)
    np.put_along_axis(kept, order[..., :KEEP], 1, axis=-1)
    return np.moveaxis(kept.reshape(moved.shape), -1, -2)


class Masks(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the chosen tensors of a model in training as sparse as the schedule says."""

    def __init__(self, tensors: Sequence[SelectedTensor], recipe: PruneRecipe, schedule: Schedule) -> None:
        super().__init__()
        self._recipe, self._schedule = recipe, schedule
        self._tensors = [item.variable for item in tensors]
        self._masks = [np.ones(tuple(variable.shape), np.float32) for variable in self._tensors]
        self._step = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Choose masks anew where it is time to, and apply them before the weights are used."""
        self._step += 1
        # As in TFMOT: zeros in groups are chosen once, from the trained weights.
        due = self._step == 1 if self._recipe.pattern == "2:4" else self._schedule.due(self._step)
        if due:
            sparsity = self._schedule.at(self._step)
            self._masks = [mask(np.asarray(variable), sparsity, self._recipe) for variable in self._tensors]
        self._apply()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """What the last step moved away from zero goes back to it, before a checkpoint is taken."""
        self._apply()

    def _apply(self) -> None:
        for variable, kept in zip(self._tensors, self._masks, strict=True):
            variable.assign(np.asarray(variable) * kept)

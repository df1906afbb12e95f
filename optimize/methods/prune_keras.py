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


def build_mask(weights: Array, sparsity: float, recipe: PruneRecipe) -> Array:
    """Ones where weights stay, of the weights' shape; at least one of them stays."""
    if recipe.pattern == "2:4":
        return _mask_groups(weights)
    if recipe.block != (1, 1):
        return _mask_blocks(weights, sparsity, recipe.block)
    return _mask_largest(np.abs(weights), sparsity)


def _mask_largest(magnitudes: Array, sparsity: float) -> Array:
    count = max(1, int(np.round(magnitudes.size * (1 - sparsity))))
    places = np.argpartition(-magnitudes, count - 1, axis=None)[:count]
    flat = np.zeros(magnitudes.size, magnitudes.dtype)
    flat[places] = 1
    return flat.reshape(magnitudes.shape)


def _mask_blocks(weights: Array, sparsity: float, block: tuple[int, int]) -> Array:
    """Whole blocks of a two-dimensional kernel, by their mean magnitude; those at the edges may be smaller."""
    rows, columns = weights.shape
    tall, wide = (-(-size // step) for size, step in zip(weights.shape, block, strict=True))
    magnitudes = np.full((tall * block[0], wide * block[1]), np.nan, weights.dtype)
    magnitudes[:rows, :columns] = np.abs(weights)
    means = np.nanmean(magnitudes.reshape(tall, block[0], wide, block[1]), axis=(1, 3))
    spread = np.kron(_mask_largest(means, sparsity), np.ones(block, weights.dtype))
    return spread[:rows, :columns].astype(weights.dtype)


def _mask_groups(weights: Array) -> Array:
    """The two largest of every four along the input channels, which are the last axis but one and a multiple of four."""
    channels_last = np.moveaxis(weights, -2, -1)
    groups = np.abs(channels_last).reshape(*channels_last.shape[:-1], -1, GROUP)
    order = np.argsort(-groups, axis=-1, kind="stable")
    mask = np.zeros(groups.shape, weights.dtype)
    np.put_along_axis(mask, order[..., :KEEP], 1, axis=-1)
    return np.moveaxis(mask.reshape(channels_last.shape), -1, -2)


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
        due = self._step == 1 if self._recipe.pattern == "2:4" else self._schedule.is_due(self._step)
        if due:
            sparsity = self._schedule.sparsity_at(self._step)
            self._masks = [build_mask(np.asarray(variable), sparsity, self._recipe) for variable in self._tensors]
        self._apply_masks()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """What the last step moved away from zero goes back to it, before a checkpoint is taken."""
        self._apply_masks()

    def _apply_masks(self) -> None:
        for variable, mask in zip(self._tensors, self._masks, strict=True):
            variable.assign(np.asarray(variable) * mask)

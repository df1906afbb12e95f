"""Pruning: one recipe, two engines. TFMOT through the bridge where the model can be rebuilt, masks in Keras 3 where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeship.errors import CheckError, InputError
from edgeship.optimize.bridge.bridge import BridgedLayer
from edgeship.optimize.bridge.graph import BridgeError
from edgeship.optimize.bridge.proof import bridge_with_proof
from edgeship.optimize.methods.prune_keras import GROUP, KEEP, Masks
from edgeship.optimize.methods.prune_schedule import NEAR, Schedule, derive_schedule
from edgeship.optimize.receipt import PrunedTensor, PruneReceipt, ScheduleReceipt, TrainingHistory
from edgeship.optimize.training import loop
from edgeship.optimize.training.selection import SelectedTensor, select_tensors, share_of_zeros
from edgeship.optimize.training.trainable import TrainableModel
from edgeship.recipes.training import PruneRecipe


def prune(trainable: TrainableModel, recipe: PruneRecipe, task: loop.TrainingTask) -> PruneReceipt:
    """Prune the model in place while training it further; returns what the receipt says of it.

    Raises InputError for a pattern that matches nothing and for a schedule that cannot reach the sparsity asked for.
    """
    tensors, skip_reasons = eligible_tensors(select_tensors(trainable.model, recipe.layers, "pruned"), recipe)
    schedule = derive_schedule(recipe, task.steps)
    try:
        history, why = _prune_with_tfmot(trainable, tensors, recipe, schedule, task), None
    except BridgeError as error:
        why = str(error)
        history = loop.fit(
            trainable.trainer(task.outputs),
            keras,
            task,
            callbacks=[Masks(tensors, recipe, schedule)],
            ready=schedule.end,
        )
    return PruneReceipt(
        engine="tfmot" if why is None else "masks",
        why=why,
        asked=recipe.sparsity,
        pattern=recipe.pattern or "anywhere",
        schedule=ScheduleReceipt(recipe.schedule, schedule.begin, schedule.end, schedule.frequency),
        steps=task.steps,
        tensors=tuple(item.name for item in tensors),
        skipped=skip_reasons,
        training=history,
    )


def eligible_tensors(
    tensors: Sequence[SelectedTensor], recipe: PruneRecipe
) -> tuple[list[SelectedTensor], dict[str, str]]:
    """The tensors that the recipe's pattern can lie in, and why the others are left dense. Raises InputError for none."""
    reasons = {item.name: _unfit_reason(tuple(item.variable.shape), recipe) for item in tensors}
    fit = [item for item in tensors if not reasons[item.name]]
    if not fit:
        name, reason = next(iter(reasons.items()))
        raise InputError(f"no tensor can be pruned in the pattern {recipe.pattern}: {name} {reason}")
    return fit, {name: reason for name, reason in reasons.items() if reason}


def _unfit_reason(shape: tuple[int, ...], recipe: PruneRecipe) -> str:
    shape_text = "x".join(map(str, shape))
    if recipe.pattern == "2:4" and (len(shape) not in (2, 4) or shape[-2] % GROUP):
        return f"is {shape_text}: 2:4 needs a kernel of 2 or 4 dimensions with input channels in fours"
    if recipe.block != (1, 1) and len(shape) != 2:
        return f"is {shape_text}: blocks need a kernel of 2 dimensions"
    return ""


def _prune_with_tfmot(
    trainable: TrainableModel,
    tensors: Sequence[SelectedTensor],
    recipe: PruneRecipe,
    schedule: Schedule,
    task: loop.TrainingTask,
) -> TrainingHistory:
    """Prune through the bridge. Raises BridgeError where the model cannot be rebuilt."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    variable_ids = {id(item.variable) for item in tensors}
    settings = _tfmot_settings(recipe, schedule, tfmot.sparsity.keras)

    def wrap_layer(bridged_layer: BridgedLayer) -> Any:
        if not any(id(variable) in variable_ids for variable in getattr(bridged_layer.source, "variables", ())):
            return bridged_layer.layer
        # TFMOT asks the layer itself: the same tensors then, whatever its class, as the other engine prunes.
        bridged_layer.layer.get_prunable_weights = lambda: [
            weight for source, weight in bridged_layer.weight_pairs() if id(source) in variable_ids
        ]
        return tfmot.sparsity.keras.prune_low_magnitude(bridged_layer.layer, **settings)

    bridge, _ = bridge_with_proof(trainable.model, wrap_layer)
    trainer = trainable.bridged_trainer(bridge, task.outputs)
    steps = [tfmot.sparsity.keras.UpdatePruningStep()]
    history = loop.fit(trainer, tf_keras, task, callbacks=steps, ready=schedule.end)
    bridge.copy_weights_back()
    return history


def _tfmot_settings(recipe: PruneRecipe, schedule: Schedule, api: Any) -> dict[str, Any]:
    times = {"begin_step": schedule.begin, "end_step": schedule.end, "frequency": schedule.frequency}
    pruning_schedule = (
        api.PolynomialDecay(initial_sparsity=0.0, final_sparsity=recipe.sparsity, power=3, **times)
        if schedule.rising
        else api.ConstantSparsity(recipe.sparsity, **times)
    )
    pattern = {"sparsity_m_by_n": (KEEP, GROUP)} if recipe.pattern == "2:4" else {"block_size": recipe.block}
    return {"pruning_schedule": pruning_schedule, **pattern}


def check(model: Any, recipe: PruneRecipe, names: Sequence[str]) -> tuple[PrunedTensor, ...]:
    """Asked and achieved sparsity per tensor, read from the model. Raises CheckError naming the tensors that miss it."""
    tensors = {item.name: np.asarray(item.variable) for item in select_tensors(model, (), "pruned")}
    rows, misses = [], []
    for name in names:
        array = tensors[name]
        share = share_of_zeros(array)
        # Whole numbers of values, or of blocks, are kept: at least one.
        grain = recipe.block[0] * recipe.block[1] / array.size
        rows.append(PrunedTensor(name, recipe.sparsity, share, int(array.size)))
        if share < recipe.sparsity - max(NEAR, grain) or (recipe.pattern == "2:4" and not _is_sparse_in_groups(array)):
            misses.append(f"{name} {share:.1%}")
    if misses:
        raise CheckError(f"asked for a sparsity of {recipe.sparsity:.1%}, got less in: {', '.join(misses[:8])}")
    return tuple(rows)


def _is_sparse_in_groups(array: Any) -> bool:
    channels_last = np.moveaxis(array, -2, -1)
    return bool(np.all(np.count_nonzero(channels_last.reshape(-1, GROUP), axis=-1) <= KEEP))

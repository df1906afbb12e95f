"""Pruning: one recipe, two engines. TFMOT through the bridge where the model can be rebuilt, masks in Keras 3 where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeship.errors import CheckError, InputError
from edgeship.optimize.bridge.bridge import BridgedLayer
from edgeship.optimize.bridge.graph import BridgeError
from edgeship.optimize.bridge.proof import proven
from edgeship.optimize.methods.prune_keras import GROUP, KEEP, Masks
from edgeship.optimize.methods.prune_schedule import NEAR, Schedule, derive
from edgeship.optimize.training import loop
from edgeship.optimize.training.selection import SelectedTensor, select_tensors, zeros
from edgeship.optimize.training.trainable import TrainableModel
from edgeship.recipes.training import PruneRecipe


def prune(subject: TrainableModel, recipe: PruneRecipe, task: loop.TrainingTask) -> dict[str, Any]:
    """Prune the subject's model in place while training it further; returns what the receipt says of it.

    Raises InputError for a pattern that matches nothing and for a schedule that cannot reach the sparsity asked for.
    """
    tensors, skipped = eligible(select_tensors(subject.model, recipe.layers, "pruned"), recipe)
    schedule = derive(recipe, task.steps)
    try:
        course, engine = _with_tfmot(subject, tensors, recipe, schedule, task), {"engine": "tfmot"}
    except BridgeError as error:
        engine = {"engine": "masks", "why": str(error)}
        course = loop.fit(
            subject.trainer(task.outputs), keras, task, callbacks=[Masks(tensors, recipe, schedule)], ready=schedule.end
        )
    return {
        **engine,
        "asked": recipe.sparsity,
        "pattern": recipe.pattern or "anywhere",
        "schedule": {
            "kind": recipe.schedule,
            "begin": schedule.begin,
            "end": schedule.end,
            "frequency": schedule.frequency,
        },
        "steps": task.steps,
        "tensors": [item.name for item in tensors],
        "skipped": skipped,
        "training": course,
    }


def eligible(tensors: Sequence[SelectedTensor], recipe: PruneRecipe) -> tuple[list[SelectedTensor], dict[str, str]]:
    """The tensors that the recipe's pattern can lie in, and why the others are left dense. Raises InputError for none."""
    reasons = {item.name: _unfit(tuple(item.variable.shape), recipe) for item in tensors}
    fit = [item for item in tensors if not reasons[item.name]]
    if not fit:
        name, reason = next(iter(reasons.items()))
        raise InputError(f"no tensor can be pruned in the pattern {recipe.pattern}: {name} {reason}")
    return fit, {name: reason for name, reason in reasons.items() if reason}


def _unfit(shape: tuple[int, ...], recipe: PruneRecipe) -> str:
    shown = "x".join(map(str, shape))
    if recipe.pattern == "2:4" and (len(shape) not in (2, 4) or shape[-2] % GROUP):
        return f"is {shown}: 2:4 needs a kernel of 2 or 4 dimensions with input channels in fours"
    if recipe.block != (1, 1) and len(shape) != 2:
        return f"is {shown}: blocks need a kernel of 2 dimensions"
    return ""


def _with_tfmot(
    subject: TrainableModel,
    tensors: Sequence[SelectedTensor],
    recipe: PruneRecipe,
    schedule: Schedule,
    task: loop.TrainingTask,
) -> loop.TrainingHistory:
    """Prune through the bridge. Raises BridgeError where the model cannot be rebuilt."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    wanted = {id(item.variable) for item in tensors}
    settings = _settings(recipe, schedule, tfmot.sparsity.keras)

    def wrap(bridged: BridgedLayer) -> Any:
        if not any(id(variable) in wanted for variable in getattr(bridged.source, "variables", ())):
            return bridged.layer
        # TFMOT asks the layer itself: the same tensors then, whatever its class, as the other engine prunes.
        bridged.layer.get_prunable_weights = lambda: [
            weight for source, weight in bridged.pairs() if id(source) in wanted
        ]
        return tfmot.sparsity.keras.prune_low_magnitude(bridged.layer, **settings)

    built, _ = proven(subject.model, wrap)
    trainer = subject.bridged_trainer(built, task.outputs)
    steps = [tfmot.sparsity.keras.UpdatePruningStep()]
    course = loop.fit(trainer, tf_keras, task, callbacks=steps, ready=schedule.end)
    built.back()
    return course


def _settings(recipe: PruneRecipe, schedule: Schedule, api: Any) -> dict[str, Any]:
    times = {"begin_step": schedule.begin, "end_step": schedule.end, "frequency": schedule.frequency}
    made = (
        api.PolynomialDecay(initial_sparsity=0.0, final_sparsity=recipe.sparsity, power=3, **times)
        if schedule.rising
        else api.ConstantSparsity(recipe.sparsity, **times)
    )
    pattern = {"sparsity_m_by_n": (KEEP, GROUP)} if recipe.pattern == "2:4" else {"block_size": recipe.block}
    return {"pruning_schedule": made, **pattern}


def check(model: Any, recipe: PruneRecipe, names: Sequence[str]) -> list[dict[str, Any]]:
    """Asked and achieved sparsity per tensor, read from the model. Raises CheckError naming the tensors that miss it."""
    found = {item.name: np.asarray(item.variable) for item in select_tensors(model, (), "pruned")}
    rows, missed = [], []
    for name in names:
        array = found[name]
        share = zeros(array)
        # Whole numbers of values, or of blocks, are kept: at least one.
        grain = recipe.block[0] * recipe.block[1] / array.size
        rows.append({"tensor": name, "asked": recipe.sparsity, "achieved": share, "values": int(array.size)})
        if share < recipe.sparsity - max(NEAR, grain) or (recipe.pattern == "2:4" and not _in_groups(array)):
            missed.append(f"{name} {share:.1%}")
    if missed:
        raise CheckError(f"asked for a sparsity of {recipe.sparsity:.1%}, got less in: {', '.join(missed[:8])}")
    return rows


def _in_groups(array: Any) -> bool:
    moved = np.moveaxis(array, -2, -1)
    return bool(np.all(np.count_nonzero(moved.reshape(-1, GROUP), axis=-1) <= KEEP))

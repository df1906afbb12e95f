"""Distillation with Keras's own Distiller: a smaller model learns from the server model's answers and from the labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeship.errors import InputError
from edgeship.optimize.bridge.graph import functional_graph
from edgeship.optimize.receipt import DistillReceipt, ParameterCounts
from edgeship.optimize.training import loop
from edgeship.optimize.training.dataset import unwrap_single
from edgeship.optimize.training.losses import CLASSES, ONE_HOT, Loss
from edgeship.optimize.training.trainable import TrainableModel, from_keras_model
from edgeship.recipes.training import DistillRecipe
from edgeship.server_model import server_model
from edgeship.server_model.server_model import ServerModel

WIDTHS = ("filters", "units")
GRAIN = 4  # widths are multiples of it: what SIMD kernels fill
RATE = 3.0  # of the learning rate: the student begins from random weights
LEAST = 1e-7  # a probability below it is taken for it


def distill(
    server: ServerModel, teacher: TrainableModel, recipe: DistillRecipe, task: loop.TrainingTask
) -> tuple[TrainableModel, DistillReceipt]:
    """A trained student, and what the receipt says of it.

    Raises InputError where no student can be made of the model, or the given one does not take and give what it does.
    """
    keras.utils.set_random_seed(task.settings.seed)
    student = (
        _load_student(recipe.student, server)
        if recipe.student
        else from_keras_model(thin_model(teacher.model, recipe.width), server)
    )
    classes = [loss.name in (CLASSES, ONE_HOT) for loss in task.losses]
    single = len(classes) == 1
    kinds = tuple("kl_divergence" if is_class else "mean_squared_error" for is_class in classes)
    distiller = keras.distillation.Distiller(
        teacher=_logits_model(teacher, task),
        student=_logits_model(student, task),
        distillation_losses=keras.distillation.LogitsDistillation(recipe.temperature, kinds[0] if single else kinds),
        student_loss_weight=recipe.labels,
    )
    losses = tuple(
        Loss(loss.name, logits=is_class or loss.logits) for loss, is_class in zip(task.losses, classes, strict=True)
    )
    try:
        history = loop.fit(distiller, keras, replace(task.by_labels, losses=losses), rate=RATE, pack=tuple)
    finally:
        teacher.model.trainable = True  # Distiller freezes it
    name = Path(recipe.student).name if recipe.student else f"the server model at {recipe.width:g} of its width"
    return student, DistillReceipt(
        engine="keras.distillation",
        student=name,
        parameters=ParameterCounts(server.parameters, student.model.count_params()),
        temperature=recipe.temperature,
        weight_of_labels=recipe.labels,
        training=history,
    )


def thin_model(model: Any, width: float) -> Any:
    """A new model of the same graph whose hidden layers have `width` of their units; those that answer keep theirs.

    Layers whose weights keep their shapes begin with the server model's (a Normalization needs them), the others at random.
    """
    graph = functional_graph(model)
    if graph is None:
        raise InputError("a subclassed model cannot be thinned: give the smaller model as student")
    last = _answering_layers(graph)

    def thin_layer(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name not in last:
            config |= {key: _scale_width(config[key], width) for key in WIDTHS if isinstance(config.get(key), int)}
        return type(layer).from_config(config)

    try:
        student = keras.models.clone_model(model, clone_function=thin_layer, recursive=True)
    except (ValueError, TypeError) as error:
        raise InputError(f"this model cannot be thinned ({error}): give the smaller model as student") from error
    for student_layer, teacher_layer in zip(student._flatten_layers(), model._flatten_layers(), strict=True):
        shapes = [[tuple(weight.shape) for weight in layer.weights] for layer in (student_layer, teacher_layer)]
        if not student_layer._layers and student_layer.weights and shapes[0] == shapes[1]:
            student_layer.set_weights(teacher_layer.get_weights())
            if hasattr(student_layer, "finalize_state"):
                student_layer.finalize_state()
    return student


def _scale_width(size: int, width: float) -> int:
    return size if size < GRAIN else max(GRAIN, GRAIN * round(size * width / GRAIN))


def _answering_layers(graph: Any) -> set[str]:
    """The names of the layers that decide the outputs' widths: back from each output to the first layer with a width."""
    names: set[str] = set()
    pending = list(graph.outputs)
    while pending:
        operation, node, _ = pending.pop()._keras_history
        inner = functional_graph(operation) if isinstance(operation, keras.Model) else None
        if inner is not None:
            names |= _answering_layers(inner)
        elif any(hasattr(operation, key) for key in WIDTHS):
            names.add(operation.name)
        elif operation is not None and not operation._inbound_nodes[node].is_input:
            pending += operation._inbound_nodes[node].input_tensors
    return names


def _load_student(path: str, server: ServerModel) -> TrainableModel:
    """The student of that file, if it has the server model's inputs and outputs."""
    student = server_model.load(path)
    for side in ("inputs", "outputs"):
        student_specs, server_specs = (
            [(spec.shape, spec.dtype) for spec in getattr(side_model, side)] for side_model in (student, server)
        )
        if student_specs != server_specs:
            raise InputError(f"{path}: its {side} are {student_specs}, those of the server model {server_specs}")
    if student.loader != "keras":
        raise InputError(f"{path}: the student must be a Keras 3 model")
    return from_keras_model(student.adapter.model, server)


def _logits_model(trainable: TrainableModel, task: loop.TrainingTask) -> Any:
    """A model that answers with logits for outputs that are classes: the logarithm of probabilities is one."""
    trainer = trainable.trainer(task.outputs)
    outputs = []
    for tensor, loss in zip(keras.tree.flatten(trainer.outputs), task.losses, strict=True):
        probabilities = loss.name in (CLASSES, ONE_HOT) and not loss.logits
        outputs.append(keras.ops.log(keras.ops.clip(tensor, LEAST, np.inf)) if probabilities else tensor)
    return keras.Model(unwrap_single(trainer.inputs), unwrap_single(tuple(outputs)))

"""The model under work: its Keras 3 form, and models for training it whose inputs and outputs are flat and in canonical order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.optimize.bridge.bridge import Bridge
from edgeship.optimize.bridge.graph import functional_graph
from edgeship.optimize.training.dataset import unwrap_single
from edgeship.server_model import tensor_names
from edgeship.server_model.server_model import ServerModel

LEGACY = (
    "{path}: this is a {kind}; pruning, clustering and quantization-aware training need a Keras 3 model: "
    "load it there and save it as .keras"
)


@dataclass(frozen=True)
class TrainableModel:
    """A loaded model and its symbolic ends, in the order of the server model's inputs and outputs."""

    model: Any
    inputs: tuple[Any, ...]
    outputs: Mapping[str, Any]

    def trainer(self, names: Sequence[str]) -> Any:
        """A Keras 3 model over the same layers that answers with the named outputs only."""
        return keras.Model(unwrap_single(list(self.inputs)), unwrap_single([self.outputs[name] for name in names]))

    def bridged_trainer(self, bridge: Bridge, names: Sequence[str]) -> Any:
        """The same for the tf_keras model of a bridge."""
        import tf_keras

        inputs = [bridge.tensors[id(tensor)] for tensor in self.inputs]
        outputs = [bridge.tensors[id(self.outputs[name])] for name in names]
        return tf_keras.Model(unwrap_single(inputs), unwrap_single(outputs))


def from_server_model(server: ServerModel, path: str) -> TrainableModel:
    """A server model, to be trained further. Raises InputError for a model that Keras 3 did not load."""
    if server.loader != "keras":
        kind = "SavedModel" if server.loader == "saved_model" else "Keras 2 model"
        raise InputError(LEGACY.format(path=path, kind=kind))
    return from_keras_model(server.adapter.model, server)


def from_keras_model(model: Any, server: ServerModel) -> TrainableModel:
    """A Keras 3 model with the ends of that server model."""
    graph = functional_graph(model)
    if graph is not None:
        inputs = [tensor for _, tensor in tensor_names.flatten_structure(graph._inputs_struct)]
        structure = graph._outputs_struct
    else:
        inputs, structure = _call_on_symbolic_inputs(model, server)
    outputs = [tensor for _, tensor in tensor_names.flatten_structure(structure)]
    if len(outputs) != len(server.outputs):
        raise InputError("the model has outputs that are no numbers; give the numeric part of it")
    names = (spec.name for spec in server.outputs)
    return TrainableModel(model, tuple(inputs), dict(zip(names, outputs, strict=True)))


def _call_on_symbolic_inputs(model: Any, server: ServerModel) -> tuple[list[Any], Any]:
    """A subclassed model called on symbolic inputs, in the structure that its file records."""
    shapes = dict(getattr(model, "_build_shapes_dict", None) or {})
    if len(shapes) > 1:
        raise InputError(
            f"the subclassed model '{type(model).__name__}' takes several arguments; to train it further it must take one "
            "(a dict or a list of inputs)"
        )
    slots = server.adapter.slots
    inputs = [keras.Input(slot.shape[1:], batch_size=slot.shape[0], dtype=slot.dtype, name=slot.name) for slot in slots]
    if len(inputs) == 1 and not isinstance(next(iter(shapes.values()), None), dict):
        return inputs, model(inputs[0])
    return inputs, model(_fill_shapes(next(iter(shapes.values())), iter(inputs)))


def _fill_shapes(shape: Any, inputs: Any) -> Any:
    """A structure of shapes with inputs in their places, in the order of `tensor_names.flatten_structure`."""
    if isinstance(shape, dict):
        inputs_by_key = {key: _fill_shapes(shape[key], inputs) for key in sorted(shape, key=str)}
        return {key: inputs_by_key[key] for key in shape}
    if all(size is None or isinstance(size, int) for size in shape):
        return next(inputs)
    return [_fill_shapes(item, inputs) for item in shape]

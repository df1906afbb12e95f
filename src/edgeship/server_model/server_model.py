"""The server model: any Keras file or SavedModel, loaded once, called by named inputs and answering named outputs.

It is the reference of every comparison: run by TensorFlow, in inference mode, in float32.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError, brief_message
from edgeship.server_model import model_files
from edgeship.server_model.adapter import Adapter, Outputs, count_parameters, first_samples, input_specs, root_cause
from edgeship.server_model.description import PredictedSamples, ServerModelDescription
from edgeship.server_model.meta_graph import find_activation
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import TensorSpec
from edgeship.untrusted import damage_as_input_error, limits

Arrays = dict[str, np.ndarray[Any, Any]]


class ServerModel:
    """A loaded model with stable names. `inputs` and `outputs` have None where an axis is dynamic.

    Attributes: `loader` ('keras', 'tf_keras' or 'saved_model'), `notes`, `inputs`, `outputs`, `parameters`, `layers`
    (names), `own_batch` (the batch size that it was saved with, or None), `fixed_batch` (the only one that its code can be
    traced with, or None).
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.loader, self.layers = adapter.loader, adapter.layers
        self.parameters = count_parameters(adapter.weights)
        specs, notes = input_specs(adapter)
        self._outputs = Outputs(adapter, specs)
        self.own_batch = next((spec.shape[0] for spec in specs if spec.shape and spec.shape[0] is not None), None)
        self.fixed_batch: int | None = None
        try:
            self.function = self.trace([_with_batch_size(spec, None) for spec in specs])
        except InputError:
            raise
        except Exception as error:  # a model's own code can fail in any way while it is traced
            self.fixed_batch = self.own_batch or 1
            self.function = self._trace_fixed(specs, error)
            notes.append(
                f"its code needs a fixed batch size: traced with {self.fixed_batch} ({brief_message(root_cause(error))})"
            )
        self.inputs = tuple(_with_batch_size(spec, self.fixed_batch) for spec in specs)
        self.outputs = self._output_specs(self.function)
        self.notes = (*adapter.notes, *notes, *self._outputs.notes)

    def _trace_fixed(self, specs: Sequence[TensorSpec], cause: Exception) -> Any:
        try:
            return self.trace([_with_batch_size(spec, self.fixed_batch) for spec in specs])
        except Exception as error:  # see above; this one is the user's to solve
            raise InputError(
                f"the model cannot be run as a graph ({type(cause).__name__}: {brief_message(root_cause(cause))})"
            ) from error

    def trace(self, specs: Sequence[TensorSpec]) -> Any:
        """A concrete function of the whole model for these input shapes: keyword tensors in, `{output name: tensor}` out."""
        import tensorflow as tf

        def serve(**feeds: Any) -> dict[str, Any]:
            return self._outputs([feeds[spec.name] for spec in specs])

        tensors = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in specs}
        function = tf.function(serve, autograph=False)
        return function.get_concrete_function(**tensors)

    def predict_eagerly(self, feeds: Mapping[str, Any]) -> Arrays:
        """What the model answers outside any graph of ours, as `{output name: array}`."""
        import tensorflow as tf

        tensors = self._outputs([tf.constant(feeds[spec.name], spec.dtype) for spec in self.inputs])
        return {name: np.asarray(tensor) for name, tensor in tensors.items()}

    def predict(self, feeds: Mapping[str, Any], batch_size: int = 256) -> Arrays:
        """Outputs for arrays under the input names, batch axis first; a fixed batch size is met by repeating the last sample."""
        total = len(next(iter(feeds.values())))
        size = self.fixed_batch or batch_size
        parts = [
            self._predict_batch({name: array[start : start + size] for name, array in feeds.items()})
            for start in range(0, total, size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _predict_batch(self, feeds: Mapping[str, Any]) -> Arrays:
        import tensorflow as tf

        samples = len(next(iter(feeds.values())))
        missing = (self.fixed_batch or samples) - samples
        full_feeds = {
            name: np.concatenate([array, np.repeat(array[-1:], missing, 0)]) if missing else array
            for name, array in feeds.items()
        }
        tensors = self.function(**{spec.name: tf.constant(full_feeds[spec.name], spec.dtype) for spec in self.inputs})
        return {name: first_samples(name, np.asarray(tensors[name]), samples) for name in self._outputs.names}

    def _find_activations(self, function: Any) -> tuple[str, ...]:
        graph, tensors = function.graph.as_graph_def(), function.structured_outputs
        return tuple(find_activation(graph, tensors[name].name) for name in self._outputs.names)

    def _output_specs(self, function: Any) -> tuple[TensorSpec, ...]:
        tensors = function.structured_outputs
        return tuple(_output_spec(name, tensors[name]) for name in self._outputs.names)

    def describe(self, inputs: Sequence[TensorSpec] | None = None, function: Any = None) -> ServerModelDescription:
        """What is known of the model; of the `function` that `trace` gave for other `inputs` than its own."""
        concrete = function or self.function
        weights = list(concrete.graph.variables) or self.adapter.weights
        return ServerModelDescription(
            inputs=tuple(inputs or self.inputs),
            outputs=self._output_specs(concrete),
            parameters=self.parameters,
            loader=self.loader,
            notes=self.notes,
            layers=tuple(self.layers),
            weight_elements=count_parameters(weights),
            kernel_elements=count_parameters([weight for weight in weights if len(weight.shape) >= 2]),
            activations=self._find_activations(concrete),
        )


def _with_batch_size(spec: TensorSpec, size: int | None) -> TensorSpec:
    return TensorSpec(spec.name, (size, *spec.shape[1:]), spec.dtype) if spec.shape else spec


def _output_spec(name: str, tensor: Any) -> TensorSpec:
    if tensor.shape.rank is None:
        raise InputError(
            f"output '{name}' has no known rank; give it a static rank with a Reshape at the end of the model"
        )
    return TensorSpec(name, tuple(tensor.shape.as_list()), tensor.dtype.name)


_LOADED: dict[tuple[Any, ...], ServerModel] = {}


def load(
    path: str | os.PathLike[str],
    *,
    custom_objects: str | None = None,
    signature: str | None = None,
    allow_unsafe: bool = False,
) -> ServerModel:
    """Load a model once per process and content.

    `custom_objects` names modules that define custom layers, `signature` picks one of a SavedModel's, `allow_unsafe`
    lets Lambda layers execute their code. Raises InputError for anything that is not a model or cannot be loaded.
    """
    model_files.check_kind(Path(path))
    key = (str(Path(path).resolve()), digest.of_path(Path(path)), custom_objects, signature, allow_unsafe)
    if key not in _LOADED:
        from edgeship.server_model import keras, saved_model

        with model_files.exit_after(limits().read_seconds):
            file = model_files.sniff(Path(path))
        if file.kind != "saved_model" and signature not in (None, "serving_default"):
            raise InputError(f"{path}: --signature is for SavedModel folders; a Keras file has one way to be called")
        _LOADED.clear()  # one at a time: models are large, and runs work on one
        with damage_as_input_error(path):
            with model_files.exit_after(limits().replay_seconds):
                if file.kind == "saved_model":
                    adapter = saved_model.load(file.path, signature, allow_unsafe)
                else:
                    adapter = keras.load(file, custom_objects, allow_unsafe)
            _LOADED[key] = ServerModel(adapter)
    return _LOADED[key]


def describe(model: str, **options: Any) -> ServerModelDescription:
    """`ServerModel.describe` of the model at that path, for a `FunctionProcess`."""
    return load(model, **options).describe()


def _predict_source(server: ServerModel, feeds: Arrays, batch: int, source: str) -> Arrays:
    """The model's outputs. Raises InputError for values that it refuses, such as a word's number beyond its vocabulary."""
    import tensorflow as tf

    try:
        return server.predict(feeds, batch)
    except tf.errors.InvalidArgumentError as error:
        cause = str(error).strip().split("\n\n")[-1].split("\n")[0]  # behind the graph's own traceback
        raise InputError(f"{source}: the model cannot answer some samples ({brief_message(cause)})") from error


def predict_file(
    model: str, data: str, out_npz: str, limit: int | None = None, batch: int = 256, source: str = "", **options: Any
) -> PredictedSamples:
    """Run the server model on a data source and write one array per output name to `out_npz` (whole or not at all)."""
    server = load(model, **options)
    feeds = RepresentativeDataset(data).feeds(server.inputs, batch, limit)
    parts = [_predict_source(server, arrays, batch, source or data) for arrays in feeds]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    with atomic_file(out_npz) as beside:
        np.savez(beside, **outputs)  # type: ignore[arg-type]
    return PredictedSamples(len(next(iter(outputs.values()))), tuple(outputs))

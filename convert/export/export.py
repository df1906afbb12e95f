"""One SavedModel with a named signature and a dynamic batch axis, from which every format is converted."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.convert.export import probe, saved_model_cache, unsupported
from edgeship.errors import CheckError, InputError, brief_message
from edgeship.server_model import server_model
from edgeship.server_model.adapter import root_cause
from edgeship.server_model.description import ServerModelDescription
from edgeship.server_model.server_model import ServerModel
from edgeship.storage import atomic
from edgeship.typed_json import convert
from edgeship.types import TensorSpec, to_json

SIGNATURE = unsupported.SIGNATURE
SIDECAR = "edgeship.json"
UNROLLED, BATCH1 = "unrolled", "batch1"
TOLERANCE = 1e-4
# Longer sequences make graphs that converters take minutes for.
UNROLL_AT_MOST = 256


def run(
    model: str,
    out: str,
    custom_objects: str | None = None,
    signature: str | None = None,
    allow_unsafe: bool = False,
    static_batch: int | None = None,
) -> ServerModelDescription:
    """Write the SavedModel to the folder `out` (whole or not at all) and prove it against the loaded model.

    What it returns also lies in the folder as `edgeship.json`: converters and receipts read the canonical names and their
    order there. `static_batch` fixes the batch axis. Raises InputError for models that cannot be loaded or run, CheckError
    where the export answers differently.
    """
    server = server_model.load(model, custom_objects=custom_objects, signature=signature, allow_unsafe=allow_unsafe)
    batch = static_batch or server.fixed_batch
    inputs = tuple(_fix_batch(spec, batch) for spec in server.inputs)
    with atomic.atomic_folder(Path(out)) as draft:
        concrete = server.function if inputs == server.inputs else _trace_batch(server, inputs, batch)
        _write_saved_model(server, concrete, draft)
        answers = _answer_probe(server, inputs)
        description = server.describe(inputs, concrete)
        description = replace(description, notes=(*description.notes, *_prove_export(answers, draft)))
        sidecar = json.dumps(to_json(description), indent=1)
        (draft / SIDECAR).write_text(sidecar, encoding="utf-8")
        _write_variant(server, inputs, answers, draft, sidecar)
    return description


def read_description(saved_model: Path) -> ServerModelDescription:
    """What `run` returned for that folder. Raises InputError where it is not one of its exports."""
    try:
        content = json.loads((saved_model / SIDECAR).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{saved_model}: not an export of edgeship (no {SIDECAR}); run edgeship.convert.export.export first"
        ) from error
    return convert(ServerModelDescription, content)


def _fix_batch(spec: TensorSpec, batch: int | None) -> TensorSpec:
    return TensorSpec(spec.name, (batch, *spec.shape[1:]), spec.dtype) if spec.shape else spec


def _trace_batch(server: ServerModel, inputs: tuple[TensorSpec, ...], batch: int | None) -> Any:
    """The function with a fixed batch. Raises InputError where the model has no such form."""
    try:
        return server.trace(inputs)
    except Exception as error:  # a model's own code can fail in any way on a batch that it does not take
        raise InputError(f"the model has no form with batch {batch} ({brief_message(root_cause(error))})") from error


def _write_saved_model(server: ServerModel, concrete: Any, folder: Path) -> None:
    """Save the function with the variables that it uses.

    Not with the model: its own tracking misses variables of some subclassed models, and traces every layer once more (keras'
    ExportArchive and tf_keras alike: MobileNetV2 took 9 s instead of 2). The proof that follows shows that nothing is lost.
    """
    import tensorflow as tf

    module = tf.Module()
    module.used = list(concrete.graph.variables)
    module.kept = _lookup_tables(server.adapter.model, concrete)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: concrete})


def _lookup_tables(model: Any, concrete: Any) -> list[Any]:
    """The lookup tables that a function uses, which a SavedModel only holds where they are tracked.

    Others would be in the way: tensorflowjs fails on tables that the signature does not read.
    """
    import tensorflow as tf

    handles = {id(outer) for outer, _ in concrete.graph.captures if outer.dtype == tf.resource}
    if len(handles) <= len(concrete.graph.variables):
        return []
    kind = tf.saved_model.experimental.TrackableResource
    tables = (item for item in tf.train.TrackableView(model).descendants() if isinstance(item, kind))
    return [item for item in tables if id(item.resource_handle) in handles]


ProbeAnswers = tuple[probe.Arrays, probe.Arrays, probe.Arrays]


def _prove_export(answers: ProbeAnswers, folder: Path) -> list[str]:
    """Run the export on a probe that the model has answered.

    Returns notes. Raises CheckError on a difference, InputError where the model answers nothing but NaN.
    """
    import tensorflow as tf

    function = saved_model_cache.load(folder).signatures[SIGNATURE]
    feeds, reference, second_answers = answers
    steady = {
        name: value for name, value in reference.items() if np.array_equal(value, second_answers[name], equal_nan=True)
    }
    notes = [
        f"output '{name}' is random: it differs between two runs of the server model"
        for name in reference
        if name not in steady
    ]
    outputs = {
        name: np.asarray(value)
        for name, value in function(**{key: tf.constant(value) for key, value in feeds.items()}).items()
    }
    probe.check_close(steady, outputs, TOLERANCE, "the exported SavedModel")
    if nan_outputs := [name for name, value in reference.items() if np.isnan(np.asarray(value, np.float64)).all()]:
        raise InputError(f"the server model itself answers NaN at output '{nan_outputs[0]}': its weights are broken")
    return notes


def _answer_probe(server: ServerModel, inputs: Sequence[TensorSpec]) -> ProbeAnswers:
    """The first probe that the model takes, and its answers to it, twice, computed outside any graph of ours."""
    failure: Exception | None = None
    for feeds in probe.random_feeds(inputs, samples=2):
        try:
            return feeds, server.predict_eagerly(feeds), server.predict_eagerly(feeds)
        except InputError:
            raise
        except Exception as error:  # a model's own code can fail in any way on a size it does not take
            failure = error
    told = f"{type(failure).__name__}: {brief_message(root_cause(failure))}" if failure else "no size fits"
    if server.own_batch:
        samples = f"{server.own_batch} sample{'s' if server.own_batch > 1 else ''}"
        raise InputError(
            f"the model computes {samples} at once and no other number; save it with a batch axis of any length ({told})"
        )
    raise InputError(f"the model cannot be run on a random input ({told})")


def _write_variant(
    server: ServerModel, inputs: Sequence[TensorSpec], answers: ProbeAnswers, folder: Path, sidecar: str
) -> None:
    """The model once more for converters that cannot express loops with a dynamic batch axis.

    Its recurrent layers are unrolled in time; where the time axis is dynamic or too long, or unrolling changes the answer
    (Keras does, for masked layers that go backwards), the batch axis is fixed at 1 instead.
    """
    layers = [layer for layer in _recurrent_layers(server) if not layer.unroll]
    if not layers:
        return
    if all(0 < _count_time_steps(layer) <= UNROLL_AT_MOST for layer in layers):
        try:
            with _unroll_layers(layers):
                _write_saved_model(server, server.trace(inputs), folder / UNROLLED)
            _prove_export(answers, folder / UNROLLED)
            (folder / UNROLLED / SIDECAR).write_text(sidecar, encoding="utf-8")
            return
        except CheckError:
            shutil.rmtree(folder / UNROLLED)
    if inputs[0].shape[:1] == (None,):
        single_batch = [_fix_batch(spec, 1) for spec in inputs]
        _write_saved_model(server, server.trace(single_batch), folder / BATCH1)
        _prove_export(_answer_probe(server, single_batch), folder / BATCH1)
        (folder / BATCH1 / SIDECAR).write_text(sidecar, encoding="utf-8")


@contextlib.contextmanager
def _unroll_layers(layers: Sequence[Any]) -> Iterator[None]:
    names = ("unroll", "_could_use_gpu_kernel")
    states = [{name: getattr(layer, name) for name in names if hasattr(layer, name)} for layer in layers]
    try:
        for layer, state in zip(layers, states, strict=True):
            for name in state:
                setattr(layer, name, name == "unroll")
        yield
    finally:
        for layer, state in zip(layers, states, strict=True):
            for name, value in state.items():
                setattr(layer, name, value)


def _recurrent_layers(server: ServerModel) -> list[Any]:
    model = server.adapter.model
    layers = model._flatten_layers() if server.loader != "saved_model" else []
    return [layer for layer in layers if hasattr(layer, "unroll") and hasattr(layer, "cell")]


def _count_time_steps(layer: Any) -> int:
    """The number of time steps a recurrent layer was built for, 0 where that is dynamic or unknown."""
    shapes = getattr(layer, "_build_shapes_dict", None) or {}
    shape = next(iter(shapes.values()), None) or getattr(layer, "_build_input_shape", None)
    if shape is None and getattr(layer, "input_spec", None):
        specs = layer.input_spec if isinstance(layer.input_spec, list) else [layer.input_spec]
        shape = specs[0].shape
    return int(shape[1]) if shape is not None and len(shape) > 1 and isinstance(shape[1], int) else 0

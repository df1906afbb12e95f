"""Loading SavedModel folders: TF2 signatures, functions without a signature, and TF1 graphs (frozen first)."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, brief_message, unknown_name_error
from edgeship.server_model import operators, tensor_names
from edgeship.server_model.adapter import Adapter, Slot
from edgeship.untrusted import printable

HIDDEN = ("__saved_model_init_op", "__saved_model_train_op")


def load(path: Path, signature: str | None, allow_unsafe: bool = False) -> Adapter:
    """One signature of a SavedModel as an `Adapter`.

    Raises InputError where the folder cannot be read, has no usable function, holds several signatures and none of
    them is 'serving_default' and none was chosen, or has operators that may do more than compute.
    """
    graphs = meta_graphs(path)
    graph = next((item for item in graphs if "serve" in item.meta_info_def.tags), graphs[0])
    tags = list(graph.meta_info_def.tags)
    if sum(set(item.meta_info_def.tags) == set(tags) for item in graphs) > 1:
        raise InputError(f"{path}: two graphs with the same tags ({printable(', '.join(tags))}); save the model again")
    runs_graph = not graph.HasField("object_graph_def") or len(graphs) > 1
    if not allow_unsafe:
        operators.check(path, graph, runs_graph=runs_graph)
    names = [name for name in graph.signature_def if name not in HIDDEN]
    if runs_graph:
        return _load_tf1(path, tags, _choose_signature(path, names, signature))
    return _load_tf2(path, tags, signature)


def meta_graphs(path: Path) -> list[Any]:
    """The graphs of a SavedModel folder, as its protobuf has them. Raises InputError where it cannot be parsed."""
    from google.protobuf.message import DecodeError
    from google.protobuf.text_format import Parse, ParseError
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    try:
        if (path / "saved_model.pb").is_file():
            message.ParseFromString((path / "saved_model.pb").read_bytes())
        else:
            Parse((path / "saved_model.pbtxt").read_text(encoding="utf-8"), message)
    except (DecodeError, ParseError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: its saved_model.pb is damaged or truncated; copy the whole folder again") from error
    if not message.meta_graphs:
        raise InputError(f"{path}: its saved_model.pb holds no graph; copy the whole folder again")
    return list(message.meta_graphs)


def _choose_signature(path: Path, names: Sequence[str], signature: str | None) -> str:
    if signature is not None:
        if signature not in names:
            raise unknown_name_error("signature", signature, names, str(path))
        return signature
    if "serving_default" in names:
        return "serving_default"
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError(
            f"{path}: a SavedModel without a signature; save it again with tf.saved_model.save(..., signatures=...)"
        )
    raise InputError(
        f"{path}: several signatures and none is serving_default; choose one with --signature: {', '.join(sorted(names))}"
    )


def _explain_failure(path: Path, error: Exception) -> InputError:
    text = brief_message(error, 2000)
    if match := re.search(r"Op type not registered '(\w+)'", text):
        return InputError(
            f"{path}: needs the custom op '{match.group(1)}', which plain TensorFlow does not have; export it without that op"
        )
    return InputError(
        f"{path}: TensorFlow cannot load this SavedModel ({type(error).__name__}: {brief_message(text, 200)}); "
        "is the folder complete?"
    )


def _load_tf2(path: Path, tags: list[str], signature: str | None) -> Adapter:
    import tensorflow as tf

    try:
        module = tf.saved_model.load(str(path), tags=tags or None)
    except Exception as error:  # a foreign folder can fail in any way inside TensorFlow
        raise _explain_failure(path, error) from error
    names = list(module.signatures)
    if not names and signature is None:
        return _without_signature(path, module)
    name = _choose_signature(path, names, signature)
    function = module.signatures[name]
    specs: dict[str, Any] = function.structured_input_signature[1]
    keys = list(specs)
    notes = (f"signature '{name}' is taken of those that it has: {', '.join(sorted(names))}",) if len(names) > 1 else ()
    return Adapter(
        "saved_model",
        module,
        tuple(_input_slot(path, key, specs[key]) for key in keys),
        lambda feeds: function(**dict(zip(keys, feeds, strict=True))),
        lambda outputs: [".".join(map(str, step)) for step, _ in tensor_names.flatten_structure(outputs)],
        (),
        tuple(function.variables),
        notes,
    )


def _input_slot(path: Path, name: str, spec: Any) -> Slot:
    if not hasattr(spec, "shape") or not hasattr(spec, "dtype"):
        raise InputError(
            f"{path}: input '{name}' is a {type(spec).__name__}, not a dense tensor; no device format takes it"
        )
    if spec.shape.rank is None:
        raise InputError(
            f"{path}: input '{name}' has no known rank; save it with an input signature that states its shape"
        )
    return Slot(name, tuple(spec.shape.as_list()), spec.dtype.name)


def _without_signature(path: Path, module: Any) -> Adapter:
    """A module saved without signatures: its `__call__`, as it was traced for inference."""
    traces = list(getattr(module.__call__, "concrete_functions", [])) if callable(module) else []
    usable = [trace for trace in traces if "training" not in (trace.structured_input_signature[1] or {})] or [
        trace for trace in traces if trace.structured_input_signature[1].get("training") is not True
    ]
    for trace in usable:
        arguments, keywords = trace.structured_input_signature
        specs = [
            (where, spec)
            for where, spec in tensor_names.flatten_structure([list(arguments), keywords])
            if isinstance(spec, _tensor_spec())
        ]
        others = [
            spec for _, spec in tensor_names.flatten_structure(list(arguments)) if not isinstance(spec, _tensor_spec())
        ]
        if specs and not any(item is True for item in others):
            slots = tuple(
                _input_slot(path, spec.name or f"input_{index}", spec) for index, (_, spec) in enumerate(specs)
            )
            return Adapter(
                "saved_model",
                module,
                slots,
                functools.partial(_call_module, module, arguments, keywords),
                lambda outputs: [
                    tensor_names.from_path(step, f"output_{i}")
                    for i, (step, _) in enumerate(tensor_names.flatten_structure(outputs))
                ],
                (),
                tuple(trace.variables),
                ("no signature in the SavedModel: its __call__ is used",),
            )
    raise InputError(
        f"{path}: a SavedModel without a signature; save it again with tf.saved_model.save(..., signatures=...)"
    )


def _tensor_spec() -> Any:
    import tensorflow as tf

    return tf.TensorSpec


def _call_module(module: Any, arguments: Any, keywords: Any, feeds: Sequence[Any]) -> Any:
    stream = iter(feeds)

    def fill_value(item: Any) -> Any:
        return next(stream) if isinstance(item, _tensor_spec()) else item

    flat = [fill_value(item) for _, item in tensor_names.flatten_structure([list(arguments), keywords])]
    positional, keyword_values = tensor_names.rebuild_structure([list(arguments), keywords], flat)
    return module(*positional, **keyword_values)


def _load_tf1(path: Path, tags: list[str], name: str) -> Adapter:
    """A TF1 graph, its variables turned into constants: ref variables survive neither tracking nor the converters."""
    import tensorflow as tf

    try:
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            meta = tf.compat.v1.saved_model.loader.load(session, tags, str(path))
            signature = meta.signature_def[name]
            ends = sorted({item.name.split(":")[0] for item in signature.outputs.values()})
            constant_graph = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ends)
    except Exception as error:  # a foreign folder can fail in any way inside TensorFlow
        raise _explain_failure(path, error) from error
    inputs, outputs = sorted(signature.inputs), sorted(signature.outputs)
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(constant_graph, name=""), [])

    def graph_element(key: str, side: Any) -> Any:
        return whole.graph.as_graph_element(side[key].name)

    function = whole.prune(
        [graph_element(key, signature.inputs) for key in inputs],
        [graph_element(key, signature.outputs) for key in outputs],
    )
    weights = [node.attr["value"].tensor for node in constant_graph.node if node.op == "Const"]
    return Adapter(
        "saved_model",
        function,
        tuple(_input_slot(path, key, _Spec(graph_element(key, signature.inputs))) for key in inputs),
        lambda feeds: dict(zip(outputs, function(*feeds), strict=True)),
        lambda structure: [".".join(map(str, step)) for step, _ in tensor_names.flatten_structure(structure)],
        (),
        tuple(_Weight(tensor) for tensor in weights if len(tensor.tensor_shape.dim) > 0),
        ("a TF1 SavedModel: its graph was frozen first",),
    )


class _Spec:
    """Shape and dtype of a graph tensor."""

    def __init__(self, tensor: Any) -> None:
        self.shape, self.dtype = tensor.shape, tensor.dtype


class _Weight:
    """The shape of a constant in a GraphDef."""

    def __init__(self, tensor: Any) -> None:
        self.shape = tuple(int(item.size) for item in tensor.tensor_shape.dim)
        self.name = ""

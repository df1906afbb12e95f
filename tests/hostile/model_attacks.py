"""Models that would run code, read or write files of the machine: built, then loaded and run as edgeship does.

Runs inside the TensorFlow child process. Each `_name(folder)` returns the path of one such model.
"""

from __future__ import annotations

import base64
import contextlib
import json
import marshal
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

MODULE = "hostile_payload"


def attack(name: str, folder: str, **options: Any) -> dict[str, Any]:
    """Build the model of that name and try it: what edgeship said, and whether code of it ran."""
    place = Path(folder)
    os.environ["HOSTILE_CANARY"] = str(_canary(place))
    path = globals()[f"_{name}"](place)
    return tried(str(path), str(_canary(place)), **options)


def tried(path: str, canary: str, **options: Any) -> dict[str, Any]:
    import numpy as np

    from edgeship import server_model
    from edgeship.errors import EdgeshipError

    os.environ["HOSTILE_CANARY"] = canary
    sys.modules.pop(MODULE, None)
    Path(canary).unlink(missing_ok=True)
    server_model._LOADED.clear()
    error = kind = ""
    try:
        server = server_model.load(path, **options)
        server.predict({spec.name: np.zeros([size or 1 for size in spec.shape], spec.dtype) for spec in server.inputs})
    except EdgeshipError as raised:
        error, kind = str(raised), "told"
    except Exception as raised:
        error, kind = str(raised), type(raised).__name__
    return {"error": error, "kind": kind, "ran": Path(canary).exists()}


def loaded(path: str, **options: Any) -> dict[str, Any]:
    """Load a Keras file without running it: what edgeship said, and how many weights it has."""
    from edgeship import server_files, server_keras
    from edgeship.errors import EdgeshipError

    options = {"custom_objects": None, "allow_unsafe": False, **options}
    try:
        adapter = server_keras.load(server_files.sniff(Path(path)), **options)
    except EdgeshipError as raised:
        return {"error": str(raised), "loader": ""}
    return {"error": "", "loader": adapter.loader, "weights": len(adapter.weights)}


def _canary(folder: Path) -> Path:
    return folder / "canary"


# --- Keras files ------------------------------------------------------------------------------------------------------


def _layers(keras: Any) -> list[Any]:
    return [
        keras.layers.Reshape((2, 2), name="first"),
        keras.layers.Bidirectional(keras.layers.LSTM(2, name="cell", return_sequences=True), name="both"),
        keras.layers.TimeDistributed(keras.layers.Dense(2, name="dense"), name="each"),
        keras.layers.Flatten(name="flat"),
        keras.layers.Activation("relu", name="act"),
    ]


def _model(keras: Any) -> Any:
    x = y = keras.Input((4,), name="x")
    for layer in _layers(keras):
        y = layer(y)
    inner = keras.Sequential([keras.layers.Dense(3, name="inner"), keras.layers.Dense(2, name="last")], name="nested")
    return keras.Model(x, inner(y))


def _edited(path: Path, edit: Any, version: str | None = None) -> Path:
    """The same `.keras` or `.h5` file with its configuration changed by `edit(config)`."""
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config)
            file.attrs.modify("model_config", json.dumps(config).encode())
            if version:
                file.attrs.modify("keras_version", version.encode())
        return path
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    config, metadata = json.loads(entries["config.json"]), json.loads(entries["metadata.json"])
    edit(config)
    if version:
        metadata["keras_version"] = version
    entries["config.json"], entries["metadata.json"] = json.dumps(config).encode(), json.dumps(metadata).encode()
    return _zipped(path, list(entries.items()))


def _zipped(path: Path, entries: list[tuple[Any, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


_SAVED: dict[tuple[str, str], bytes] = {}


def _saved(folder: Path, engine: str = "keras", suffix: str = ".keras") -> Path:
    import importlib

    path = folder / f"model{suffix}"
    if (engine, suffix) not in _SAVED:
        _model(importlib.import_module(engine)).save(path)
        _SAVED[engine, suffix] = path.read_bytes()
    path.write_bytes(_SAVED[engine, suffix])
    return path


def _dicts(config: Any) -> list[dict[str, Any]]:
    """Every dict in a configuration, outermost first."""
    if isinstance(config, list):
        return [found for item in config for found in _dicts(item)]
    if not isinstance(config, dict):
        return []
    return [config, *(found for item in config.values() for found in _dicts(item))]


def _layer(config: Any, name: str) -> dict[str, Any]:
    return next(
        item
        for item in _dicts(config)
        if "class_name" in item and isinstance(item.get("config"), dict) and item["config"].get("name") == name
    )


def _set(layer: str, key: str, value: Any) -> Any:
    def edit(config: Any) -> None:
        _layer(config, layer)["config"][key] = value

    return edit


def _replace(layer: str, class_name: str, inner: dict[str, Any], **others: Any) -> Any:
    def edit(config: Any) -> None:
        found = _layer(config, layer)
        name = found["config"]["name"]
        found.clear() if others.pop("clear", False) else None
        found.update(class_name=class_name, config={"name": name, **inner}, **others)
        found.pop("build_config", None)

    return edit


def _bytecode(folder: Path) -> str:
    code = eval(f"lambda x, *rest: (open({str(_canary(folder))!r}, 'w').write('ran'), x)[1]").__code__
    return base64.encodebytes(marshal.dumps(code)).decode()


def _lambda(folder: Path, function: Any, **others: Any) -> dict[str, Any]:
    return {
        "function": function,
        "function_type": "lambda",
        "module": "builtins",
        "output_shape": None,
        "output_shape_type": "raw",
        "output_shape_module": None,
        "arguments": {},
        **others,
    }


def _old(folder: Path, layer: str, class_name: str, inner: dict[str, Any], suffix: str = ".h5") -> Path:
    """A tf_keras file with one layer exchanged."""
    return _edited(_saved(folder, "tf_keras", suffix), _replace(layer, class_name, inner))


def _h5_lambda_string(folder):
    return _old(folder, "act", "Lambda", _lambda(folder, _bytecode(folder)))


def _h5_lambda_list(folder):
    return _old(folder, "act", "Lambda", _lambda(folder, [_bytecode(folder), None, None]))


def _h5_lambda_tuple(folder):
    return _old(
        folder, "act", "Lambda",
        _lambda(folder, {"class_name": "__tuple__", "items": [_bytecode(folder), None, None]}),
    )  # fmt: skip


def _h5_lambda_in_time_distributed(folder):
    return _old(folder, "dense", "Lambda", _lambda(folder, _bytecode(folder)))


def _h5_lambda_in_nested_model(folder):
    return _old(folder, "inner", "Lambda", _lambda(folder, _bytecode(folder)))


def _h5_lambda_output_shape(folder):
    inner = _lambda(
        folder, "relu", function_type="function",
        output_shape=[_bytecode(folder), None, None], output_shape_type="lambda",
    )  # fmt: skip
    return _old(folder, "act", "Lambda", inner)


def _h5_lambda_mask(folder):
    inner = _lambda(
        folder, "relu", function_type="function", mask=_bytecode(folder), mask_type="lambda", mask_module=None
    )
    return _old(folder, "act", "Lambda", inner)


def _h5_lambda_keras3(folder):
    return _edited(
        _saved(folder, "keras", ".h5"),
        _replace("act", "Lambda", _lambda(folder, [_bytecode(folder), None, None])),
        "3.15",
    )


def _h5_residual_cell(folder):
    def edit(config: Any) -> None:
        found = _layer(config, "both")
        cell = {"class_name": "GRUCell", "config": {"units": 2, "name": "gru"}}
        wrapper = {
            "name": "wrapped", "cell": cell, "residual_fn": _bytecode(folder), "residual_fn_type": "lambda",
            "residual_fn_module": None,
        }  # fmt: skip
        found.update(
            class_name="RNN",
            config={
                "name": "both",
                "return_sequences": True,
                "cell": {"class_name": "ResidualWrapper", "config": wrapper},
            },
        )

    return _edited(_saved(folder, "tf_keras", ".h5"), edit)


def _piped(folder: Path, version: str) -> Path:
    """A Lambda that names a function of the standard library and its arguments."""
    function = {"module": "pydoc", "class_name": "function", "config": "pipepager", "registered_name": "pipepager"}
    arguments = {"cmd": f"touch {_canary(folder)}"}
    inner = _lambda(folder, function, function_type="function", arguments=arguments)
    edit = _replace("act", "Lambda", inner, module="keras.layers", registered_name=None)
    return _edited(_saved(folder, "tf_keras"), edit, version)


def _keras_piped_old(folder):
    return _piped(folder, "2.15.0")


def _keras_piped_new(folder):
    return _piped(folder, "3.15.0")


FUNCTION = {"module": MODULE, "class_name": "function", "config": "evil", "registered_name": "evil"}
CLASS = {"module": MODULE, "class_name": "Evil", "config": {}, "registered_name": None}


def _keras_activation(folder):
    return _edited(_saved(folder, "tf_keras"), _set("dense", "activation", FUNCTION))


def _keras_regularizer(folder):
    return _edited(_saved(folder, "tf_keras"), _set("dense", "kernel_regularizer", CLASS))


def _keras_initializer(folder):
    return _edited(_saved(folder, "tf_keras"), _set("cell", "recurrent_initializer", CLASS))


def _keras_constraint(folder):
    return _edited(_saved(folder, "tf_keras"), _set("inner", "bias_constraint", FUNCTION))


def _keras_in_bidirectional(folder):
    return _edited(_saved(folder, "tf_keras"), _set("cell", "activation", FUNCTION))


def _keras_layer_class(folder):
    return _edited(
        _saved(folder, "tf_keras"), _replace("last", "Evil", {}, module=MODULE, registered_name="Custom>Evil")
    )


def _keras_package_name(folder):
    return _edited(
        _saved(folder, "tf_keras"), _replace("last", "Custom>Evil", {}, module=MODULE, registered_name="Evil")
    )


def _keras_dtype_policy(folder):
    return _edited(_saved(folder, "tf_keras"), _set("last", "dtype", CLASS))


def _keras_typespec(folder):
    spec = {
        "class_name": "__typespec__",
        "spec_name": "Evil",
        "module": MODULE,
        "config": {},
        "registered_name": "Evil",
    }
    return _edited(_saved(folder, "tf_keras"), _set("act", "activation", spec))


def _keras_bare_lambda(folder):
    code = {"class_name": "__lambda__", "config": {"value": [_bytecode(folder), None, None]}}
    return _edited(_saved(folder, "tf_keras"), _set("act", "activation", code))


def _keras_function_in_builtins(folder):
    function = {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}
    return _edited(_saved(folder, "tf_keras"), _set("act", "activation", function))


def _keras_known_name_elsewhere(folder):
    """A function that Keras has, from another place than Keras."""
    function = {"module": MODULE, "class_name": "function", "config": "relu", "registered_name": "relu"}
    return _edited(_saved(folder, "tf_keras"), _set("act", "activation", function))


def _keras_nested_compile_config(folder):
    def edit(config: Any) -> None:
        _layer(config, "nested")["compile_config"] = {"optimizer": "sgd", "loss": CLASS}

    return _edited(_saved(folder, "tf_keras"), edit)


def _keras_build_config(folder):
    def edit(config: Any) -> None:
        _layer(config, "both")["build_config"] = {"input_shape": CLASS}

    return _edited(_saved(folder, "tf_keras"), edit)


def _keras_call_arguments(folder):
    def edit(config: Any) -> None:
        _layer(config, "act")["inbound_nodes"] = [[["flat", 0, 0, {"training": CLASS}]]]

    return _edited(_saved(folder, "tf_keras"), edit)


def _keras_get_file(folder):
    call = {
        "module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file",
    }  # fmt: skip
    return _edited(_saved(folder), _set("act", "activation", call), "3.15.0")


def _keras_load_model(folder):
    call = {"module": "keras.models", "class_name": "load_model", "config": {}, "registered_name": None}
    return _edited(_saved(folder, "tf_keras"), _set("act", "activation", call))


def _keras_other_case(folder):
    return _edited(_saved(folder), _replace("act", "lambda", _lambda(folder, _bytecode(folder))))


def _keras_savedmodel_layer(folder):
    inner = {"filepath": str(_write_file(folder)), "call_endpoint": "serve"}
    return _edited(_saved(folder), _replace("act", "TFSMLayer", inner))


def _keras_torch_module(folder):
    return _edited(_saved(folder), _replace("act", "TorchModuleWrapper", {"module": "gASV"}))


def _secret(folder: Path) -> Path:
    path = folder / "secret.txt"
    path.write_text("one\ntwo\n")
    return path


def _keras_vocabulary(folder):
    inner = {"vocabulary": str(_secret(folder)), "output_mode": "int", "num_oov_indices": 1, "mask_token": None}
    return _edited(_saved(folder), _replace("act", "StringLookup", inner))


def _h5_vocabulary(folder):
    inner = {"vocabulary": str(_secret(folder)), "output_mode": "int", "num_oov_indices": 1, "mask_token": None}
    return _old(folder, "act", "StringLookup", inner)


def _h5_write_file(folder):
    """tf.io.write_file as a node of the model."""

    def edit(config: Any) -> None:
        found = _layer(config, "act")
        found.update(class_name="TFOpLambda", config={"name": "act", "function": "io.write_file"})
        found["inbound_nodes"] = [["_CONSTANT_VALUE", -1, str(_canary(folder)), {"contents": "ran"}]]

    return _edited(_saved(folder, "tf_keras", ".h5"), edit)


def _h5_remove_tree(folder):
    return _old(folder, "act", "TFOpLambda", {"function": "io.gfile.rmtree"})


def _h5_print(folder):
    return _old(folder, "act", "TFOpLambda", {"function": "print"})


def _h5_sampler_of_a_file(folder):
    return _old(folder, "act", "TFOpLambda", {"function": "random.fixed_unigram_candidate_sampler"})


def _h5_raw_op(folder):
    node = {"name": "act", "op": "WriteFile", "input": ["name", "contents"], "attr": {}}
    return _old(folder, "act", "TensorFlowOpLayer", {"node_def": node, "constants": {"0": "x", "1": "y"}})


def _h5_class_method(folder):
    return _old(folder, "act", "ClassMethod", {"cls_symbol": "io.gfile.GFile", "method_name": "write"})


def _h5_instance_property(folder):
    return _old(folder, "act", "InstanceProperty", {"attr_name": "__class__"})


# --- Archives and HDF5 ------------------------------------------------------------------------------------------------


def _entries(path: Path) -> list[tuple[Any, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _zip_two_configs(folder):
    path = _saved(folder)
    return _zipped(path, [*_entries(path), ("config.json", b"{}")])


def _zip_case(folder):
    path = _saved(folder)
    return _zipped(path, [*_entries(path), ("Config.json", b"{}")])


def _zip_traversal(folder):
    path = _saved(folder)
    return _zipped(path, [*_entries(path), ("assets/../../canary", b"ran"), ("assets/x", b"")])


def _zip_absolute(folder):
    path = _saved(folder, "tf_keras")
    return _zipped(path, [*_entries(path), (str(_canary(folder)), b"ran")])


def _zip_link(folder):
    path = _saved(folder)
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    return _zipped(path, [*_entries(path), (link, b"/etc/passwd")])


def _zip_bomb(folder):
    path = _saved(folder)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("assets/zeros", "w") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    return path


def _zip_many(folder):
    path = _saved(folder)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"assets/{number}", b"")
    return path


def _h5_group(file: Any) -> Any:
    return file["model_weights"]


def _h5_external_link(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = [1.0, 2.0]
    with h5py.File(path, "r+") as file:
        group = _h5_group(file)
        del group["act"]
        group["act"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
    return path


def _h5_soft_link(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    with h5py.File(path, "r+") as file:
        _h5_group(file)["again"] = h5py.SoftLink("/model_weights/both")
    return path


def _h5_external_storage(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    (folder / "raw").write_bytes(bytes(64))
    with h5py.File(path, "r+") as file:
        file.create_dataset("model_weights/raw", (8,), "f8", external=[(str(folder / "raw"), 0, 64)])
    return path


def _h5_declared(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    with h5py.File(path, "r+") as file:
        file.create_dataset("model_weights/large", (1 << 40,), "f8", chunks=(1 << 16,))
    return path


def _keras_external_link(folder):
    """The same within a `.keras` archive."""
    import h5py

    path = _saved(folder, "tf_keras")
    entries = dict(_entries(path))
    (folder / "weights.h5").write_bytes(entries["model.weights.h5"])
    with h5py.File(folder / "weights.h5", "r+") as file:
        file["elsewhere"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
    entries["model.weights.h5"] = (folder / "weights.h5").read_bytes()
    return _zipped(path, list(entries.items()))


# --- SavedModels ------------------------------------------------------------------------------------------------------


def _exported(folder: Path, body: Any) -> Path:
    """A SavedModel whose signature is that function of a tensor."""
    import tensorflow as tf

    module = tf.Module()
    module.weight = tf.Variable([1.0, 2.0])
    function = tf.function(lambda x: {"y": body(tf, x) * module.weight})
    module.call = function.get_concrete_function(tf.TensorSpec((None, 2), tf.float32, "x"))
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": module.call})
    return folder / "saved"


def _write_file(folder):
    def body(tf: Any, x: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(_canary(folder)), "ran")]):
            return tf.identity(x)

    return _exported(folder, body)


def _read_file(folder):
    def body(tf: Any, x: Any) -> Any:
        read = tf.strings.length(tf.io.read_file(str(_secret(folder))))
        return x + tf.cast(read, tf.float32)

    return _exported(folder, body)


def _write_in_branch(folder):
    def body(tf: Any, x: Any) -> Any:
        def write() -> Any:
            with tf.control_dependencies([tf.io.write_file(str(_canary(folder)), "ran")]):
                return tf.identity(x)

        return tf.cond(tf.reduce_sum(x) > 1e9, lambda: x, write)

    return _exported(folder, body)


def _write_in_inner_function(folder):
    import tensorflow as tf

    @tf.function
    def inner(x):
        tf.io.write_file(str(_canary(folder)), "ran")
        return x

    @tf.function
    def middle(x):
        return inner(x)

    return _exported(folder, lambda tf, x: middle(x))


def _write_in_loop(folder):
    def body(tf: Any, x: Any) -> Any:
        def step(count: Any, value: Any) -> Any:
            with tf.control_dependencies([tf.io.write_file(str(_canary(folder)), "ran")]):
                return count + 1, tf.identity(value)

        return tf.while_loop(lambda count, _: count < 2, step, (tf.constant(0), x))[1]

    return _exported(folder, body)


def _print_to_file(folder):
    def body(tf: Any, x: Any) -> Any:
        with tf.control_dependencies([tf.print("ran", output_stream=f"file://{_canary(folder)}")]):
            return tf.identity(x)

    return _exported(folder, body)


def _save_weights(folder):
    def body(tf: Any, x: Any) -> Any:
        prefix = str(folder / "stolen")
        saving = tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["a"], shape_and_slices=[""], tensors=[x])
        with tf.control_dependencies([saving]):
            return tf.identity(x)

    return _exported(folder, body)


def _restore_elsewhere(folder):
    def body(tf: Any, x: Any) -> Any:
        read = tf.raw_ops.RestoreV2(
            prefix=str(folder / "any"), tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
        )
        return x + tf.reshape(read[0], [2])

    return _exported(folder, body)


def _python_function(folder):
    def body(tf: Any, x: Any) -> Any:
        return tf.ensure_shape(tf.py_function(lambda value: value, [x], tf.float32), (None, 2))

    return _exported(folder, body)


def _text_dataset(folder):
    secret = str(_secret(folder))

    def body(tf: Any, x: Any) -> Any:
        lines = tf.data.TextLineDataset([secret]).reduce(0, lambda count, _: count + 1)
        return x + tf.cast(lines, tf.float32)

    return _exported(folder, body)


def _debug_url(folder):
    def body(tf: Any, x: Any) -> Any:
        return tf.raw_ops.DebugIdentity(input=x, tensor_name="x:0", debug_urls=[f"file://{folder}/debug"])

    return _exported(folder, body)


def _proto_descriptor(folder):
    def body(tf: Any, x: Any) -> Any:
        sizes = tf.raw_ops.EncodeProto(
            sizes=tf.ones([1, 1], tf.int32), values=[tf.ones([1, 1])], field_names=["a"], message_type="M",
            descriptor_source=str(_secret(folder)),
        )  # fmt: skip
        return x + tf.cast(tf.strings.length(sizes[0]), tf.float32)

    return _exported(folder, body)


def _initializer(folder):
    """A resource whose initialization, when the model is loaded, writes a file."""
    import tensorflow as tf
    from tensorflow.python.trackable import resource

    class Written(resource.CapturableResource):
        def _create_resource(self):
            return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self):
            tf.io.write_file(str(_canary(folder)), "ran")
            return tf.constant(1)

    module = tf.Module()
    module.written = Written()
    module.call = tf.function(lambda x: {"y": x * 2}).get_concrete_function(tf.TensorSpec((None, 2), tf.float32, "x"))
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": module.call})
    return folder / "saved"


def _table(folder: Path) -> Path:
    import tensorflow as tf

    (folder / "words.txt").write_text("one\ntwo\n")
    initializer = tf.lookup.TextFileInitializer(
        str(folder / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(initializer, -1)
    function = tf.function(lambda x: {"y": x + tf.cast(module.table.lookup(tf.constant("two")), tf.float32)})
    module.call = function.get_concrete_function(tf.TensorSpec((None, 2), tf.float32, "x"))
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": module.call})
    return folder / "saved"


def _changed(path: Path, change: Any) -> Path:
    """A SavedModel with its protobuf changed by `change(meta graph)`."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((path / "saved_model.pb").read_bytes())
    change(message.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    return path


def _asset_elsewhere(folder):
    def change(meta: Any) -> None:
        meta.asset_file_def[0].filename = "../../words.txt"

    return _changed(_table(folder), change)


def _table_of_a_constant(folder):
    """A table's file that is a constant of a function, and no asset."""

    def change(meta: Any) -> None:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                if node.op.startswith("InitializeTableFromTextFile"):
                    text = function.node_def.add(name="place", op="Const")
                    text.attr["dtype"].type = 7
                    text.attr["value"].tensor.dtype = 7
                    text.attr["value"].tensor.tensor_shape.SetInParent()
                    text.attr["value"].tensor.string_val.append(str(folder / "words.txt").encode())
                    node.input[1] = "place:output:0"

    return _changed(_table(folder), change)


def _table_of_another_object(folder):
    """A table's file that the object graph binds to a constant instead of an asset."""

    def change(meta: Any) -> None:
        for node in meta.object_graph_def.nodes:
            if node.WhichOneof("kind") == "asset":
                node.constant.operation = "place"

    return _changed(_table(folder), change)


def honest_table(folder: str) -> dict[str, Any]:
    """A table from an asset, which must still load."""
    return tried(str(_table(Path(folder))), str(_canary(Path(folder))))


def _tf1_model(folder: Path, extra: Any) -> Path:
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(folder / "tf1"))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        weight = v1.get_variable("weight", (4, 2), use_resource=False)
        y = tf.matmul(x, weight)
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, **extra(tf, y))
    builder.save()
    return folder / "tf1"


def _tf1_main_op(folder):
    def extra(tf: Any, y: Any) -> dict[str, Any]:
        written = tf.io.write_file(str(_canary(folder)), "ran")
        return {"main_op": tf.group(written)}

    return _tf1_model(folder, extra)


def _tf1_legacy_init_op(folder):
    def extra(tf: Any, y: Any) -> dict[str, Any]:
        written = tf.io.write_file(str(_canary(folder)), "ran")
        tf.compat.v1.add_to_collection("legacy_init_op", tf.group(written))
        return {}

    return _tf1_model(folder, extra)


def _tf1_restore_op(folder):
    """The restoring, which loading runs, writes a file first."""

    def change(meta: Any) -> None:
        nodes = {node.name: node for node in meta.graph_def.node}
        nodes[meta.saver_def.restore_op_name].input.append("^write")

    def extra(tf: Any, y: Any) -> dict[str, Any]:
        tf.io.write_file(str(_canary(folder)), "ran", name="write")
        return {}

    return _changed(_tf1_model(folder, extra), change)


def _tf1_restore_elsewhere(folder):
    """The restoring reads another checkpoint than the model's own."""

    def change(meta: Any) -> None:
        place = meta.graph_def.node.add(name="place", op="Const")
        place.attr["dtype"].type = 7
        place.attr["value"].tensor.dtype = 7
        place.attr["value"].tensor.tensor_shape.SetInParent()
        place.attr["value"].tensor.string_val.append(str(folder / "other").encode())
        for node in meta.graph_def.node:
            if node.op == "RestoreV2":
                node.input[0] = "place"

    return _changed(_tf1_model(folder, lambda tf, y: {}), change)


def _tf1_save_as_init(folder):
    """The saving, which is in every model and runs in none, named as what to run at the start."""

    def change(meta: Any) -> None:
        meta.collection_def["saved_model_main_op"].node_list.value.append(meta.saver_def.save_tensor_name.split(":")[0])

    return _changed(_tf1_model(folder, lambda tf, y: {}), change)


def _linked_variables(folder):
    path = _exported(folder, lambda tf, x: x)
    (path / "variables").rename(folder / "elsewhere")
    (path / "variables").symlink_to(folder / "elsewhere")
    return path


def _two_graphs(folder):
    from tensorflow.core.protobuf import saved_model_pb2

    path = _exported(folder, lambda tf, x: x)
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((path / "saved_model.pb").read_bytes())
    message.meta_graphs.add().CopyFrom(message.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    return path


# --- Damaged files ----------------------------------------------------------------------------------------------------


def honest(folder: str) -> dict[str, str]:
    """One small model of each kind: `{kind: path}`."""
    import tensorflow as tf
    import tf_keras

    place = Path(folder)
    saved = {"keras": _saved(place), "h5": _saved(place, "tf_keras", ".h5")}
    old = place / "old"
    old.mkdir()
    saved["keras2"] = _saved(old, "tf_keras")
    saved["saved_model"] = _exported(place, lambda tf, x: tf.nn.relu(x))
    return {kind: str(path) for kind, path in saved.items()} | {
        "tensorflow": tf.__version__,
        "tf_keras": tf_keras.__version__,
    }


def damaged(kind: str, path: str, folder: str, first: int, count: int, whole: bool) -> dict[str, Any]:
    """Damaged copies of a model: how many loaded, how many were told, and whatever else came of them.

    `whole` loads and runs them; else they are only read and judged.
    """
    import shutil

    from edgeship import server_files, server_ops, server_safety, server_saved_model
    from edgeship.errors import EdgeshipError

    source, counts, wrong = Path(path), {"loaded": 0, "told": 0, "ended": 0}, []
    place = Path(folder) / kind
    for seed in range(first, first + count):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "seed").write_text(json.dumps({"seed": seed, **counts}))
        copy = place / source.name
        if source.is_dir():
            shutil.copytree(source, copy)
            part = sorted(item for item in copy.rglob("*") if item.is_file())
            part = [item for item in part if item.name != "fingerprint.pb"]
            target = part[seed % len(part)] if seed % 2 else copy / "saved_model.pb"
        else:
            target = copy
        original = source / target.relative_to(copy) if source.is_dir() else source
        target.write_bytes(_broken(original, kind, seed))
        if kind != "saved_model" and not _returns(copy):
            counts["ended"] += 1
            continue
        try:
            if whole:
                told = tried(str(copy), str(_canary(place)))
                if told["kind"] not in ("", "told"):
                    wrong.append([seed, f"{told['kind']}: {told['error']}"])
                counts["told" if told["kind"] else "loaded"] += 1
                continue
            file = server_files.sniff(copy)
            if file.kind == "saved_model":
                server_ops.check(copy, server_saved_model.meta_graphs(copy)[0], runs_graph=False)
            else:
                server_safety.check(copy, file.config, frozenset(), server_ops.refused_layer)
            counts["loaded"] += 1
        except EdgeshipError as raised:
            counts["told"] += 1
            if "\n" in str(raised):
                wrong.append([seed, str(raised)])
        except Exception as raised:
            wrong.append([seed, f"{type(raised).__name__}: {raised}"])
    return {**counts, "wrong": wrong}


def _returns(path: Path) -> bool:
    """Whether reading the file comes to an end within seconds; in a process of its own, which is what it may end."""
    from edgeship import server_files

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), server_files.ending(3):
            server_files.sniff(path)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def endless() -> None:
    """What HDF5 does over some files."""
    from edgeship import server_files

    with server_files.ending(0.5):
        while True:
            pass


def _broken(original: Path, kind: str, seed: int) -> bytes:
    """The damaged file; of an archive every second time one of its entries, with its sum made right so that Keras reads it."""
    import io

    from damage import damage

    if not kind.startswith("keras") or seed % 2:
        return damage(original.read_bytes(), seed)
    entries = _entries(original)
    chosen = entries[seed // 2 % len(entries)][0]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries:
            archive.writestr(name, damage(data, seed) if name == chosen else data)
    return buffer.getvalue()

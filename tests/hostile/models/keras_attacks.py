"""Keras configurations that name what they must not (see attacks.py)."""

from __future__ import annotations

import base64
import json
import marshal
import zipfile
from pathlib import Path
from typing import Any

from tests.hostile.models.attacks import MODULE, _canary
from tests.hostile.models.saved_model_attacks import _secret, _write_file


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


def _entries(path: Path) -> list[tuple[Any, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


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
        return [inner for item in config for inner in _dicts(item)]
    if not isinstance(config, dict):
        return []
    return [config, *(inner for item in config.values() for inner in _dicts(item))]


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
CLASS: dict[str, Any] = {"module": MODULE, "class_name": "Evil", "config": {}, "registered_name": None}


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
    call: dict[str, Any] = {"module": "keras.models", "class_name": "load_model", "config": {}, "registered_name": None}
    return _edited(_saved(folder, "tf_keras"), _set("act", "activation", call))


def _keras_other_case(folder):
    return _edited(_saved(folder), _replace("act", "lambda", _lambda(folder, _bytecode(folder))))


def _keras_savedmodel_layer(folder):
    inner = {"filepath": str(_write_file(folder)), "call_endpoint": "serve"}
    return _edited(_saved(folder), _replace("act", "TFSMLayer", inner))


def _keras_torch_module(folder):
    return _edited(_saved(folder), _replace("act", "TorchModuleWrapper", {"module": "gASV"}))


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


def _text(folder: Path, standardize: dict[str, Any], suffix: str = ".keras") -> Path:
    """A model of texts whose layer takes that for the function which prepares them; it is called while the model is built."""
    import tf_keras

    layer = tf_keras.layers.TextVectorization(name="act", max_tokens=9, vocabulary=["a"], output_sequence_length=2)
    words = tf_keras.Input((1,), dtype="string", name="x")
    path = folder / f"text{suffix}"
    tf_keras.Model(words, layer(words)).save(path)
    return _edited(path, _set("act", "standardize", standardize))


def _piped_value(folder: Path, name: str) -> dict[str, Any]:
    """A Lambda and a function of the standard library, both written as if they were values."""
    pipe = {"class_name": name, "module": "pydoc", "registered_name": "pipepager", "config": {}}
    inner = {"name": "l", "function": pipe, "function_type": "function", "output_shape": None}
    inner |= {"output_shape_type": "raw", "arguments": {"cmd": f"touch {_canary(folder)}"}}
    module = "tf_keras.src.layers.core.lambda_layer"
    return {"class_name": name, "module": module, "registered_name": "Lambda", "config": inner}


def _keras_value_of_a_module(folder):
    return _text(folder, _piped_value(folder, "TensorShape"))


def _h5_value_of_a_module(folder):
    return _text(folder, _piped_value(folder, "__slice__"), ".h5")


def _keras_two_names(folder):
    """An operator's layer registered under the name of another layer, which the checks of operators do not look at."""
    module = "tf_keras.src.layers.core.tf_op_layer"
    inner = {"name": "r", "function": "io.read_file"}
    return _text(
        folder, {"class_name": "LayerScale", "module": module, "registered_name": "TFOpLambda", "config": inner}
    )


def _keras_of_the_other(folder):
    """Registered with Keras 3 by the user's module (honest_layers): tf_keras, which knows it not, looks in `module`."""
    return _text(folder, {**CLASS, "registered_name": "mine>Registered3"})

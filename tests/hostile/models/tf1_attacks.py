"""Graphs of TensorFlow 1 that do something beside their signature while they are loaded (see attacks.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.hostile.models.attacks import _canary, try_model
from tests.hostile.models.saved_model_attacks import _edit_saved_model, _secret


def _exported(folder: Path, body: Any) -> Path:
    """A graph with the variables `weight`, which its answer needs, and `unused`; `body(tf, weight)` adds what it likes."""
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(folder / "tf1"))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 2), name="x")
        weight = v1.get_variable("weight", (2,), use_resource=True)
        v1.get_variable("unused", (2,), use_resource=False)
        options = body(tf, weight) or {}
        y = x * weight
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, **options)
    builder.save()
    return folder / "tf1"


def _nodes(meta: Any) -> dict[str, Any]:
    return {node.name: node for node in meta.graph_def.node}


def _filled(tf: Any, weight: Any, place: Any) -> Any:
    """How many lines the file has goes into the model's weight: the answers tell it."""
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="lines")
    # Keys are whole lines, values their numbers.
    filled = tf.raw_ops.InitializeTableFromTextFileV2(table_handle=table, filename=place, key_index=-2, value_index=-1)
    with tf.control_dependencies([filled]):
        lines = tf.cast(tf.raw_ops.LookupTableSizeV2(table_handle=table), tf.float32)
    with tf.control_dependencies([weight.assign(tf.fill([2], lines), read_value=False)]):
        return tf.no_op("told")


def _asset(folder: Path, meta: Any, tensor: str) -> None:
    (folder / "tf1/assets").mkdir(exist_ok=True)
    (folder / "tf1/assets/words.txt").write_text("one\n")
    meta.asset_file_def.add(filename="words.txt").tensor_info.name = tensor


def _tf1_save_behind_a_variable(folder):
    """Without a saver TensorFlow makes one of the collections' variables: one that nothing else needs saves a file."""

    def body(tf: Any, weight: Any) -> None:
        tf.raw_ops.Save(filename=str(_canary(folder)), tensor_names=["a"], data=[tf.constant([1.0])], name="evil")

    def change(meta: Any) -> None:
        meta.ClearField("saver_def")
        _nodes(meta)["unused"].input.append("^evil")

    return _edit_saved_model(_exported(folder, body), change)


def _tf1_table_while_restoring(folder):
    """The restoring fills a table: the asset's place, which the initialization alone is told, is still the file's own."""

    def body(tf: Any, weight: Any) -> None:
        _filled(tf, weight, tf.constant(str(_secret(folder)), name="place"))

    def change(meta: Any) -> None:
        _asset(folder, meta, "place:0")
        restored = f"^{meta.saver_def.restore_op_name}"
        meta.graph_def.node.add(name="both", op="NoOp", input=[restored, "^told"])
        meta.saver_def.restore_op_name = "both"

    return _edit_saved_model(_exported(folder, body), change)


def _tf1_asset_of_another_output(folder):
    """The asset is the first output of a node, what is read the place in its second one."""

    def body(tf: Any, weight: Any) -> dict[str, Any]:
        places = tf.unstack(tf.constant(["words.txt", str(_secret(folder))]), name="places")
        return {"main_op": _filled(tf, weight, places[1])}

    return _edit_saved_model(_exported(folder, body), lambda meta: _asset(folder, meta, "places:0"))


def _tf1_checkpoint_of_another_output(folder):
    """The same for the variables: loading gives the model's place to one output, another one leads to a private file."""

    def body(tf: Any, weight: Any) -> None:
        tf.unstack(tf.constant(["model", str(folder / "private")]), name="places")

    def change(meta: Any) -> None:
        meta.saver_def.filename_tensor_name = "places:0"
        for node in meta.graph_def.node:
            if node.op == "RestoreV2":
                node.input[0] = "places:1"

    path = _exported(folder, body)
    for part in (path / "variables").iterdir():
        (folder / part.name.replace("variables", "private")).write_bytes(part.read_bytes())
    return _edit_saved_model(path, change)


def honest_two_savers(folder: str) -> dict[str, Any]:
    """A training graph's own saver, which nobody runs, beside the one of the SavedModel."""

    def body(tf: Any, weight: Any) -> None:
        tf.compat.v1.train.Saver(name="training")

    return try_model(str(_exported(Path(folder), body)), str(_canary(Path(folder))))

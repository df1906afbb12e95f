"""SavedModels that do more than compute (see attacks.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.hostile.models.attacks import _canary, try_model


def _exported(folder: Path, body: Any) -> Path:
    """A SavedModel whose signature is that function of a tensor."""
    import tensorflow as tf

    module = tf.Module()
    module.weight = tf.Variable([1.0, 2.0])
    function = tf.function(lambda x: {"y": body(tf, x) * module.weight})
    module.call = function.get_concrete_function(tf.TensorSpec((None, 2), tf.float32, "x"))
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": module.call})
    return folder / "saved"


def _secret(folder: Path) -> Path:
    path = folder / "secret.txt"
    path.write_text("one\ntwo\n")
    return path


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


def _mlir_of_its_own(folder):
    def body(tf: Any, x: Any) -> Any:
        kind = "tensor<*xf32>"
        code = f"module {{ func.func @main(%x: {kind}) -> {kind} {{ func.return %x : {kind} }} }}"
        value, types = tf.compat.v1.AttrValue, tf.compat.v1.AttrValue.ListValue(type=[tf.float32.as_datatype_enum])
        attributes = {
            "mlir_module": value(s=code.encode()),
            "Tinputs": value(list=types),
            "Toutputs": value(list=types),
        }
        return x.graph.create_op("MlirPassthroughOp", [x], [tf.float32], attrs=attributes).outputs[0]

    return _exported(folder, body)


def _abort(folder):
    def body(tf: Any, x: Any) -> Any:
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="ran", exit_without_error=True)]):
            return tf.identity(x)

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


def _edit_saved_model(path: Path, change: Any) -> Path:
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

    return _edit_saved_model(_table(folder), change)


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

    return _edit_saved_model(_table(folder), change)


def _table_of_another_object(folder):
    """A table's file that the object graph binds to a constant instead of an asset."""

    def change(meta: Any) -> None:
        for node in meta.object_graph_def.nodes:
            if node.WhichOneof("kind") == "asset":
                node.constant.operation = "place"

    return _edit_saved_model(_table(folder), change)


def honest_table(folder: str) -> dict[str, Any]:
    """A table from an asset, which must still load."""
    return try_model(str(_table(Path(folder))), str(_canary(Path(folder))))


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

    return _edit_saved_model(_tf1_model(folder, extra), change)


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

    return _edit_saved_model(_tf1_model(folder, lambda tf, y: {}), change)


def _tf1_save_as_init(folder):
    """The saving, which is in every model and runs in none, named as what to run at the start."""

    def change(meta: Any) -> None:
        meta.collection_def["saved_model_main_op"].node_list.value.append(meta.saver_def.save_tensor_name.split(":")[0])

    return _edit_saved_model(_tf1_model(folder, lambda tf, y: {}), change)


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


def _initializer_that_saves(folder):
    """A resource's initialization, which the list of functions does not name, writes the file that is its argument."""

    def change(meta: Any) -> None:
        objects = meta.object_graph_def
        for node in objects.nodes:
            if node.WhichOneof("kind") == "function":
                name = node.function.concrete_functions[0]
                if "initialize" in name:
                    del objects.concrete_functions[name]
                    node.ClearField("function")
                    node.bare_concrete_function.concrete_function_name = name

    import tensorflow as tf
    from tensorflow.python.trackable import resource

    class Written(resource.CapturableResource):
        def _create_resource(self):
            return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self):
            tf.raw_ops.Save(filename=str(_canary(folder)), tensor_names=["a"], data=[tf.constant([1.0])])
            return tf.constant(1)

    module = tf.Module()
    module.written = Written()
    module.call = tf.function(lambda x: {"y": x * 2}).get_concrete_function(tf.TensorSpec((None, 2), tf.float32, "x"))
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": module.call})
    return _edit_saved_model(folder / "saved", change)


def _tf1_read_of_a_variable(folder):
    """What freezing reads a variable by, though no signature does, saves a file first."""

    def change(meta: Any) -> None:
        nodes = {node.name: node for node in meta.graph_def.node}
        handle = next(node for node in nodes.values() if node.op == "VarHandleOp")
        read = nodes[f"{handle.name}/Read/ReadVariableOp"]
        read.input.append("^evil")

    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(folder / "tf1"))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        weight = v1.get_variable("weight", (4, 2), use_resource=True)
        y = tf.matmul(x, tf.raw_ops.ReadVariableOp(resource=weight.handle, dtype=tf.float32))
        tf.raw_ops.Save(filename=str(_canary(folder)), tensor_names=["a"], data=[tf.constant([1.0])], name="evil")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
    builder.save()
    return _edit_saved_model(folder / "tf1", change)


def _table_registered_otherwise(folder):
    """An asset that is registered as a constant, whose value TensorFlow takes from a node without a name."""

    def change(meta: Any) -> None:
        for node in meta.object_graph_def.nodes:
            if node.WhichOneof("kind") == "asset":
                node.registered_name = "tf.TrackableConstant"

    return _edit_saved_model(_table(folder), change)


def _tf1_table_while_answering(folder):
    """The signature fills the table itself: not with the asset, whose place is told to the initialization alone."""
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(folder / "tf1"))
    with tf.Graph().as_default(), v1.Session() as session:
        place = tf.constant(str(_secret(folder)))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, place)
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        # Keys are whole lines, values their numbers.
        filled = tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table, filename=place, key_index=-2, value_index=-1
        )
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        with tf.control_dependencies([filled]):
            size = tf.raw_ops.LookupTableSizeV2(table_handle=table)
        signature = v1.saved_model.signature_def_utils.predict_signature_def(
            {"x": x}, {"y": x + tf.cast(size, tf.float32)}
        )
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, assets_collection=assets
        )
    builder.save()
    return folder / "tf1"


def _node_without_a_name(folder):
    """Any reference that leads nowhere would find it."""

    def change(meta: Any) -> None:
        meta.graph_def.node.add(op="NoOp")

    return _edit_saved_model(_table(folder), change)

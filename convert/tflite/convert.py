"""SavedModel -> .tflite in float32, without Flex ops unless asked for, under the canonical names in their order."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgeship.convert.export import export, saved_model_cache, unsupported
from edgeship.convert.tflite import cleanup, tensor_names
from edgeship.errors import InputError
from edgeship.server_model.description import ServerModelDescription
from edgeship.storage import atomic
from edgeship.types import TensorSpec, ToolReport

HINT = (
    "Replace it by ops that TFLite has; with --allow-flex the file holds TensorFlow's own: then only apps that link the Flex "
    "delegate run it, and nothing here can judge it"
)
NO_FLEX = "Flex has no kernel for it either: replace it by ops that TFLite has, or leave tflite out with --to"
LISTS = "TensorList"


def run(saved_model: str, out_file: str, allow_flex: bool = False, sparse: bool = False) -> ToolReport:
    """Write the float32 `.tflite` (whole or not at all).

    `sparse`: kernels with enough zeros are stored without them, where TFLite has an encoding for them.

    A loop over time with a dynamic batch axis cannot be expressed without Flex ops; recurrent layers are then unrolled,
    and where they cannot be, the batch axis is fixed at 1, which a note says. Raises InputError naming op and layer.
    """
    import tensorflow as tf

    source = Path(saved_model)
    description = export.read_description(source)
    content, notes = _convert_with_fallbacks(source, description, allow_flex, sparse)
    content = tensor_names.rename(
        cleanup.simplify(content), _spec_names(description.inputs), _spec_names(description.outputs)
    )
    with atomic.atomic_file(out_file) as beside:
        beside.write_bytes(content)
    return ToolReport({"tensorflow": tf.__version__}, tuple(notes))


def _spec_names(specs: Sequence[TensorSpec]) -> list[str]:
    return [spec.name for spec in specs]


def _convert_with_fallbacks(
    source: Path, description: ServerModelDescription, allow_flex: bool, sparse: bool
) -> tuple[bytes, list[str]]:
    run_once = partial(_run_converter, sparse=sparse)
    try:
        return run_once(source, False), []
    except _Unsupported as error:
        failure = error
    unrolled_model = source / export.UNROLLED
    if failure.lists and unrolled_model.is_dir():
        try:
            return run_once(unrolled_model, False), [
                "recurrent layers are unrolled in time: TFLite has no loop with a dynamic batch axis"
            ]
        except _Unsupported as error:
            failure = error if not error.lists else failure
    if failure.lists and not allow_flex:
        with tempfile.TemporaryDirectory(prefix="edgeship-static-") as folder:
            batch1_model = source / export.BATCH1
            try:
                static_model = (
                    batch1_model
                    if batch1_model.is_dir()
                    else _fix_batch_at_one(source, description, Path(folder) / "model")
                )
                content = run_once(static_model, False, single_batch=True)
                return content, ["the batch axis is fixed at 1: TFLite has no loop over time with a dynamic batch axis"]
            except _Unsupported as error:
                failure = error
    if allow_flex:
        try:
            return run_once(source, True), [
                "holds Flex ops (TensorFlow's kernels): only an app that links the Flex delegate runs it"
            ]
        except _Unsupported as error:
            failure = error
    raise failure.to_input_error(source, description, NO_FLEX if allow_flex else HINT)


class _Unsupported(Exception):
    """The converter's refusal: its text and the ops that it names."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        op_lists = re.findall(r"(?:TF Select|Flex|Custom) ops: ([\w, ]+)", text)
        op_names = [op for line in op_lists for op in line.replace(" ", "").split(",")]
        self.ops = [op.removeprefix("Flex") for op in dict.fromkeys(op_names or re.findall(r"'tf\.(\w+)' op", text))]
        self.lists = LISTS in text

    def to_input_error(self, source: Path, description: ServerModelDescription, hint: str) -> InputError:
        ops = [op for op in self.ops if op]
        if ops:
            return unsupported.unsupported_ops_error(source, ops, description.layers, "TFLite", hint)
        return unsupported.refused_model_error(source, description.layers, "TFLite's converter", "TFLite", hint, self)


def _run_converter(source: Path, flex: bool, single_batch: bool = False, sparse: bool = False) -> bytes:
    """One run of the converter. `single_batch`: lists inside a graph of batch 1 hold one sample, as its shapes do not say."""
    import tensorflow as tf
    from tensorflow.lite.python import lite

    with saved_model_cache.share_with_converter(lite, "_load"):
        return _convert_saved_model(tf, source, flex, single_batch, sparse)


def _convert_saved_model(tf: Any, source: Path, flex: bool, single_batch: bool, sparse: bool) -> bytes:
    try:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(source), signature_keys=[export.SIGNATURE])
        converter._experimental_default_to_single_batch_in_tensor_list_ops = single_batch
        if sparse:
            converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        if flex:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
            converter._experimental_lower_tensor_list_ops = False
        content: bytes = converter.convert()
    except Exception as error:  # ConverterError, but also ValueError and RuntimeError from the graph's own checks
        raise _Unsupported(str(error)) from error
    return content


def _fix_batch_at_one(source: Path, description: ServerModelDescription, folder: Path) -> Path:
    """The same SavedModel with its variables frozen and its batch axis fixed at 1, so that shapes inside become static."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    inner = saved_model_cache.load(source).signatures[export.SIGNATURE]
    constant_function = convert_variables_to_constants_v2(inner, lower_control_flow=False)
    graph = constant_function.graph.as_graph_def()
    outputs = [tensor.name for tensor in constant_function.outputs]
    names = sorted(inner.structured_outputs)
    placeholders = {tensor.name: tensor.name.split(":")[0] for tensor in constant_function.inputs}

    def serve(**feeds: Any) -> dict[str, Any]:
        tensors = tf.import_graph_def(graph, {old: feeds[new] for old, new in placeholders.items()}, outputs, name="")
        return dict(zip(names, tensors, strict=True))

    tensors = {
        spec.name: tf.TensorSpec((1, *spec.shape[1:]) if spec.shape else (), spec.dtype, name=spec.name)
        for spec in description.inputs
    }
    module = tf.Module()
    module.serve = tf.function(serve, autograph=False)
    concrete = module.serve.get_concrete_function(**tensors)
    tf.saved_model.save(module, str(folder), signatures={export.SIGNATURE: concrete})
    return folder

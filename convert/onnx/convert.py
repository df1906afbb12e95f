"""SavedModel -> ONNX in float32 through tf2onnx, under the canonical names in their order."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeship.convert.export import export, saved_model_cache, unsupported
from edgeship.convert.onnx import repeatable
from edgeship.convert.rewrites import decompose
from edgeship.errors import CheckError, InputError, MissingDependencyError
from edgeship.server_model.description import ServerModelDescription
from edgeship.storage import atomic
from edgeship.types import ToolReport

LARGEST = 2**31 - 2**20
# ONNX Runtime 1.17 and later load it (IR 10 fails on 1.17).
IR_VERSION = 8
HINT = "Replace it by ops that ONNX has, or leave onnx out with --to"


def run(saved_model: str, out_file: str, opset: int = 17) -> ToolReport:
    """Write the float32 `.onnx` (whole or not at all).

    Raises InputError naming op and layer where ONNX has no such op, and for models beyond protobuf's 2 GB.
    """
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX needs tf2onnx, onnx and onnxruntime: pip install 'edgeship[onnx]'"
        ) from error
    source = Path(saved_model)
    description = export.read_description(source)
    if description.weight_elements * 4 > LARGEST:
        raise InputError(
            "the model has more than 2 GB of weights, which one ONNX file cannot hold; leave onnx out with --to"
        )
    with tempfile.TemporaryDirectory(prefix="edgeship-onnx-") as folder:
        model = _run_tf2onnx(decompose.decompose_ops(source, Path(folder)), description, opset)
    _order_interface(model.graph, description)
    model.ir_version = min(model.ir_version, IR_VERSION)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise CheckError(f"the ONNX model is not valid: {unsupported.summarize_message(error)}") from error
    with atomic.atomic_file(out_file) as beside:
        beside.write_bytes(model.SerializeToString())
    return ToolReport({"tf2onnx": tf2onnx.__version__, "onnx": onnx.__version__})


def _run_tf2onnx(source: Path, description: ServerModelDescription, opset: int) -> Any:
    import tensorflow as tf
    from tf2onnx import convert, tf_loader

    concrete = saved_model_cache.load(source).signatures[export.SIGNATURE]
    inputs = {tensor.name: tensor.name.split(":")[0] for tensor in concrete.inputs if tensor.dtype != tf.resource}
    outputs = dict(zip((tensor.name for tensor in concrete.outputs), sorted(concrete.structured_outputs), strict=True))
    with _collect_errors() as complaints:
        try:
            with tf.device("/cpu:0"):
                graph = tf_loader.from_function(concrete, list(inputs), list(outputs))
                repeatable.sort_graph(graph)
                repeatable.restart_names()
                model, _ = convert._convert_common(
                    graph,
                    name="edgeship",
                    opset=opset,
                    input_names=list(inputs),
                    output_names=list(outputs),
                    tensors_to_rename={**inputs, **outputs},
                )
        except Exception as error:  # tf2onnx raises whatever its handlers meet
            raise _explain_failure(source, description, [*complaints, str(error)]) from error
    if any("is not supported" in line for line in complaints):
        raise _explain_failure(source, description, complaints)
    return model


@contextlib.contextmanager
def _collect_errors() -> Iterator[list[str]]:
    """The errors that tf2onnx only logs while it goes on."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Keep(logging.ERROR), logging.getLogger("tf2onnx")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def _explain_failure(source: Path, description: ServerModelDescription, lines: list[str]) -> InputError:
    ops = list(dict.fromkeys(re.findall(r"Tensorflow op \[[^\]]*: (\w+)\] is not supported", "\n".join(lines))))
    if ops:
        return unsupported.unsupported_ops_error(source, ops, description.layers, "ONNX", HINT)
    return unsupported.refused_model_error(source, description.layers, "tf2onnx", "ONNX", HINT, lines[-1])


def _order_interface(graph: Any, description: ServerModelDescription) -> None:
    """Inputs and outputs in canonical order, their batch axis called 'batch' where it is dynamic."""
    from onnx import helper

    for side, values in (("inputs", graph.input), ("outputs", graph.output)):
        by_name = {value.name: value for value in values}
        interface = []
        for spec in getattr(description, side):
            if spec.name not in by_name and side == "outputs":
                raise CheckError(f"the ONNX model has no output '{spec.name}' (it has: {', '.join(by_name)})")
            # An input that no output depends on is dropped by the converter; it stays part of the model's interface.
            dtype = helper.np_dtype_to_tensor_dtype(_numpy_dtype(spec.dtype))
            interface.append(by_name.get(spec.name) or helper.make_tensor_value_info(spec.name, dtype, spec.shape))
            dims = interface[-1].type.tensor_type.shape.dim
            for axis, (size, dim) in enumerate(zip(spec.shape, dims, strict=False)):
                if size is None:
                    dim.dim_param = f"{spec.name}_{axis}" if axis else "batch"
        del values[:]
        values.extend(interface)


def _numpy_dtype(dtype: str) -> Any:
    import numpy as np

    return np.dtype(dtype)

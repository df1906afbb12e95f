"""What a `.tflite` file holds, read with LiteRT and its flatbuffer schema; no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array
from edgeship.errors import CheckError, InputError, brief_message
from edgeship.formats import flatbuffer, runtime_errors
from edgeship.optimize.quantize import spectra
from edgeship.optimize.quantize.calibration import TRIAL_SIZES, trial_zeros
from edgeship.optimize.quantize.input_scaling import KINDS, Operator
from edgeship.optimize.quantize.tflite.int8_coverage import MOVES
from edgeship.types import TensorSpec

# Per signature, per input: the shape of one sample with its batch axis.
Shapes = Mapping[str, Mapping[str, Sequence[int]]]

# They convert between the types, or compute nothing.
NO_ISLANDS = ("QUANTIZE", "DEQUANTIZE", "SHAPE", "RESHAPE", *MOVES)


def _open_interpreter(content: bytes, where: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        return Interpreter(model_content=content, num_threads=os.cpu_count() or 1)
    except ValueError as error:
        raise InputError(f"{where}: not a TFLite model that LiteRT can read ({error})") from error


def read(model: str) -> bytes:
    """The bytes of a `.tflite`. Raises InputError where it is missing or something else."""
    path = Path(model)
    if not path.is_file():
        raise InputError(f"{model}: no such file; give a float .tflite")
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise InputError(f"{model}: not a TFLite model")
    return content


def read_signatures(content: bytes, where: str) -> dict[str, tuple[TensorSpec, ...]]:
    """The inputs of every signature. Raises InputError where the file has none (it was not made from a SavedModel)."""
    interpreter = _open_interpreter(content, where)
    inputs: dict[str, tuple[TensorSpec, ...]] = {}
    for key in interpreter.get_signature_list():
        details = interpreter.get_signature_runner(key).get_input_details()
        inputs[key] = tuple(_tensor_spec(name, detail) for name, detail in details.items())
    if not inputs:
        raise InputError(f"{where}: it has no signature, so its inputs have no names; convert it from a SavedModel")
    return inputs


def _tensor_spec(name: str, detail: Mapping[str, Any]) -> TensorSpec:
    signature = detail["shape_signature"]
    shape = signature if len(signature) == len(detail["shape"]) else detail["shape"]
    return TensorSpec(name, tuple(None if size < 0 else int(size) for size in shape), np.dtype(detail["dtype"]).name)


def with_shapes(content: bytes, inputs: Mapping[str, Sequence[TensorSpec]], shapes: Shapes) -> bytes:
    """The model with the default sizes of its dynamic axes taken from `shapes` (they stay dynamic).

    The converter writes 1 for every dynamic axis, which some models cannot run with: a convolution over a time axis
    of one step has no output. Nothing is changed where only the batch axis is dynamic.
    """
    if not any(None in spec.shape[1:] for specs in inputs.values() for spec in specs):
        return content
    model = flatbuffer.unpack(content)
    for signature in model.signatureDefs:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for item in signature.inputs:
            shape = shapes[signature.signatureKey.decode()][item.name.decode()]
            tensors[item.tensorIndex].shape = [int(size) for size in shape]
    return flatbuffer.pack(model)


def largest_activation(content: bytes) -> int:
    """Bytes of the largest tensor of the first subgraph, at the default shapes. Raises RuntimeError as LiteRT does."""
    interpreter = _open_interpreter(content, "the float model")
    interpreter.allocate_tensors()
    return max(
        (
            int(np.prod(detail["shape"])) * np.dtype(detail["dtype"]).itemsize
            for detail in interpreter.get_tensor_details()
            if detail["dtype"] not in (np.object_, np.bytes_)
        ),
        default=1,
    )


def check_runs(path: Path, shapes: Shapes | None = None, layers: Sequence[str] = ()) -> None:
    """Open a written file, allocate it and run every signature once on zeros.

    Raises CheckError, about the one of the Keras `layers` that fails, where LiteRT cannot: a recipe can be written without
    complaint and then fail to prepare.
    """
    content = path.read_bytes()
    for key, specs in read_signatures(content, path.name).items():
        known_shapes = {**(shapes or {}).get(key, {})}
        dynamic = any(None in spec.shape[1:] and spec.name not in known_shapes for spec in specs)
        failure: Exception | None = None
        for size in TRIAL_SIZES if dynamic else (1,):
            try:
                runner = _open_interpreter(content, path.name).get_signature_runner(key)
                runner(**{spec.name: trial_zeros(spec, known_shapes.get(spec.name), size) for spec in specs})
                break
            except (RuntimeError, ValueError) as error:
                failure = failure or error
        else:
            message = f"the quantized model cannot run in LiteRT: {brief_message(failure)}"
            raise CheckError(message).about(runtime_errors.failing_layers(str(failure), path, layers)) from failure


def has_loops(content: bytes) -> bool:
    """Whether it holds more graphs than the main one."""
    return len(flatbuffer.unpack(content).subgraphs) > 1


def check_branches(model: Any) -> None:
    """Raise InputError where an IF gives its branches other types than they take, which LiteRT runs without a look.

    litert-quantizer 0.11 makes such files: it quantizes the branches, but not the operator that calls them.
    """
    for graph in model.subgraphs:

        def tensor_types(indices: Sequence[int], tensors: Any = graph.tensors) -> list[int]:
            return [tensors[index].type for index in indices]

        for operator in graph.operators or []:
            options = operator.builtinOptions
            for number in (options.thenSubgraphIndex, options.elseSubgraphIndex) if _is_if(options) else ():
                branch = model.subgraphs[number]
                inside = tensor_types(branch.inputs, branch.tensors), tensor_types(branch.outputs, branch.tensors)
                if inside != (tensor_types(operator.inputs[1:]), tensor_types(operator.outputs)):
                    raise InputError(
                        "the model branches on its data (tf.cond), and litert-quantizer would quantize only what is inside of "
                        "the branches: use float16 or dynamic_w8"
                    )


def _is_if(options: Any) -> bool:
    return hasattr(options, "thenSubgraphIndex")


def operator_outputs(content: bytes) -> set[str]:
    """The names of the main graph's tensors that an operator makes; others may lie about without a value."""
    graph = flatbuffer.unpack(content).subgraphs[0]
    return {graph.tensors[index].name.decode() for item in graph.operators for index in item.outputs if index >= 0}


def input_operators(model: Any, signature: Any) -> tuple[dict[str, str], list[Operator]]:
    """A signature's input tensors by the names of its inputs, and its graph's operators, as far as they are known ones."""
    graph, kinds = model.subgraphs[signature.subgraphIndex], flatbuffer.operator_names(model)
    operators = [
        found for item in graph.operators if (found := _as_operator(model, graph, kinds[item.opcodeIndex], item))
    ]
    names = {item.name.decode(): graph.tensors[item.tensorIndex].name.decode() for item in signature.inputs}
    return names, operators


def list_operators(model: Any, signature: Any) -> list[spectra.Operator]:
    """A signature's operators that compute with float32, with the tensors that are no constants."""
    graph, kinds = model.subgraphs[signature.subgraphIndex], flatbuffer.operator_names(model)

    def is_variable(index: int) -> bool:
        return index >= 0 and model.buffers[graph.tensors[index].buffer].data is None

    return [
        spectra.Operator(
            kinds[item.opcodeIndex],
            graph.tensors[item.outputs[0]].name.decode(),
            tuple(graph.tensors[index].name.decode() for index in item.inputs if is_variable(index)),
            bool(getattr(item.builtinOptions, "fusedActivationFunction", None)),
        )
        for item in graph.operators
        if graph.tensors[item.outputs[0]].type == flatbuffer.FLOAT32
    ]


def _as_operator(model: Any, graph: Any, kind: str, item: Any) -> Operator | None:
    tensors = [graph.tensors[index] for index in item.inputs if index >= 0]
    constants = [_constant(model, tensor) for tensor in tensors]
    inputs = [t.name.decode() if value is None else value for t, value in zip(tensors, constants, strict=True)]
    output = graph.tensors[item.outputs[0]]
    if kind == "FULLY_CONNECTED" and constants[1] is not None:
        return Operator("DENSE", output.name.decode(), (inputs[0], constants[1].T))
    across = kind == "CONCATENATION" and item.builtinOptions.axis not in (-1, len(output.shape) - 1)
    activation = getattr(item.builtinOptions, "fusedActivationFunction", None)
    if kind not in KINDS or across or activation:
        return None
    return Operator(kind, output.name.decode(), tuple(inputs))


def _constant(model: Any, tensor: Any) -> Array | None:
    """The values of a float32 constant; None for every other tensor."""
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != flatbuffer.FLOAT32:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.float32).reshape(tensor.shape)


def float_islands(model: Any) -> list[str]:
    """Operators that compute in float32, as `OPERATOR output tensor`; (de)quantization itself is not one."""
    names = flatbuffer.operator_names(model)
    islands = []
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            name = names[operator.opcodeIndex]
            tensors = [subgraph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
            if name not in NO_ISLANDS and any(tensor.type == flatbuffer.FLOAT32 for tensor in tensors):
                islands.append(f"{name} {subgraph.tensors[operator.outputs[0]].name.decode()}")
    return islands


def float_weights(model: Any, least: int = 1024) -> Iterator[tuple[str, int]]:
    """Constants that are still float32, at least `least` bytes large and no vectors (biases), as name and bytes."""
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            if tensor.type == flatbuffer.FLOAT32 and data is not None and len(data) >= least and len(tensor.shape) > 1:
                yield tensor.name.decode(), len(data)


def constants_of(model: Any, outputs: Callable[[str], bool]) -> set[str]:
    """The names of the constants of a `ModelT` that operators read of whose results the first is one of the `outputs`."""
    return {
        graph.tensors[index].name.decode()
        for graph in model.subgraphs
        for operator in graph.operators
        if outputs(graph.tensors[operator.outputs[0]].name.decode())
        for index in operator.inputs
        if index >= 0 and model.buffers[graph.tensors[index].buffer].data is not None
    }


def dense_outputs(content: bytes, multiple: int, least: int) -> list[str]:
    """The outputs of the FULLY_CONNECTED whose constant kernels have a multiple of so many features, and `least` numbers."""
    model = flatbuffer.unpack(content)
    names = flatbuffer.operator_names(model)
    found = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            if names[operator.opcodeIndex] != "FULLY_CONNECTED":
                continue
            kernel = graph.tensors[operator.inputs[1]]
            large = prod(kernel.shape) >= least and kernel.shape[1] % multiple == 0
            if large and model.buffers[kernel.buffer].data is not None:
                found.append(graph.tensors[operator.outputs[0]].name.decode())
    return found

"""tflite-micro: the interpreter of microcontrollers with its reference kernels, on this machine's CPU."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edgeship.runtimes.runtime import device_runtime
from edgeship.runtimes.worker.interface import Spec, tensor_spec

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays

RUNTIMES = (device_runtime("tflite-micro", "tflite", "TensorFlow Lite Micro", "cortex-m", "tflite-micro"),)
# Beyond every microcontroller: what a model needs of it is the same in any arena, and in one that is too small this build
# of the interpreter may crash instead of saying so. Memory that is not needed is not touched.
ARENA = 1 << 28
ALLOCATION = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")


def open_backend() -> TFLiteMicroBackend:
    """Import it."""
    return TFLiteMicroBackend()


class TFLiteMicroBackend:
    """The interpreter with all of its kernels."""

    def __init__(self) -> None:
        self._runtime: Any = importlib.import_module("tflite_micro").runtime
        self.VERSION = importlib.metadata.version("tflite-micro")

    def load(self, path: str, threads: int, options: dict[str, Any]) -> TFLiteMicroModel:
        """Open a `.tflite` file. Raises RuntimeError with what it cannot do."""
        with open(path, "rb") as stream:
            content = stream.read()
        try:
            with _standard_error() as text:
                interpreter = self._runtime.Interpreter.from_bytes(content, arena_size=ARENA)
                interpreter.print_allocations()
        except RuntimeError as error:
            lines = [line.strip() for line in text[0].splitlines() if line.strip()]
            raise RuntimeError("; ".join([*lines[-3:], str(error)])) from error
        arena = {f"arena_{what}_bytes": int(count) for what, count in ALLOCATION.findall(text[0])}
        return TFLiteMicroModel(interpreter, content, {"threads": 1, **arena})


class TFLiteMicroModel:
    """A `.tflite` model; tensors are addressed by their place, names come from the file's signature."""

    def __init__(self, interpreter: Any, content: bytes, engine: dict[str, Any]) -> None:
        self._interpreter = interpreter
        self.engine = engine
        inputs, outputs = _tensor_names(content)
        self.inputs = [_tensor_spec(name, interpreter.get_input_details(place)) for place, name in enumerate(inputs)]
        self.outputs = [_tensor_spec(name, interpreter.get_output_details(place)) for place, name in enumerate(outputs)]

    def run(self, feeds: Arrays) -> Arrays:
        """One inference."""
        import numpy as np

        self._set_inputs(feeds)
        self._interpreter.invoke()
        return {item["name"]: np.array(self._interpreter.get_output(place)) for place, item in enumerate(self.outputs)}

    def prepare_inference(self, feeds: Arrays) -> Callable[[], object]:
        """The inference itself, its inputs set."""
        self._set_inputs(feeds)
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke

    def _set_inputs(self, feeds: Arrays) -> None:
        for place, item in enumerate(self.inputs):
            self._interpreter.set_input(feeds[item["name"]], place)


def _tensor_names(content: bytes) -> tuple[list[str], list[str]]:
    """Input and output names in the order of the graph: those of the signature, else those of the tensors."""
    schema: Any = importlib.import_module("tflite_micro.tensorflow.lite.micro.python.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    signatures = model.signatureDefs or []
    sides = []
    for side in ("inputs", "outputs"):
        tensor_names = {item.tensorIndex: item.name for one in signatures[:1] for item in getattr(one, side)}
        names = [tensor_names.get(index, graph.tensors[index].name) for index in getattr(graph, side)]
        sides.append([name.decode() if isinstance(name, bytes) else str(name) for name in names])
    return sides[0], sides[1]


def _tensor_spec(name: str, detail: dict[str, Any]) -> Spec:
    parameters = detail["quantization_parameters"]
    quantization = None
    if len(parameters["scales"]):
        quantization = {
            "scale": [float(scale) for scale in parameters["scales"]],
            "zero_point": [int(point) for point in parameters["zero_points"]],
            "axis": int(parameters["quantized_dimension"]) if len(parameters["scales"]) > 1 else None,
        }
    return tensor_spec(name, [int(size) for size in detail["shape"]], detail["dtype"].__name__, quantization)


@contextlib.contextmanager
def _standard_error() -> Iterator[list[str]]:
    """What native code writes to standard error, which is where the interpreter says why it fails."""
    text = [""]
    with tempfile.TemporaryFile() as stream:
        original = os.dup(2)
        os.dup2(stream.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(original, 2)
            os.close(original)
            stream.seek(0)
            text[0] = stream.read().decode(errors="replace")

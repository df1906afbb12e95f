"""ONNX Runtime on the CPU."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeship.runtimes.runtime import python_runtime
from edgeship.runtimes.worker.interface import Spec, tensor_spec

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays

RUNTIMES = (
    python_runtime("onnxruntime", "onnx", "ONNX Runtime", ("onnxruntime",), extra="onnx", kernels=("unoptimized",)),
)
# The names of ONNX's element types where they differ from numpy's.
DTYPES = {"float": "float32", "double": "float64"}


def open_backend() -> OnnxRuntimeBackend:
    """Import it."""
    return OnnxRuntimeBackend()


class OnnxRuntimeBackend:
    """The CPU execution provider."""

    def __init__(self) -> None:
        self._runtime: Any = importlib.import_module("onnxruntime")
        self.VERSION = str(self._runtime.__version__)

    def load(self, path: str, threads: int, options: dict[str, Any]) -> OnnxRuntimeModel:
        """Open an `.onnx` file (and the weights beside it) and optimize its graph for this CPU."""
        settings = self._runtime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        if options.get("kernels") == "unoptimized":  # QDQ as it is written: in floats, and rounded after each operator
            settings.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return OnnxRuntimeModel(
            self._runtime.InferenceSession(path, settings, providers=["CPUExecutionProvider"]), threads
        )


class OnnxRuntimeModel:
    """An `.onnx` model."""

    def __init__(self, session: Any, threads: int) -> None:
        self._session = session
        self.inputs = [_tensor_spec(item) for item in session.get_inputs()]
        self.outputs = [_tensor_spec(item) for item in session.get_outputs()]
        self._names = [item["name"] for item in self.outputs]
        self.engine = {"threads": threads, "providers": session.get_providers()}

    def run(self, feeds: Arrays) -> Arrays:
        """One inference."""
        import numpy as np

        return dict(zip(self._names, map(np.asarray, self._session.run(self._names, feeds)), strict=True))


def _tensor_spec(item: Any) -> Spec:
    element = item.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) and size >= 0 else None for size in item.shape]
    return tensor_spec(item.name, shape, DTYPES.get(element, element))

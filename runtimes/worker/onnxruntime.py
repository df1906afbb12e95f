"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from edgeship.processes.wire import Arrays
from edgeship.runtimes.worker.interface import Spec, spec

# The names of ONNX's element types where they differ from numpy's.
DTYPES = {"float": "float32", "double": "float64"}


class OnnxRuntimeBackend:
    """The CPU execution provider."""

    VERSION = str(onnxruntime.__version__)

    def load(self, path: str, threads: int, options: dict[str, Any]) -> OnnxRuntimeModel:
        """Open an `.onnx` file (and the weights beside it) and optimize its graph for this CPU."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        if options.get("kernels") == "unoptimized":  # QDQ as it is written: in floats, and rounded after each operator
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return OnnxRuntimeModel(
            onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"]), threads
        )


class OnnxRuntimeModel:
    """An `.onnx` model."""

    def __init__(self, session: Any, threads: int) -> None:
        self._session = session
        self.inputs = [_spec(item) for item in session.get_inputs()]
        self.outputs = [_spec(item) for item in session.get_outputs()]
        self._names = [item["name"] for item in self.outputs]
        self.engine = {"threads": threads, "providers": session.get_providers()}

    def run(self, feeds: Arrays) -> Arrays:
        """One inference."""
        return dict(zip(self._names, map(np.asarray, self._session.run(self._names, feeds)), strict=True))


def _spec(item: Any) -> Spec:
    element = item.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) and size >= 0 else None for size in item.shape]
    return spec(item.name, shape, DTYPES.get(element, element))

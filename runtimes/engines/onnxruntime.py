"""ONNX Runtime on the CPU."""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeship.runtimes.runtime import python_runtime
from edgeship.runtimes.worker import operator_times
from edgeship.runtimes.worker.interface import Spec, tensor_spec

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays

RUNTIMES = (
    python_runtime("onnxruntime", "onnx", "ONNX Runtime", ("onnxruntime",), extra="onnx", kernels=("unoptimized",)),
)
KERNEL = "_kernel_time"  # what a profiled event of a node ends with
CONTROL = ("If", "Loop", "Scan")
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
        """Open an `.onnx` file (and the weights beside it) and optimize its graph for this CPU.

        `options["tensors"]`: outputs that are not among them are not asked for.
        """
        session = self._open(path, self._settings(threads, options))
        model = OnnxRuntimeModel(session, threads, lambda: self._open(path, self._profiled(threads, options)))
        if tensors := options.get("tensors"):
            model.outputs = [item for item in model.outputs if item["name"] in tensors]
        return model

    def _open(self, path: str, settings: Any) -> Any:
        return self._runtime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def _profiled(self, threads: int, options: dict[str, Any]) -> Any:
        settings = self._settings(threads, options)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(tempfile.mkdtemp(prefix="edgeship-profile-")) / "onnxruntime")
        return settings

    def _settings(self, threads: int, options: dict[str, Any]) -> Any:
        settings = self._runtime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        if options.get("kernels") == "unoptimized":  # QDQ as it is written: in floats, and rounded after each operator
            settings.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return settings


class OnnxRuntimeModel:
    """An `.onnx` model."""

    def __init__(self, session: Any, threads: int, open_profiled: Callable[[], Any]) -> None:
        self._session, self._open_profiled = session, open_profiled
        self.inputs = [_tensor_spec(item) for item in session.get_inputs()]
        self.outputs = [_tensor_spec(item) for item in session.get_outputs()]
        self.engine = {"threads": threads, "providers": session.get_providers()}

    def run(self, feeds: Arrays) -> Arrays:
        """One inference."""
        import numpy as np

        names = self._names()
        return dict(zip(names, map(np.asarray, self._session.run(names, feeds)), strict=True))

    def _names(self) -> list[str]:
        return [item["name"] for item in self.outputs]

    def profile(self, feeds: Arrays) -> dict[str, Any]:
        """Time per node of the optimized graph, by ONNX Runtime's own profiler."""
        session = self._open_profiled()
        count = len(operator_times.repeat(lambda: session.run(self._names(), feeds)))
        path = Path(session.end_profiling())
        runs = list(_split_runs(json.loads(path.read_text(encoding="utf-8"))))
        shutil.rmtree(path.parent, ignore_errors=True)
        times, total = operator_times.summarize(runs[-count:])
        rows = [operator_times.describe(name, kind, kind, figures) for (name, kind), figures in times.items()]
        return {"operators": rows, "total_ms": total, "runs": count}


def _split_runs(events: list[dict[str, Any]]) -> Iterator[list[tuple[tuple[str, str], float]]]:
    """The nodes of each inference with their ms; what only runs other nodes is left out."""
    nodes: list[tuple[tuple[str, str], float]] = []
    for event in events:
        kind = event.get("args", {}).get("op_name", "")
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL) and kind not in CONTROL:
            nodes.append(((event["name"].removesuffix(KERNEL), kind), event["dur"] / 1000))
        elif event.get("name") == "model_run":
            yield nodes
            nodes = []


def _tensor_spec(item: Any) -> Spec:
    element = item.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) and size >= 0 else None for size in item.shape]
    return tensor_spec(item.name, shape, DTYPES.get(element, element))

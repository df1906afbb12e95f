"""LiteRT (`ai-edge-litert`) and its frozen predecessor `tflite-runtime`: the same interpreter under two names."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from edgeship.runtimes.runtime import python_runtime
from edgeship.runtimes.worker.interface import Spec, tensor_spec

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays

RUNTIMES = (
    python_runtime("litert", "tflite", "LiteRT", ("ai-edge-litert",), kernels=("without-delegates", "reference")),
)
KERNELS = {"default": "AUTO", "without-delegates": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


def open_backend() -> TFLiteBackend:
    """Import it."""
    return TFLiteBackend("ai_edge_litert", "ai-edge-litert")


class TFLiteBackend:
    """One of the two distributions."""

    def __init__(self, package: str, distribution: str) -> None:
        module = importlib.import_module(f"{package}.interpreter")
        self._interpreter, self._resolvers = module.Interpreter, module.OpResolverType
        self.VERSION = importlib.metadata.version(distribution)

    def load(self, path: str, threads: int, options: dict[str, Any]) -> TFLiteModel:
        """Open a `.tflite` file; its first allocation builds the delegate's kernels and so belongs to loading.

        `options["kernels"]`: one of `KERNELS`; the default is what an app gets, XNNPACK where it applies.
        """
        resolver = getattr(self._resolvers, KERNELS[options.get("kernels", "default")])
        interpreter = self._interpreter(model_path=path, num_threads=threads, experimental_op_resolver_type=resolver)
        return TFLiteModel(interpreter, threads, path, self.VERSION)


class TFLiteModel:
    """A `.tflite` model, addressed by the names of its signature, or of its tensors where it has none."""

    def __init__(self, interpreter: Any, threads: int, path: str, version: str) -> None:
        self._interpreter, self._path, self._version = interpreter, path, version
        runner = _serving_runner(interpreter)
        inputs, outputs = _tensor_details(interpreter, runner)
        self.inputs = [_tensor_spec(name, detail) for name, detail in inputs.items()]
        self.outputs = [_tensor_spec(name, detail) for name, detail in outputs.items()]
        self.engine = {"threads": threads, "signature": runner is not None}
        self._inputs = {name: detail["index"] for name, detail in inputs.items()}
        self._outputs = {name: detail["index"] for name, detail in outputs.items()}
        self._shapes = {name: tuple(int(size) for size in detail["shape"]) for name, detail in inputs.items()}
        # Tensor indices address the primary subgraph only; a signature that may lie elsewhere takes its (slower) runner.
        main = {detail["index"]: detail["name"] for detail in interpreter.get_input_details()}
        alone = len(interpreter.get_signature_list()) < 2
        direct = alone and main == {detail["index"]: detail["name"] for detail in inputs.values()}
        self._runner = None if direct else runner
        if direct and any(size is None for item in self.inputs for size in item["shape"][1:]):
            # The file has 1 for a size that is not known yet, which many networks cannot shrink: the first inputs tell it.
            self._shapes = dict.fromkeys(inputs, ())
        elif direct:
            del runner  # the interpreter refuses to allocate while a runner refers to it
            interpreter.allocate_tensors()

    def run(self, feeds: Arrays) -> Arrays:
        """One inference; the interpreter is resized only where the batch differs from the one before."""
        if self._runner is not None:
            return dict(self._runner(**feeds))
        if any(array.shape != self._shapes[name] for name, array in feeds.items()):
            self._resize_inputs(feeds)
        for name, array in feeds.items():
            self._interpreter.set_tensor(self._inputs[name], array)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}

    def prepare_inference(self, feeds: Arrays) -> Callable[[], object]:
        """The inference itself, its inputs set."""
        if self._runner is not None:
            return lambda: self.run(feeds)
        self.run(feeds)  # sets the inputs and resizes where that is needed
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke

    def profile(self, feeds: Arrays) -> dict[str, Any]:
        """Time per operator on the default kernels. Raises RuntimeError where this LiteRT has no profiler that is known here."""
        from edgeship.runtimes.worker import litert_profile, operator_times

        if reason := litert_profile.missing_reason(self._version):
            raise RuntimeError(reason)
        names = list(self._interpreter.get_signature_list())
        signature = names.index("serving_default") if "serving_default" in names else 0
        model = litert_profile.ProfiledModel(self._path, self.engine["threads"], signature, feeds, self.run(feeds))
        events = [(name, number) for name, number, _ in model.run()]
        operators = self._operators()
        places = operator_times.align([kind for kind, _, _ in operators], events)

        runs = operator_times.repeat(lambda: [milliseconds for _, _, milliseconds in model.run()])
        times, total = operator_times.summarize([list(enumerate(run)) for run in runs])
        rows, none = [], operator_times.Figures(0.0, 0.0, 0.0)
        for at, ((kernel, _), place) in enumerate(zip(events, places, strict=True)):
            kind, name, reads = operators[place] if place is not None else ("", "", "")
            rows.append(operator_times.describe(name, kind, kernel, times.get(at, none), reads))
        return {"operators": rows, "total_ms": total, "runs": len(runs)}

    def _operators(self) -> list[tuple[str, str, str]]:
        """Kind, first output and first input that another makes, of the operators of the main graph; others are not told.

        None where a signature may lie in another graph.
        """
        details = [] if self._runner is not None else self._interpreter._get_ops_details()
        operators = [item for item in details if item["op_name"] != "DELEGATE"]
        tensors = {item["index"]: str(item["name"]) for item in self._interpreter.get_tensor_details()}
        makes = {int(index) for item in operators for index in item["outputs"]}

        def first_name(indices: Any, among: Container[int]) -> str:
            return next((tensors.get(int(index), "") for index in indices if int(index) in among), "")

        return [
            (item["op_name"], first_name(item["outputs"], tensors), first_name(item["inputs"], makes))
            for item in operators
        ]

    def _resize_inputs(self, feeds: Arrays) -> None:
        self._shapes = dict.fromkeys(feeds, ())  # a failure half-way must not be taken for a finished resize
        for name, array in feeds.items():
            self._interpreter.resize_tensor_input(self._inputs[name], list(array.shape), strict=True)
        self._interpreter.allocate_tensors()
        self._shapes = {name: array.shape for name, array in feeds.items()}


def _serving_runner(interpreter: Any) -> Any:
    """The runner of `serving_default`, or of the first signature; None where the file has none."""
    names = list(interpreter.get_signature_list())
    if not names:
        return None
    return interpreter.get_signature_runner("serving_default" if "serving_default" in names else names[0])


def _tensor_details(interpreter: Any, runner: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if runner is not None:
        return runner.get_input_details(), runner.get_output_details()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    return {detail["name"]: detail for detail in inputs}, {detail["name"]: detail for detail in outputs}


def _tensor_spec(name: str, detail: dict[str, Any]) -> Spec:
    signature = detail["shape_signature"]
    shape = signature if len(signature) else detail["shape"]
    parameters = detail["quantization_parameters"]
    quantization = None
    if len(parameters["scales"]):
        quantization = {
            # float32 scales as the doubles that they are, so that both sides compute with the same number
            "scale": [float(scale) for scale in parameters["scales"]],
            "zero_point": [int(point) for point in parameters["zero_points"]],
            "axis": int(parameters["quantized_dimension"]) if len(parameters["scales"]) > 1 else None,
        }
    dtype = detail["dtype"].__name__
    return tensor_spec(name, [None if size < 0 else int(size) for size in shape], dtype, quantization)

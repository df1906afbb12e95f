"""`edgeship debug`: which layer costs an int8 `.tflite` its accuracy, under its Keras name.

The conversion's own steps are asked for again (the cache has them), so that every trial file comes from the very float
file and the very calibration that the artifact was made of.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from edgeship.benchmarks.gate import advice
from edgeship.benchmarks.measure.benchmark import Reference
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.figures.comparisons import CandidateFigures, LayerErrors, LayerSensitivity
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.data import RepresentativeDataset
from edgeship.errors import EdgeshipError, InputError, brief_message, unknown_name_error
from edgeship.formats.formats import FILES, QUANTIZERS
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize import kept_layers
from edgeship.optimize.quantize.reports import QuantizationReport
from edgeship.optimize.quantize.tflite import layer_errors, quantizer
from edgeship.optimize.quantize.tflite import layers as tflite_layers
from edgeship.optimize.quantize.tflite.layers import TfliteLayer
from edgeship.pipeline.conversion.source import ModelSource
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.data_checks import check_samples
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.layerwise import candidate
from edgeship.pipeline.step_queue import FunctionStep, StepQueue, StepRun, run_cached
from edgeship.processes.executors import QUANTIZE
from edgeship.runtimes import registry
from edgeship.runtimes.worker_pool import Pool
from edgeship.settings import config
from edgeship.settings.sections import MetricChoice
from edgeship.settings.variants import Variant, built_in_variant
from edgeship.storage import cache, digest
from edgeship.typed_json import convert
from edgeship.types import to_json
from edgeship.untrusted import printable

L = TypeVar("L")
SAMPLES = 256
# Recipes whose layers can be taken apart.
RECIPES = ("static_w8a8", "auto")
# Kinds of trial files: all layers but one are in the other precision.
ONLY_LAYER_INT8, ONLY_LAYER_FLOAT = "only_layer_int8", "only_layer_float"


@dataclass(frozen=True)
class LayerwiseModel:
    """What trial files are made of: a float `.tflite`, its calibration, and its layers (`OnnxLayerwiseModel`: an `.onnx`)."""

    run: StepRun
    base: cache.Entry
    statistics: cache.Entry
    calibration_method: str
    layers: Sequence[Any]  # `TfliteLayer`, or of another format

    format: ClassVar[str] = "tflite"

    @classmethod
    def read(cls, run: StepRun, steps: ConversionSteps, variant: Variant) -> LayerwiseModel:
        """The float model behind a variant's `.tflite`, read by its layers, in a step that needs `steps_of` it."""
        exported, base, statistics = (run.inputs[name] for name in steps_of(steps, variant))
        path, keras_layers = base.entry.path / FILES["tflite"], list(exported.description.layers)
        layers = read_layers(run, tflite_layers.read, TfliteLayer, base.entry.digest, path, keras_layers)
        return cls(run, base.entry, statistics, variant.calibration_method, layers)

    @property
    def key(self) -> dict[str, Any]:
        """What a trial file depends on, beside its precisions."""
        return {
            "model": self.base.digest,
            "statistics": self.statistics.digest,
            "calibration_method": self.calibration_method,
            "layers": to_json(self.layers),
            "tools": cache.versions(*QUANTIZERS["tflite"]),
        }

    def write(self, path: Path, io: str, **mixed: Sequence[Any]) -> QuantizationReport:
        """A quantized file with some of the layers in other precisions: `float32=`, `int16=` or, alone, `int8=`.

        It is opened and run once. Raises CheckError where no runtime can, InputError where the quantizer cannot.
        """
        scopes = {name: [scope for layer in layers for scope in layer.scopes] for name, layers in mixed.items()}
        return self.run.executors.quantize.call(
            quantizer.quantize,
            model=str(self.base.path / FILES["tflite"]),
            out_file=str(path),
            recipe="static_w8a8",
            statistics=str(self.statistics.path / "statistics.json"),
            calibration_method=self.calibration_method,
            io=io,
            mixed=scopes or None,
        )


def read_layers(
    run: StepRun, read: Callable[..., Sequence[L]], kind: type[L], content: str, path: Path, keras_layers: Sequence[str]
) -> list[L]:
    """What a format's function `read` tells of the layers of a float file, once per `content` (its digest)."""

    def make(_: Path) -> Any:
        return {"layers": to_json(run.executors.quantize.call(read, model=str(path), layers=keras_layers))}

    tools = cache.versions(*(tool for tools in QUANTIZERS.values() for tool in tools))
    key = {"kind": kind.__name__, "content": content, "layers": keras_layers, "tools": tools}
    found = run_cached(run, "", "layers", key, make).result["layers"]
    return [convert(kind, layer) for layer in found]


def steps_of(steps: ConversionSteps, variant: Variant, file_format: str = "tflite") -> tuple[str, str, str]:
    """The names of the steps that a `LayerwiseModel` is read from: the export, the float file, its calibration."""
    return steps.exported(variant), steps.convert(variant, file_format), steps.calibrate(variant, file_format)


def measure_sensitivity(
    layerwise: LayerwiseModel, judge: candidate.CandidateJudge, kind: str, io: str, folder: Path, output: str = ""
) -> Iterator[CandidateFigures]:
    """The figures of one file per layer: with only it quantized (`ONLY_LAYER_INT8`) or only it left float (`ONLY_LAYER_FLOAT`).

    Where a file cannot be made or run, `reason` says why and there are no figures; `runs` tells which of the two it is.
    """
    path = folder / FILES[layerwise.format]
    for layer in layerwise.layers:
        try:
            if kind == ONLY_LAYER_INT8:
                layerwise.write(path, "float32", int8=[layer])
            else:
                layerwise.write(path, io, float32=[layer])
            yield candidate.figures(judge.judge(path, layerwise.format, intervals=False), output)
        except EdgeshipError as error:
            yield CandidateFigures(reason=brief_message(error, 200), runs=isinstance(error, InputError))


def cached_sensitivity(
    layerwise: LayerwiseModel, judge: candidate.CandidateJudge, kind: str, io: str, output: str = ""
) -> list[CandidateFigures]:
    """`measure_sensitivity` of every layer by content."""
    key = {**layerwise.key, "kind": kind, "io": io if kind == ONLY_LAYER_FLOAT else "", "output": output}
    key |= judged_by(judge, layerwise.format)
    words = {ONLY_LAYER_INT8: "quantized alone", ONLY_LAYER_FLOAT: "left in float alone"}[kind]
    what = f"{len(layerwise.layers)} layers, each {words}: {judge.samples} samples"

    def make(_: Path) -> Any:
        with tempfile.TemporaryDirectory(prefix="edgeship-debug-") as folder:
            return {"layers": to_json(list(measure_sensitivity(layerwise, judge, kind, io, Path(folder), output)))}

    figures = run_cached(layerwise.run, what, "sensitivity", key, make).result["layers"]
    return convert(list[CandidateFigures], figures)


def judged_by(judge: candidate.CandidateJudge, file_format: str) -> dict[str, Any]:
    """What a trial's figures depend on, beside the file."""
    reference, runtime = judge.reference, registry.for_format(file_format)[0]
    return {
        "reference": reference.digest,
        "data": reference.data.digest,
        "limit": reference.limit,
        "metric": judge.metric,
        "runtime": runtime.identity(),
    }


def examine(
    bundle: Bundle, queue: StepQueue, settings: config.Config, artifact: str | None, count: int
) -> LayerSensitivity:
    """What each layer of an int8 `.tflite` costs; `artifact` as `tflite/int8`, the first fitting one where it is None.

    Figures are of the output that the bundle's verdict leaves open, else of the worst.

    Raises InputError where the bundle has no such artifact or there is no data.
    """
    item = _choose_artifact(bundle, settings, artifact)
    variant = _find_variant(settings, item.variant)
    source = RepresentativeDataset(_find_data(settings))
    inputs = bundle.manifest.server.inputs
    check_samples(source, inputs, settings.data.evaluation_samples)
    model = bundle.root / bundle.manifest.server.path
    steps = ConversionSteps(ModelSource.read(model, settings), settings)
    needs, output = steps_of(steps, variant), advice.find_open_output(bundle.manifest, item.id)
    answers = steps.add(reference_outputs.reference_step(model, settings, source))

    def function(run: StepRun) -> LayerSensitivity:
        layerwise = LayerwiseModel.read(run, steps, variant)
        reference = reference_outputs.build_reference(inputs, settings, source, run.inputs[answers])
        with judging(reference, settings.benchmark.metric_choice, count) as (_, judge):
            return _examine_layers(layerwise, judge, bundle.root / item.path, item.id, (variant.io, output))

    name = steps.add(
        FunctionStep(name="examine layers", executors=QUANTIZE, needs=(*needs, answers), function=function)
    )
    sensitivity: LayerSensitivity = queue.submit(steps.steps.values())[name].result()
    return sensitivity


@contextmanager
def judging(
    reference: Reference, metric: MetricChoice, count: int
) -> Iterator[tuple[candidate.CandidateJudge, candidate.CandidateJudge]]:
    """All samples, and at most `count` of them."""
    with tempfile.TemporaryDirectory(prefix="edgeship-samples-") as folder, Pool() as pool:
        every = candidate.CandidateJudge(reference, metric, pool)
        yield every, every.narrow(count, Path(folder))


def _examine_layers(
    layerwise: LayerwiseModel, judge: candidate.CandidateJudge, quantized: Path, name: str, told: tuple[str, str]
) -> LayerSensitivity:
    """`told`: the type of inputs and outputs, and the output that the figures are of."""
    place, base = str(quantized.absolute()), layerwise.base.path / FILES["tflite"]
    content = digest.of_path(quantized)
    outputs = [output for layer in layerwise.layers for output in layer.outputs]
    found = run_cached(
        layerwise.run,
        f"{name}: {len(outputs)} tensors against float32",
        "tensors",
        {**layerwise.key, "artifact": content, "data": judge.reference.data.digest, "samples": judge.samples},
        lambda _: layerwise.run.executors.quantize.call(
            layer_errors.compare,
            model=str(base),
            quantized_model=place,
            data=str(judge.reference.data.path),
            tensors=outputs,
            count=judge.samples,
        ),
    ).result
    tensors = convert(dict[str, layer_errors.TensorErrors], found)
    scopes = {layer.name: list(layer.scopes) for layer in layerwise.layers}
    in_float = layerwise.run.executors.quantize.call(kept_layers.find_float_layers, path=place, scopes=scopes)
    int8, float32 = (cached_sensitivity(layerwise, judge, kind, *told) for kind in (ONLY_LAYER_INT8, ONLY_LAYER_FLOAT))
    return LayerSensitivity(
        artifact=name,
        content=content,
        samples=judge.samples,
        float32=candidate.figures(judge.judge(base), told[1]),
        quantized=candidate.figures(judge.judge(quantized), told[1]),
        layers=tuple(
            LayerErrors(
                name=layer.name,
                operators=layer.operators,
                weight_bytes=layer.weight_bytes,
                **_find_worst([tensors[output] for output in layer.outputs if output in tensors]),
                only_layer_int8=with_int8,
                only_layer_float=with_float,
                tensors=tuple(tensors[output].tensor for output in layer.outputs if output in tensors),
                in_float=layer.name in in_float,
            )
            for layer, with_int8, with_float in zip(layerwise.layers, int8, float32, strict=True)
        ),
    )


def _find_worst(outputs: Sequence[layer_errors.TensorErrors]) -> Mapping[str, Any]:
    """The errors of a layer's output that is furthest off, as `LayerErrors` has them; none without outputs."""
    worst = min(outputs, key=lambda item: item.sqnr_db, default=None)
    return {key: value for key, value in asdict(worst).items() if key != "tensor"} if worst else {}


def refuse_foreign(bundle: Bundle, name: str | None) -> None:
    """Raise InputError where edgeship did not make the artifact `name`, or where none is named any."""
    foreign = next((item for item in bundle.manifest.artifacts if item.foreign and name in (None, item.id)), None)
    if foreign:
        raise InputError(
            f"{printable(foreign.id)}: edgeship did not make it, so the float file and calibration behind it are not known, "
            "without which no layer can be blamed\n--profile tells the time of its operators; of an int8 .tflite that edgeship "
            "ship makes from the same model debug tells the layers"
        )


def _choose_artifact(bundle: Bundle, settings: config.Config, name: str | None) -> ArtifactEntry:
    items = {item.id: item for item in bundle.manifest.artifacts}
    if name is not None and name not in items:
        raise unknown_name_error("artifact", name, items, str(bundle.root))
    fitting = [
        item.id
        for item in items.values()
        if item.format == "tflite" and _find_variant(settings, item.variant).quantize in RECIPES
    ]
    if name is not None and name not in fitting:
        raise InputError(
            f"{name}: only full-integer .tflite files have layers to blame: {', '.join(fitting) or 'none here'}"
        )
    if not fitting:
        raise InputError(
            f"{bundle.root}: no full-integer .tflite in it (it has: {', '.join(items)}); "
            "convert with --to tflite --variant float32,int8 --data calibration.npz"
        )
    return items[name or fitting[0]]


def _find_variant(settings: config.Config, name: str) -> Variant:
    return next((item for item in settings.variants or () if item.name == name), None) or built_in_variant(
        name, ["tflite"]
    )


def _find_data(settings: config.Config) -> str:
    source = settings.data.evaluation or settings.data.calibration
    if not source:
        raise InputError("no data to compare on: give --data evaluation.npz (inputs, and labels y for accuracy)")
    return source

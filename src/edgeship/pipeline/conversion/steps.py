"""The steps from a server model to artifacts: one export, a float artifact per format, quantized ones from those.

Data flows export -> float artifact -> quantized artifact -> receipt; each step's cache key names what it read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.convert.export import export
from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.formats.formats import FILES, FORMATS, QUANTIZERS, TENSORFLOW, TOOLS
from edgeship.pipeline.conversion import float_artifact
from edgeship.pipeline.conversion.artifact_receipt import add_kept_layers, add_sparsity, check_receipt, read_receipt
from edgeship.pipeline.conversion.source import (
    TRAINED,
    ConvertedArtifact,
    ExportOutput,
    ModelSource,
    StepOutput,
    TrainedModel,
)
from edgeship.pipeline.step_queue import CachedStep, FunctionStep, Inputs, Step, StepRun
from edgeship.processes.executors import CONVERT, EXPORT, QUANTIZE, PipelineExecutors
from edgeship.recipes.quantization import DEFAULT_SAMPLES, MIN_MAX, needs_data
from edgeship.recipes.training import Recipes
from edgeship.server_model import model_files, server_model
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant
from edgeship.storage import digest
from edgeship.storage.cache import Entry, versions
from edgeship.typed_json import convert
from edgeship.types import Artifact, ToolReport, last_computing_step
from edgeship.types import Step as RecordedStep

Search = Callable[["ConversionSteps", Variant, str], str]


class ConversionSteps:
    """Builds the steps of one conversion. Each method adds a step and those that it needs to `steps`, and returns its name.

    What is the same for several artifacts is one step. `search` adds what a variant that leaves its precision open (`auto`) is
    made by; None refuses such variants.
    """

    def __init__(
        self,
        model: ModelSource,
        config: Config,
        pairs: Sequence[tuple[Variant, str]] = (),
        search: Search | None = None,
    ) -> None:
        self.model, self.config, self.pairs, self._search = model, config, pairs, search
        self.data = RepresentativeDataset(config.data.calibration) if config.data.calibration else None
        self.steps: dict[str, Step] = {}

    def add(self, step: Step) -> str:
        """Add a step, or find the one that has its name; returns that."""
        return self.steps.setdefault(step.name, step).name

    def describe(self) -> str:
        """Loading the server model; the value is what `ServerModel.describe` says of it."""
        model = self.model

        def make(run: StepRun, _: Path) -> ServerModelDescription:
            self._start_processes(run.executors)
            with digest.check_unchanged(model.path, model.digest), model_files.crash_as_input_error(model.path):
                return run.executor.call(server_model.describe, model=str(model.path), **model.loading)

        key = {"model": model.digest, "tools": versions(*TENSORFLOW), "custom": model.custom, **model.loading}
        return self.add(
            CachedStep(
                name="describe",
                executors=EXPORT,
                kind="describe",
                key=lambda _: key,
                make=make,
                value=lambda _, entry: convert(ServerModelDescription, entry.result),
                label=f"read {model.path.name}",
            )
        )

    def _start_processes(self, executors: PipelineExecutors) -> None:
        """Start the processes that this conversion will need, while the first one loads the server model."""
        kinds = {kind for _, kind in self.pairs}
        if len(kinds) > 1:
            executors.convert.warm(*(name for kind in sorted(kinds) for name in formats.find(kind).converter_modules))
        quantized = {kind for variant, kind in self.pairs if variant.quantize != "float32"}
        modules = [name for kind in FORMATS if kind in quantized for name in formats.find(kind).quantizer_modules]
        if modules:
            executors.quantize.warm(*modules)

    def export(self, *, static: int = 0, recipes: Recipes | None = None) -> str:
        """The SavedModel of the server model, or of what was trained further from it; an `ExportOutput`."""
        trained = self._train_further(recipes) if recipes else None
        recipe = {"static_batch": int(static) or None}
        tools, server = versions(*TENSORFLOW), self.model

        def source(inputs: Inputs) -> TrainedModel:
            plain = TrainedModel(server.path, server.digest, ())
            return inputs[trained] if trained else plain

        def key(inputs: Inputs) -> dict[str, Any]:
            read = source(inputs).digest
            return {"model": read, "tools": tools, "custom": server.custom, **server.loading, **recipe}

        def make(run: StepRun, folder: Path) -> ServerModelDescription:
            self._start_processes(run.executors)
            model, out = str(source(run.inputs).path), str(folder / "saved_model")
            with digest.check_unchanged(server.path, server.digest):
                return run.executor.call(
                    export.run, model=model, out=out, static_batch=recipe["static_batch"], **server.loading
                )

        def value(inputs: Inputs, entry: Entry) -> ExportOutput:
            read = source(inputs)
            steps = (*read.steps, RecordedStep("export", read.digest, recipe, tools))
            return ExportOutput(entry, steps, convert(ServerModelDescription, entry.result))

        name = TRAINED if recipes else server.path.name
        return self.add(
            CachedStep(
                name=f"export {int(static)} {recipes or None}",
                executors=EXPORT,
                needs=(trained,) if trained else (),
                kind="export",
                key=key,
                make=make,
                value=value,
                label=f"export {name}" + (f" with batch {int(static)}" if static else ""),
            )
        )

    def _train_further(self, recipes: Recipes) -> str:
        from edgeship.pipeline.conversion import training_step  # few variants are trained: the others start without it

        return self.add(training_step.train_step(self.model, self.config, recipes))

    def exported(self, variant: Variant) -> str:
        """The SavedModel that a variant is made from."""
        return self.export(static=variant.static_batch, recipes=variant.recipes)

    def convert(self, variant: Variant, file_format: str) -> str:
        """The artifact as its converter writes it: float32, or with weights as the format stores them; a `StepOutput`."""
        source = self.exported(variant)
        options = _converter_options(variant, file_format)
        tools = versions(*TOOLS[file_format])

        def make(run: StepRun, folder: Path) -> ToolReport:
            exported: StepOutput = run.inputs[source]
            return float_artifact.convert(run, file_format, exported.entry, folder / FILES[file_format], options)

        def value(inputs: Inputs, entry: Entry) -> StepOutput:
            read: StepOutput = inputs[source]
            recorded = RecordedStep(f"convert.{file_format}", read.entry.digest, options, tools)
            return StepOutput(entry, (*read.steps, recorded))

        described = f"{options['weights']} weights" if formats.find(file_format).weight_storage else "float32"
        return self.add(
            CachedStep(
                name=self._convert_name(variant, file_format),
                # The other process does not even start for one format: it would take longer to import TensorFlow.
                executors=CONVERT if len({kind for _, kind in self.pairs}) > 1 else EXPORT,
                needs=(source, *self._same_graph(variant, file_format)),
                kind=f"convert-{file_format}",
                key=lambda inputs: {"source": inputs[source].entry.digest, "tools": tools, **options},
                make=make,
                value=value,
                label=f"convert to {file_format}: {described}",
            )
        )

    def _convert_name(self, variant: Variant, file_format: str) -> str:
        made_from = f"{int(variant.static_batch)} {variant.recipes}"
        return f"{file_format} {_converter_options(variant, file_format)} {made_from}"

    def _same_graph(self, variant: Variant, file_format: str) -> tuple[str, ...]:
        """The step, if any, that leaves the graph behind that artifacts share: of the first variant with other weights."""
        if not formats.find(file_format).weight_storage:
            return ()
        source = self.exported(variant)
        alike = [other for other, kind in self.pairs if kind == file_format and self.exported(other) == source]
        first = next(iter(sorted(alike, key=lambda other: other.quantize != "float32")), variant)
        same = self._convert_name(first, file_format) == self._convert_name(variant, file_format)
        return () if same else (self.convert(first, file_format),)

    def calibrate(self, variant: Variant, file_format: str) -> str:
        """The statistics of one pass over the representative dataset, an `Entry`: every recipe of that model reads them.

        It looks closely, at more than extremes, where any variant of the same model needs that: every calibration
        method but min-max does. Raises InputError where there is no representative dataset.
        """
        data, samples = self.data, self.config.data.calibration_samples
        if data is None:
            raise InputError(f"{file_format}/{variant.name} needs a representative dataset: --data calibration.npz")
        base, tools = self.convert(variant, file_format), versions(*QUANTIZERS[file_format])
        alike = [other for other, kind in self.pairs if kind == file_format and _base_of(other) == _base_of(variant)]
        closely = any(other.calibration_method != MIN_MAX for other in (variant, *alike))

        def key(inputs: Inputs) -> dict[str, Any]:
            read = {"model": inputs[base].entry.digest, "data": data.digest, "samples": samples}
            return {**read, "closely": closely, "tools": tools}

        def make(run: StepRun, folder: Path) -> ToolReport:
            arguments: dict[str, Any] = {
                "model": str(run.inputs[base].entry.path / FILES[file_format]),
                "data": str(data.path),
                "out": str(folder / "statistics.json"),
                "count": samples or DEFAULT_SAMPLES,
                "closely": closely,
            }
            return convert(ToolReport, run.executor.call(formats.find(file_format).calibrator, **arguments))

        return self.add(
            CachedStep(
                name=f"calibrate {closely} {base}",
                executors=QUANTIZE,
                needs=(base,),
                kind=f"calibrate-{file_format}",
                key=key,
                make=make,
                label=f"{file_format}: calibrate" + (" closely" if closely else ""),
            )
        )

    def quantize(self, variant: Variant, file_format: str) -> str:
        """The artifact of a variant's recipe, made from its float artifact; a `StepOutput`."""
        if variant.quantize == "auto":
            if self._search is None:
                raise InputError(f"{file_format}/{variant.name}: its layers' precision is not searched for here")
            return self._search(self, variant, file_format)
        return self.add_quantize(variant, file_format, variant.quantize)

    def add_quantize(
        self,
        variant: Variant,
        file_format: str,
        asked: str,
        needs: tuple[str, ...] = (),
        extra: Callable[[Inputs], Mapping[str, Any]] = lambda _: {},
    ) -> str:
        """The artifact of the recipe `asked`; `extra` gives further arguments of the quantizer from what it `needs`."""
        base, exported = self.convert(variant, file_format), self.exported(variant)
        statistics = self.calibrate(variant, file_format) if needs_data(asked) else None
        form, tools = formats.find(file_format), versions(*QUANTIZERS[file_format])
        recipe: dict[str, Any] = {"recipe": asked, **({"io": variant.io} if form.integer_io else {})}
        if statistics:
            recipe["calibration_method"] = variant.calibration_method
            recipe |= {name: getattr(variant, attribute) for name, attribute in form.quantizer_options.items()}

        def source(inputs: Inputs) -> str:
            read: str = inputs[base].entry.digest
            return digest.of_json([read, inputs[statistics].digest]) if statistics else read

        def make(run: StepRun, folder: Path) -> ToolReport:
            arguments: dict[str, Any] = {
                "model": str(run.inputs[base].entry.path / FILES[file_format]),
                "out_file": str(folder / FILES[file_format]),
                "layers": list(run.inputs[exported].description.layers),
                **recipe,
                **extra(run.inputs),
            }
            if statistics:
                arguments["statistics"] = str(run.inputs[statistics].path / "statistics.json")
            return convert(ToolReport, run.executor.call(form.quantizer, **arguments))

        def value(inputs: Inputs, entry: Entry) -> StepOutput:
            floats = entry.result.get("float_operators")
            done = {**recipe, "float_operators": floats} if floats else recipe
            return StepOutput(entry, (*inputs[base].steps, RecordedStep("quantize", source(inputs), done, tools)))

        return self.add(
            CachedStep(
                name=f"quantize {file_format}/{variant.name}",
                executors=QUANTIZE,
                needs=tuple(dict.fromkeys((base, exported, *((statistics,) if statistics else ()), *needs))),
                kind=f"quantize-{file_format}",
                key=lambda inputs: {"source": source(inputs), "tools": tools, **recipe, **extra(inputs)},
                make=make,
                value=value,
                label=f"{file_format}: quantize to {variant.name}",
            )
        )

    def artifact(self, variant: Variant, file_format: str) -> str:
        """The finished artifact, opened again and checked against what was asked for; a `ConvertedArtifact`."""
        plain = not formats.find(file_format).quantizer or variant.quantize == "float32"
        source = self.convert(variant, file_format) if plain else self.quantize(variant, file_format)
        if variant.mobile:
            source = self._write_metadata(variant, source)
        exported, searched = self.exported(variant), tuple[str, ...]()
        if variant.quantize == "auto":
            searched = self.convert(variant, file_format), self.calibrate(variant, file_format)

        def function(run: StepRun) -> ConvertedArtifact:
            output: StepOutput = run.inputs[source]
            path = output.entry.path / FILES[file_format]
            model: ServerModelDescription = run.inputs[exported].description
            receipt = read_receipt(run, path, output.entry, file_format, model)
            tensors = receipt.inputs, receipt.outputs
            artifact = Artifact(path, file_format, variant.name, *tensors, output.steps, output.bridge)
            receipt = add_sparsity(run, artifact, receipt)
            if searched:
                receipt = add_kept_layers(run, artifact, receipt, self._float_file(run, variant, file_format), model)
            last = last_computing_step(output.steps)
            check_receipt(receipt, variant, file_format, model, last, output.bridge)
            return ConvertedArtifact(artifact, receipt, output.entry.digest)

        name = f"{file_format}/{variant.name}"
        needs = tuple(dict.fromkeys((source, exported, *searched)))
        return self.add(FunctionStep(name=name, executors=QUANTIZE, needs=needs, function=function))

    def _write_metadata(self, variant: Variant, source: str) -> str:
        from edgeship.pipeline.conversion import mobile_form  # few variants are for apps

        described = self.add(mobile_form.inputs_step(self.export(), self.data, self.config))
        needs = source, self.exported(variant), described
        return self.add(mobile_form.metadata_step(variant, self.model, self.config, needs))

    def _float_file(self, run: StepRun, variant: Variant, file_format: str) -> Path:
        """What a variant is quantized from: for ONNX Runtime the model is prepared while it is calibrated."""
        if file_format == "onnx":
            prepared: Entry = run.inputs[self.calibrate(variant, file_format)]
            return prepared.path / "statistics.onnx"
        base: StepOutput = run.inputs[self.convert(variant, file_format)]
        return base.entry.path / FILES[file_format]


def _converter_options(variant: Variant, file_format: str) -> dict[str, Any]:
    form = formats.find(file_format)
    options = {name: getattr(variant, attribute) for name, attribute in form.options.items()}
    return {**options, "weights": form.weight_storage[variant.quantize]} if form.weight_storage else options


def _base_of(variant: Variant) -> tuple[object, ...]:
    """What decides a variant's float artifact."""
    return variant.recipes, variant.static_batch, variant.flex, variant.sparse_encoding

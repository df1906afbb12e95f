"""From a server model to artifacts: one export, a float artifact per format, quantized ones from those, side by side.

Data flows export -> float artifact -> quantized artifact -> receipt; each step's cache key names what it read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts import receipt as receipts
from edgeship.convert.tfjs import shim
from edgeship.data import RepresentativeDataset
from edgeship.errors import CheckError, InputError
from edgeship.formats.formats import FILES, QUANTIZERS, TENSORFLOW, TFJS_WEIGHTS, TOOLS
from edgeship.pipeline import training_step
from edgeship.processes.executors import PipelineExecutors, ProcessExecutor
from edgeship.progress import Progress
from edgeship.recipes.quantization import DEFAULT_SAMPLES, MIN_MAX, needs_data
from edgeship.recipes.training import Recipes
from edgeship.server_model import model_files
from edgeship.server_model.custom_objects import custom_digest
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant
from edgeship.storage import digest
from edgeship.storage.cache import Cache, Entry, versions
from edgeship.typed_json import convert
from edgeship.types import FORMATS, Artifact, Step, TensorSpec


@dataclass(frozen=True)
class ConvertedArtifact:
    """An artifact in the cache, with its receipt and whether any of its steps had to be done."""

    artifact: Artifact
    receipt: Receipt
    digest: str


@dataclass(frozen=True)
class ExportedServerModel:
    """The server model as loading and exporting it showed it; `digest` is that of its file or folder."""

    path: Path
    digest: str
    described: Mapping[str, Any]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Its inputs in canonical order."""
        return tuple(map(TensorSpec.from_json, self.described["inputs"]))


@dataclass(frozen=True)
class ConversionResult:
    """What came of a conversion: the server model, the artifacts, and the export's folder (SavedModel and probe)."""

    server: ExportedServerModel
    made: tuple[ConvertedArtifact, ...]
    export: Path


Search = Callable[["Converter", Variant, str, Entry], tuple[Entry, Step]]


class Converter:
    """The steps of one conversion: `start` queues them, `finish` waits for them.

    `search` finds what a variant that leaves its precision open (`auto`) is made of; None refuses such variants.
    """

    def __init__(
        self,
        executors: PipelineExecutors,
        cache: Cache,
        progress: Progress,
        model: Path,
        config: Config,
        search: Search | None = None,
    ) -> None:
        self._search = search
        self.executors, self.cache, self.progress, self.config = executors, cache, progress, config
        self.model = model
        self.model_digest = digest.of_path(model)
        self.loading = {
            "custom_objects": config.model.custom_objects,
            "signature": config.model.signature,
            "allow_unsafe": config.model.allow_unsafe,
        }
        self.custom = custom_digest(config.model.custom_objects)
        self.data = RepresentativeDataset(config.data.calibration) if config.data.calibration else None
        self._shared: dict[str, Future[Any]] = {}
        self._pairs: Sequence[tuple[Variant, str]] = ()

    def describe(self, pairs: Sequence[tuple[Variant, str]]) -> Mapping[str, Any]:
        """Load the server model, and return what `ServerModel.describe` says of it; nothing is converted yet."""
        self._pairs = pairs
        key = {"model": self.model_digest, "tools": versions(*TENSORFLOW), "custom": self.custom, **self.loading}

        def make(_: Path) -> Any:
            self._warm()
            with digest.check_unchanged(self.model, self.model_digest), model_files.crash_as_input_error(self.model):
                return self.executors.export.call(
                    "edgeship.server_model.server_model:describe", model=str(self.model), **self.loading
                )

        found: Mapping[str, Any] = self.cached(f"read {self.model.name}", "describe", key, make).result
        return found

    def _warm(self) -> None:
        """Start the processes that this conversion will need, while the first one loads the server model."""
        if len({self._executor_of(kind) for _, kind in self._pairs}) > 1:
            self.executors.convert.warm("tensorflow")
        if any(kind == "tflite" and variant.quantize != "float32" for variant, kind in self._pairs):
            self.executors.quantize.warm("edgeship.optimize.quantize.tflite.quantizer", "litert_quantizer.quantizer")

    def start(self, pairs: Sequence[tuple[Variant, str]]) -> None:
        """Queue the steps of every pair; other work may be queued behind them before `finish` waits."""
        self._pairs = pairs
        self.export(static=False)
        # Formats first that a quantizer waits for, so that both executors have work.
        order = sorted(pairs, key=lambda pair: (FORMATS.index(pair[1]), pair[0].quantize != "float32"))
        # Float artifacts are queued before anything waits for them: an executor only ever waits for an earlier job.
        for variant, name in order:
            self.float_artifact(variant, name)
        self._futures = {(variant.name, name): self._artifact(variant, name) for variant, name in order}

    @property
    def artifacts(self) -> Iterable[Future[ConvertedArtifact]]:
        """The artifacts that `start` queued, in the order in which they are made."""
        return self._futures.values()

    def finish(self) -> ConversionResult:
        """Wait for every pair. Raises the first error; nothing of this run is then used."""
        server = self.server()
        done, _ = wait(self._futures.values(), return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        made = tuple(self._futures[variant.name, name].result() for variant, name in self._pairs)
        return ConversionResult(server, made, self.export(static=False).result()[0].path)

    def server(self) -> ExportedServerModel:
        """The server model, when it is read and exported."""
        return ExportedServerModel(self.model, self.model_digest, self.export(static=False).result()[0].result)

    def once(self, name: str, executor: Any, job: Callable[[], Any]) -> Future[Any]:
        """The future of a step that several artifacts share."""
        if name not in self._shared:
            self._shared[name] = executor.submit(job)
        return self._shared[name]

    def cached(self, what: str, step: str, key: Mapping[str, Any], make: Callable[[Path], Any]) -> Entry:
        """A step's result from the cache, or made now; shown as it goes."""
        with self.progress.step(what) as remarks:
            entry = self.cache.get(step, key, make)
            remarks.extend(["cached"] if entry.hit else [])
            for note in () if entry.hit else entry.result.get("notes", ()):
                self.progress.note(note)
        return entry

    def export(self, *, static: int, recipes: Recipes | None = None) -> Future[tuple[Entry, tuple[Step, ...]]]:
        """The SavedModel of the server model, or of what was trained further from it."""
        trained = training_step.queue(self, recipes) if recipes else None
        recipe = {"static_batch": int(static) or None}
        tools = versions(*TENSORFLOW)

        def job() -> tuple[Entry, tuple[Step, ...]]:
            model, source, steps = trained.result() if trained else (self.model, self.model_digest, ())
            key = {
                "model": source,
                "tools": tools,
                "custom": self.custom,
                **self.loading,
                **recipe,
            }

            def make(folder: Path) -> Any:
                self._warm()
                out = str(folder / "saved_model")
                with digest.check_unchanged(self.model, self.model_digest):
                    return self.executors.export.call(
                        "edgeship.convert.export.export:run", model=str(model), out=out, **self.loading, **recipe
                    )

            what = f"export {model.name}" + (f" with batch {int(static)}" if static else "")
            entry = self.cached(what, "export", key, make)
            return entry, (*steps, Step("export", source, recipe, tools))

        return self.once(f"export {int(static)} {recipes or None}", self.executors.export, job)

    def float_artifact(self, variant: Variant, name: str) -> Future[tuple[Entry, tuple[Step, ...]]]:
        """The artifact as its converter writes it: float32, or with TF.js's own weight storage."""
        options: dict[str, Any] = {}
        if name == "tflite":
            options = {"allow_flex": variant.flex, "sparse": variant.sparse_encoding}
        if name == "tfjs":
            options = {"weights": TFJS_WEIGHTS[variant.quantize]}
        exported = self.export(static=variant.static_batch, recipes=variant.recipes)
        tools, executor = versions(*TOOLS[name]), self._executor_of(name)

        def job() -> tuple[Entry, tuple[Step, ...]]:
            source, steps = exported.result()

            def make(folder: Path) -> Any:
                out = folder / FILES[name]
                place = {"out_dir": str(out.parent)} if name == "tfjs" else {"out_file": str(out)}
                saved_model = str(source.path / "saved_model")
                if name == "tfjs":
                    shim.install_if_missing()
                return executor.call(
                    f"edgeship.convert.{name}.convert:run", saved_model=saved_model, **place, **options
                )

            key = {"source": source.digest, "tools": tools, **options}
            described = f"{name}: {options['weights']} weights" if name == "tfjs" else f"{name}: float32"
            try:
                entry = self.cached(f"convert to {described}", f"convert-{name}", key, make)
            except InputError as error:
                raise self._with_way_out(error, name) from error
            return entry, (*steps, Step(f"convert.{name}", source.digest, options, tools))

        return self.once(f"{name} {options} {int(variant.static_batch)} {variant.recipes}", executor, job)

    def _executor_of(self, name: str) -> ProcessExecutor:
        """Where a format is converted: the first one where the server model was exported, the others beside it."""
        first = min((kind for _, kind in self._pairs), key=FORMATS.index, default=name)
        return self.executors.export if name == first else self.executors.convert

    def _with_way_out(self, error: InputError, name: str) -> InputError:
        """What a format cannot express, with the way to make the others without it."""
        others = [item for item in FORMATS if item != name and any(item == asked for _, asked in self._pairs)]
        return (
            InputError(f"{error}\nto make the other formats without it: --to {','.join(others)}") if others else error
        )

    def calibrated(self, variant: Variant, name: str, base: Entry) -> Entry:
        """The statistics of one pass over the representative dataset: every recipe of that model reads them.

        It looks closely, at more than extremes, where any variant of the same model needs that: every calibration
        method but min-max does.
        """
        if self.data is None:
            raise InputError(f"{name}/{variant.name} needs a representative dataset: --data calibration.npz")
        alike = [other for other, kind in self._pairs if kind == name and _made_of(other) == _made_of(variant)]
        closely = any(other.calibration_method != MIN_MAX for other in (variant, *alike))
        data, samples = self.data, self.config.data.calibration_samples
        key = {
            "model": base.digest,
            "data": data.digest,
            "samples": samples,
            "closely": closely,
            "tools": versions(*QUANTIZERS[name]),
        }
        return self.cached(
            f"{name}: calibrate" + (" closely" if closely else ""),
            f"calibrate-{name}",
            key,
            lambda folder: self.executors.quantize.call(
                f"edgeship.optimize.quantize.{name}.quantizer:calibrate",
                model=str(base.path / FILES[name]),
                data=str(data.path),
                out=str(folder / "statistics.json"),
                count=samples or DEFAULT_SAMPLES,
                closely=closely,
            ),
        )

    def _quantized(self, variant: Variant, name: str, base: Entry) -> tuple[Entry, Step]:
        if variant.quantize == "auto":
            if self._search is None:
                raise InputError(f"{name}/{variant.name}: its layers' precision is not searched for here")
            return self._search(self, variant, name, base)
        return self.quantized(variant, name, base, variant.quantize)

    def quantized(self, variant: Variant, name: str, base: Entry, asked: str, **extra: Any) -> tuple[Entry, Step]:
        """The artifact of the recipe `asked`; `extra` are further arguments of the quantizer."""
        recipe: dict[str, Any] = {"recipe": asked}
        arguments: dict[str, Any] = {}
        source = base.digest
        if name == "tflite":
            recipe["io"] = variant.io
        if needs_data(asked):
            statistics = self.calibrated(variant, name, base)
            arguments["statistics"] = str(statistics.path / "statistics.json")
            recipe["calibration_method"] = variant.calibration_method
            source = digest.of_json([base.digest, statistics.digest])
        tools = versions(*QUANTIZERS[name])
        entry = self.cached(
            f"{name}: quantize to {variant.name}",
            f"quantize-{name}",
            {"source": source, "tools": tools, **recipe, **extra},
            lambda folder: self.executors.quantize.call(
                f"edgeship.optimize.quantize.{name}.quantizer:quantize",
                model=str(base.path / FILES[name]),
                out_file=str(folder / FILES[name]),
                **recipe,
                **extra,
                **arguments,
            ),
        )
        return entry, Step("quantize", source, recipe, tools)

    def _artifact(self, variant: Variant, name: str) -> Future[ConvertedArtifact]:
        converted = self.float_artifact(variant, name)

        def job() -> ConvertedArtifact:
            exported = self.export(static=variant.static_batch, recipes=variant.recipes).result()[0]
            entry, steps = converted.result()
            if name != "tfjs" and variant.quantize != "float32":
                entry, step = self._quantized(variant, name, entry)
                steps = (*steps, step)
            path = entry.path / FILES[name]
            held = self._receipt(path, entry, variant, exported.result)
            artifact = Artifact(path, name, variant.name, held.inputs, held.outputs, steps)
            return ConvertedArtifact(artifact, training_step.with_sparsity(self, artifact, held), entry.digest)

        return self.executors.quantize.submit(job)

    def _receipt(self, path: Path, entry: Entry, variant: Variant, exported: Mapping[str, Any]) -> Receipt:
        """Open the artifact again, write down what it really holds, and check that it is what was asked for."""
        name = next(name for name in FILES if path.match(FILES[name]))
        place = path.parent if name == "tfjs" else path
        kernels = sum(exported["weights"]["kernels"])
        key = {"artifact": entry.digest, "kernels": kernels}

        def make(_: Path) -> Any:
            return self.executors.quantize.call(
                "edgeship.convert.receipts.receipt:read_as_json", path=str(place), format=name, kernels=kernels
            )

        found = convert(Receipt, self.cache.get("receipt", key, make).result)
        full_integer = variant.quantize in ("static_w8a8", "auto")
        inputs, outputs = (tuple(map(TensorSpec.from_json, exported[side])) for side in ("inputs", "outputs"))
        expected = receipts.ExpectedArtifact(
            inputs=inputs,
            outputs=outputs,
            kernels=kernels,
            variant="int8" if variant.quantize == "static_w8a8" else variant.quantize,
            io=variant.io if full_integer and name == "tflite" else "float32",
            allow_flex=variant.flex,
            sparse_encoding=variant.sparse_encoding,
        )
        try:
            receipts.check(found, expected)
        except CheckError as error:
            raise CheckError(f"{name}/{variant.name}: {error}; nothing was written") from error
        return found


def _made_of(variant: Variant) -> tuple[object, ...]:
    """What decides a variant's float artifact."""
    return variant.recipes, variant.static_batch, variant.flex, variant.sparse_encoding

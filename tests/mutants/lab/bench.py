"""Makes good artifacts with edgeship's own converters, breaks them, and has them measured and judged as the gate does.

What a verdict rests on is the product's own code: sessions, `driver.measure` without its times, `gate.judge` with the
default budget. A mutant takes the place of a good artifact in the manifest: same name, same steps, other content.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from unittest import mock

import numpy as np
from rich.console import Console

from edgeship import data as files
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.benchmarks.measure import driver
from edgeship.benchmarks.measure.benchmark import Benchmark, MeasuredArtifact, Reference, Settings
from edgeship.bundle.figures.comparisons import TwinComparison
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest, ServerModelEntry
from edgeship.bundle.verdict import Check
from edgeship.convert.receipts import receipt
from edgeship.data import Batch, RepresentativeDataset
from edgeship.devices import profiles
from edgeship.errors import CheckError, InputError
from edgeship.formats.formats import FILES, FORMATS
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.source import ConvertedArtifact
from edgeship.pipeline.evaluation import twins
from edgeship.pipeline.step_queue import StepQueue
from edgeship.processes.executors import PipelineExecutors
from edgeship.progress import Progress
from edgeship.recipes import quantization
from edgeship.recipes.quantization import for_variant
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import launcher
from edgeship.runtimes.session import Session, open_session
from edgeship.settings.config import Config
from edgeship.settings.sections import Data
from edgeship.settings.variants import built_in_variant, recipe_refusal
from edgeship.storage import digest
from edgeship.storage.cache import Cache
from edgeship.types import to_json
from tests.mutants.lab import changes, constants

ROOT = Path(__file__).resolve().parents[3]
QUALITY_ONLY = replace(profiles.find_device("host"), figures=("quality",))

# Those whose numbers can be changed one by one (blocks of 4 bits have two a byte), and that no search has to find. `mobile` holds
# the numbers of int8.
VARIANTS = tuple(name for name in quantization.VARIANTS if name not in ("auto", "mobile") and not name.endswith("_w4"))


@dataclass(frozen=True)
class Fed(Reference):
    """The evaluation data as an app with wrong preprocessing hands it to the artifact; the server model saw it right."""

    change: changes.Input = dict

    def batches(self) -> Iterator[Batch]:
        """The changed batches."""
        return map(self.change, super().batches())


@dataclass(frozen=True)
class Good:
    """A trained model with its good artifacts by id, and what they are compared with."""

    name: str
    model: Path
    config: Config
    server: ServerModelEntry
    made: Mapping[str, ConvertedArtifact]
    reference: Reference


@dataclass(frozen=True)
class Outcome:
    """The gate's verdict, the one that rests on measurements alone, the checks behind it with reasons, and figures.

    `beyond`: the checks whose figure is beyond its limit, surely or not.
    """

    verdict: str
    measured: str
    checks: tuple[str, ...]
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    beyond: tuple[str, ...] = ()


def _place(artifact: str) -> Path:
    """Where an artifact would lie in a bundle."""
    return Path("artifacts", artifact, "model.json" if artifact.startswith("tfjs/") else "")


def _content(artifact: str, file: str) -> str:
    """The digest of what lies there: of the file, or of the folder around it."""
    return digest.of_tree({"model.json": file}) if artifact.startswith("tfjs/") else file


def _is_beyond(check: Check) -> bool:
    """Whether a check's figure is on the wrong side of its limit."""
    if check.value is None or check.limit is None:
        return False
    least = check.check.partition(":")[0] in ("parity", "agreement", "twin")
    return check.value < check.limit if least else check.value > check.limit


def _with_folder_content(item: Measurement) -> Measurement:
    """The measurement with the digest of what would lie in the bundle."""
    content = _content(item.artifact, str(item.details.content))
    return replace(item, details=replace(item.details, content=content))


def _entry(name: str, made: ConvertedArtifact) -> ArtifactEntry:
    artifact = made.artifact
    return ArtifactEntry(
        name,
        _place(name).as_posix(),
        artifact.format,
        artifact.variant,
        artifact.inputs,
        artifact.outputs,
        artifact.steps,
        receipt=made.receipt,
    )


class Lab:
    """Keeps the TensorFlow and quantization processes, a cache and the models; a context manager."""

    def __init__(self, folder: Path) -> None:
        # The TensorFlow process finds `tests.mutants.lab` there.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.folder, self.cache = folder, Cache(folder / "cache")
        self.progress, self.executors = Progress(Console(quiet=True)), PipelineExecutors()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.executors.__exit__(*exc)

    def good(self, name: str, trained: Path, variants: tuple[str, ...] = VARIANTS) -> Good:
        """Convert the model of a training folder to every format, and have the server model answer its evaluation data."""
        places = {key: str(trained / f"{key}.npz") for key in ("calibration", "evaluation")}
        wanted = tuple(
            built_in_variant(variant, [kind for kind in FORMATS if not recipe_refusal(for_variant(variant).name, kind)])
            for variant in variants
        )
        config = Config(data=Data(calibration=places["calibration"], evaluation=places["evaluation"]), variants=wanted)
        made, server = self.convert(trained / "server.keras", config)
        return Good(
            name, trained / "server.keras", config, server, made, self.reference(trained, server, "evaluation.npz")
        )

    def reference(self, trained: Path, server: ServerModelEntry, data: str) -> Reference:
        """The server model's answers on a file of its training folder."""
        evaluation, answers = RepresentativeDataset(str(trained / data)), trained / f"answers-{data}"
        self.executors.export.call(
            "edgeship.server_model.server_model:predict_file",
            model=str(trained / "server.keras"),
            data=str(trained / data),
            out_npz=str(answers),
        )
        told = digest.of_path(answers)
        return Reference(evaluation, server.inputs, files.load(answers), evaluation.labels(), None, told)

    def convert(self, model: Path, config: Config) -> tuple[dict[str, ConvertedArtifact], ServerModelEntry]:
        """The artifacts of a model by id, receipts checked, and what a manifest says about the server model."""
        pairs = [(variant, kind) for variant in config.variants or () for kind in variant.formats]
        with StepQueue(self.executors, self.cache, self.progress) as queue:
            converter = Converter(queue, model, config, pairs)
            converter.start()
            done = converter.finish()
        description = done.server.description
        server = ServerModelEntry(model.name, done.server.digest, description.inputs, description.outputs)
        return {item.artifact.id: item for item in done.artifacts}, server

    def judged(
        self, good: Good, name: str, made: ConvertedArtifact | None = None, reference: Reference | None = None
    ) -> Outcome:
        """The gate's word on the artifact `name` of a bundle: the good one, or the one `made` that was put in its place.

        What was put there has another content than the manifest says; `measured` is the verdict without that check.
        """
        measured = self.measured(good, name, made, reference or good.reference)
        others = [self.measured(good, other, None, good.reference) for other in good.made if other != name]
        files = {_place(item.artifact).as_posix(): str(item.details.content) for item in (measured, *others)}
        measurements = {item.artifact: _with_folder_content(item) for item in (measured, *others)}
        manifest = Manifest(
            files=files,
            artifacts=tuple(
                replace(_entry(other, item), content=measurements[other].details.content)
                for other, item in good.made.items()
            ),
            measurements=tuple(measurements.values()),
            server_model=good.server,
            config=to_json(asdict(good.config)),
            twins={name: self.compared(good, name, made)} if made else {},
        )
        blind = judge(manifest, Budget())
        known = (replace(item, content=_content(item.id, good.made[item.id].digest)) for item in manifest.artifacts)
        result = judge(replace(manifest, artifacts=tuple(known)), Budget())
        verdict = result.verdict_on(name)
        open_checks = [
            check for check in result.checks if check.artifact == name and check.verdict == verdict != "PASS"
        ]
        return Outcome(
            str(verdict),
            str(blind.verdict_on(name)),
            tuple(dict.fromkeys(check.check for check in open_checks)),
            "; ".join(check.reason for check in open_checks),
            {metric.name: metric.value for metric in measured.metrics},
            tuple(check.check for check in result.checks if check.artifact == name and _is_beyond(check)),
        )

    def compared(self, good: Good, name: str, made: ConvertedArtifact) -> TwinComparison:
        """What `made` is beside its twin: the good artifact in whose place it stands."""
        subject = MeasuredArtifact(made.artifact, made.digest, made.receipt)
        bench = Benchmark(self.cache, self.progress, Settings("rapid"), good.reference)
        found = twins.compare_artifact(self.executors.quantize, subject, good.made[name], bench)
        return replace(found, content=_content(name, found.content))

    def measured(self, good: Good, name: str, made: ConvertedArtifact | None, reference: Reference) -> Measurement:
        """A measurement of the good artifact `name`, or of the one `made` in its place, as a manifest holds it."""
        found = made or good.made[name]
        subject = MeasuredArtifact(found.artifact, found.digest, found.receipt)
        bench = Benchmark(self.cache, self.progress, Settings("rapid"), reference)
        runtime = registry.for_format(found.artifact.format)[0]
        return replace(driver.measure(bench, driver.Job(subject, (runtime,), QUALITY_ONLY))[0], artifact=name)

    def fed(self, good: Good, name: str, change: str, how: changes.Input) -> Outcome:
        """A good artifact that is given wrong inputs."""
        told = digest.of_json([good.reference.digest, change])
        plain = {key: getattr(good.reference, key) for key in ("data", "inputs", "outputs", "labels", "limit")}
        return self.judged(good, name, reference=Fed(**plain, digest=told, change=how))

    def misread(self, good: Good, name: str, change: str, how: changes.Input) -> Outcome:
        """A good artifact whose outputs the app reads wrongly: its session is real, what it answers is changed."""
        told = digest.of_json([good.reference.digest, change])

        def opened(*given: Any, **options: Any) -> Session:
            session = open_session(*given, **options)
            evaluate = session.evaluate
            session.evaluate = lambda *args, **kwargs: how(evaluate(*args, **kwargs))  # type: ignore[method-assign]
            return session

        with mock.patch.object(launcher, "open_session", opened):
            return self.judged(good, name, reference=replace(good.reference, digest=told))

    def edit(
        self, made: ConvertedArtifact, change: str, how: Callable[[constants.Weights], None]
    ) -> ConvertedArtifact | None:
        """The artifact with its file changed and its receipt read again; None where a change changes no number.

        Without a `change` the file is only written anew, which shows that it is not the writing that breaks it.
        """
        artifact = made.artifact
        target = self.folder / "edited" / digest.of_json([made.digest, change])[:16] / FILES[artifact.format]
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        weights = constants.read(artifact.path, artifact.format)
        before = weights.content()
        how(weights)
        if weights.content() == before and change:
            return None
        weights.write(target)
        place = target.parent if artifact.format == "tfjs" else target
        held = receipt.read(place, artifact.format)
        return ConvertedArtifact(replace(artifact, path=target), held, digest.of_path(place))

    def resized(self, made: ConvertedArtifact) -> ConvertedArtifact | None:
        """The artifact with corners aligned where it enlarges pictures; None where it does not."""
        target = self.folder / "resized" / made.digest[:16] / FILES[made.artifact.format]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not changes.RESIZED[made.artifact.format](made.artifact.path, target):
            return None
        held = receipt.read(target, made.artifact.format)
        return ConvertedArtifact(replace(made.artifact, path=target), held, digest.of_path(target))

    def broken(self, good: Good, change: str, variants: tuple[str, ...]) -> dict[str, ConvertedArtifact] | str:
        """All artifacts of the Keras model broken in that way, or why edgeship's own converter refused to make them."""
        target = self.folder / "broken" / good.name / f"{change.replace(' ', '-').replace(':', '')}.keras"
        target.parent.mkdir(parents=True, exist_ok=True)
        self.executors.export.call(
            "tests.mutants.lab.keras_side:broken", model=str(good.model), out=str(target), change=change
        )
        return self.replaced(good, target, variants)

    def replaced(self, good: Good, model: Path, variants: tuple[str, ...]) -> dict[str, ConvertedArtifact] | str:
        """All artifacts of another model, made to stand in the place of the good ones."""
        config = replace(good.config, variants=tuple(v for v in good.config.variants or () if v.name in variants))
        try:
            return self.convert(model, config)[0]
        except (CheckError, InputError) as error:
            return str(error)

    def miscalibrated(
        self, good: Good, change: str, how: changes.Input, variants: tuple[str, ...]
    ) -> dict[str, ConvertedArtifact] | str:
        """The artifacts of these variants, calibrated on changed data."""
        data = RepresentativeDataset(str(good.config.data.calibration))
        target = self.folder / "calibration" / good.name / f"{change.replace(' ', '-')}.npz"
        target.parent.mkdir(parents=True, exist_ok=True)
        batch = how({name: array.astype(np.float32) for name, array in next(data.batches(len(data))).items()})
        files.save(target, batch)
        other = replace(good, config=replace(good.config, data=replace(good.config.data, calibration=str(target))))
        return self.replaced(other, good.model, variants)

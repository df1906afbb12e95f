"""Writes `learning/` into a draft: the models, the shipped head, samples, and what a training step must give."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeship import data
from edgeship.bundle.head_learning import FILE, FOLDER, HeadLearning, LearningBase, ReplaySamples
from edgeship.bundle.manifest import Manifest
from edgeship.client.learning.arithmetic import Head, safe_rate
from edgeship.data import Array, Batch
from edgeship.errors import CheckError, InputError
from edgeship.pipeline.context import PipelineContext
from edgeship.pipeline.conversion.source import ConvertedArtifact
from edgeship.pipeline.learning_head import check
from edgeship.pipeline.learning_head.models import BATCH, LearningModels, SeparatedHead, convert_models
from edgeship.pipeline.learning_head.replay import ReplayChoice, choose_samples, is_classifier
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.types import to_json

EVALUATED = 64  # samples at once
LEVELS = 255  # of a stored feature


def write_learning(
    work: PipelineContext, head: SeparatedHead, settings: Config, formats: Sequence[str], manifest: Manifest
) -> Manifest:
    """Make `learning/` of a draft that has its goldens. Returns the manifest that knows of it.

    Raises InputError where the data holds nothing to replay, CheckError where the step or a base does not compute what it must.
    """
    if head.cut.activation == "linear" and is_classifier(settings, manifest.server.inputs, head.cut.outputs):
        head = replace(head, cut=replace(head.cut, activation="softmax"))  # its loss was computed from logits
    models = convert_models(work, head, settings, formats)
    folder = work.draft / FOLDER
    folder.mkdir()
    arrays = data.load(head.folder / "head.npz")
    shipped = Head(arrays["weights"], arrays["bias"])
    inputs, output = manifest.server.inputs, manifest.server.outputs[0].name
    base = next(item for item in models.bases if item.artifact.variant == "float32")
    choice = choose_samples(settings, inputs, output, head.cut, shipped, lambda feeds: compute_features(base, feeds))
    samples = _write_samples(folder, shipped, choice)
    rate = float(f"{safe_rate(choice.replay.features, head.cut.activation):.3g}")
    for form, path in models.steps.items():
        shutil.copyfile(path, folder / f"head_step.{form}")
    golden = data.load(work.draft / "goldens" / "inputs.npz")
    answers = data.load(work.draft / "goldens" / "outputs.npz")[output]
    bases = _place_bases(folder, models, (shipped, head.cut.activation), golden, answers)
    check.write_goldens(folder, choice.replay, shipped, rate, BATCH, head.cut.activation)
    learning = HeadLearning(
        layer=head.cut.layer,
        output=output,
        activation=head.cut.activation,  # type: ignore[arg-type]  # one of those that the cut knows
        features=head.cut.features,
        outputs=head.cut.outputs,
        batch=BATCH,
        rate=rate,
        labels=manifest.labels if manifest.labels and len(manifest.labels) == head.cut.outputs else (),
        bases=bases,
        steps={form: f"head_step.{form}" for form in models.steps},
        samples=samples,
        files={path.name: digest.of_path(path) for path in sorted(folder.iterdir())},
    )
    (folder / FILE).write_text(json.dumps(to_json(learning), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    problems = [
        f"{item.artifact} on {item.runtime}: {item.reason}"
        for item in check.replay_steps(folder, learning)
        if item.reason
    ]
    if problems:
        raise CheckError(f"the training step of the head does not compute what it must: {'; '.join(problems)}")
    _tell_sizes(work, folder, learning)
    return replace(manifest, learning=learning)


def compute_features(base: ConvertedArtifact, feeds: Batch) -> Array:
    """What a base gives for a batch, (n, features) float32, on the usual runtime of its format."""
    runtime = registry.for_format(base.artifact.format)[0]
    if reason := runtime.unavailable_reason():
        raise InputError(f"learning on the device cannot be prepared: {reason}")
    with open_session(runtime.name, base.artifact.path) as session:
        count = len(next(iter(feeds.values())))
        batches = (
            {name: array[at : at + EVALUATED] for name, array in feeds.items()} for at in range(0, count, EVALUATED)
        )
        features: Array = next(iter(session.evaluate(batches, EVALUATED).values()))
    return features.astype(np.float32, copy=False)


def _place_bases(
    folder: Path, models: LearningModels, head: tuple[Head, str], golden: Batch, answers: Array
) -> tuple[LearningBase, ...]:
    """Copy the bases. Raises CheckError where one in float32 and the head together are not the server model."""
    bases = []
    for item in models.bases:
        artifact = item.artifact
        file = f"base-{artifact.variant}.{artifact.format}"
        shutil.copyfile(artifact.path, folder / file)
        error = check.answer_error(compute_features(item, golden), *head, answers)
        if artifact.variant == "float32" and error > check.SAME_ANSWERS * check.span_of(answers):
            raise CheckError(f"{file} and the head together answer otherwise than the server model: by {error:.3g}")
        bases.append(
            LearningBase(file, artifact.format, artifact.variant, artifact.inputs, artifact.outputs[0].name, error)
        )
    return tuple(bases)


def _write_samples(folder: Path, head: Head, choice: ReplayChoice) -> ReplaySamples:
    """Write the shipped head, and features as bytes: int8 models know them no finer, and it is a quarter of their size."""
    parts = {"replay": choice.replay, "guard": choice.guard}
    low = float(min(item.features.min() for item in parts.values()))
    high = float(max(item.features.max() for item in parts.values()))
    scale = (high - low) / LEVELS or 1.0
    arrays: Batch = {}
    for name, item in parts.items():
        arrays[f"{name}_features"] = np.rint((item.features - low) / scale).clip(0, LEVELS).astype(np.uint8)
        arrays[f"{name}_target"] = item.target.astype(np.float32)
    data.save(folder / "replay.npz", arrays)
    data.save(folder / "head.npz", {"weights": head.weights, "bias": head.bias})
    counts = len(choice.replay), len(choice.guard)
    return ReplaySamples(choice.source, choice.labels, *counts, scale, low)


def _tell_sizes(work: PipelineContext, folder: Path, learning: HeadLearning) -> None:
    sizes = {name: (folder / name).stat().st_size for name in learning.files}
    replay, total = sizes[learning.replay] / 1000, sum(sizes.values()) / 1000
    count = learning.samples.replay + learning.samples.guard
    work.progress.note(
        f"learning/: the head '{learning.layer}' ({learning.features} x {learning.outputs}) can learn on the device; "
        f"{total:,.0f} kB, of which {replay:,.0f} kB are {count} samples of {learning.samples.source}"
    )

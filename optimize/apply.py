"""Training a server model further for devices: distil, prune, cluster, quantization-aware training; in that order.

Runs in the TensorFlow process. Writes a float `.keras` model: every format is made from it as from any other model.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import CheckError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.optimize.bridge.proof import TOLERANCE, measure_difference
from edgeship.optimize.methods import cluster, distill, preserve, prune, qat
from edgeship.optimize.receipt import (
    ClusteredTensor,
    MethodReceipts,
    OptimizeReceipt,
    PrunedTensor,
    Scores,
    SourceModel,
    TrainedFile,
    TrainingData,
    TrainingHistory,
)
from edgeship.optimize.training import dataset, loop, losses
from edgeship.optimize.training.selection import select_tensors
from edgeship.optimize.training.trainable import TrainableModel, from_server_model
from edgeship.recipes.training import Recipes, Training
from edgeship.server_model import server_model
from edgeship.server_model.server_model import ServerModel
from edgeship.storage import cache, digest
from edgeship.storage.atomic import atomic_file

SEEN = 512  # samples that the loss is chosen from, and that the saved model is compared on
TOOLS = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras", "tensorflow-model-optimization", "numpy")


@dataclass(frozen=True)
class _FileChecks:
    """What the saved file scores and holds."""

    scores: Scores
    sparsity: tuple[PrunedTensor, ...] | None
    clusters: tuple[ClusteredTensor, ...] | None


@dataclass(frozen=True)
class _Outcome:
    """What each method did, the scores before, and what the file has."""

    steps: MethodReceipts
    before: Scores
    checks: _FileChecks


def run(
    *,
    model: str,
    out: str,
    data: str,
    recipes: Mapping[str, Any],
    training: Mapping[str, Any],
    validation: str | None = None,
    progress: str | None = None,
    **loading: Any,
) -> OptimizeReceipt:
    """Apply the recipes to the model at that path and write the result to `out` (.keras, whole or not at all).

    `data` and `validation` are data sources with labels; without the latter a part of the former is held out. `progress` is
    a file that events are appended to. Returns the receipt. Raises InputError for what cannot be used, CheckError where
    the file does not hold what was asked for.
    """
    methods, settings = Recipes.read(recipes), Training.read(training, "training")
    if not methods:
        raise InputError("nothing to do: ask for --distill, --prune, --cluster or --qat")
    server = server_model.load(model, **loading)
    trainable = from_server_model(server, model)
    folder = Path(tempfile.mkdtemp(prefix="edgeship-samples-"))
    original = [np.array(weight) for weight in trainable.model.weights]
    try:
        task = _build_task(
            server, trainable, folder, data, validation, settings, loop.progress_writer(progress, "training")
        )
        if settings.teacher and (methods.prune or methods.cluster or methods.qat):
            task = _add_teacher(server, task, folder)
        outcome = _apply_recipes(server, trainable, methods, task, Path(out), loading)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for weight, value in zip(trainable.model.weights, original, strict=True):
            weight.assign(value)  # this process may hold the server model for other work
    return OptimizeReceipt(
        model=SourceModel(Path(model).name, digest.of_path(Path(model)), server.parameters),
        data=TrainingData(Path(data).name, task.train.digest, len(task.train), len(task.validation)),
        seed=settings.seed,
        teacher=settings.teacher if task.train.soft_targets else 0.0,
        loss={name: loss.name for name, loss in zip(task.outputs, task.fit_losses, strict=True)},
        steps=outcome.steps,
        before=outcome.before,
        after=outcome.checks.scores,
        sparsity=outcome.checks.sparsity,
        clusters=outcome.checks.clusters,
        file=TrainedFile(Path(out).name, digest.of_path(Path(out))),
        tools={name: version for name in TOOLS if (version := cache.installed_version(name))},
    )


def _build_task(
    server: ServerModel,
    trainable: TrainableModel,
    folder: Path,
    data: str,
    validation: str | None,
    settings: Training,
    tell: loop.ProgressCallback,
) -> loop.TrainingTask:
    """Samples, and the loss that they and the model's own answers call for."""
    names = list(trainable.outputs)
    (folder / "train").mkdir()
    everything = dataset.read(data, server.inputs, names, folder / "train", settings.samples)
    if validation:
        (folder / "validation").mkdir()
        train, holdout = everything, dataset.read(validation, server.inputs, names, folder / "validation", None)
    else:
        train, holdout = dataset.split(everything, settings.seed)
    label_names = tuple(name for name in names if name in train.labels)
    if not set(label_names) <= set(holdout.labels):
        raise InputError(f"{validation}: has no labels for {', '.join(set(label_names) - set(holdout.labels))}")
    rows = train.rows[:SEEN]
    answers = server.predict(_model_feeds(train, rows))
    output_losses = tuple(
        losses.choose(name, train.labels[name][rows], answers[name], settings.loss) for name in label_names
    )
    return loop.TrainingTask(train, holdout, label_names, output_losses, settings, server.fixed_batch, tell)


def _add_teacher(server: ServerModel, task: loop.TrainingTask, folder: Path) -> loop.TrainingTask:
    """The same task with the server model's answers among what is learned."""
    task.tell(event="stage", text="the server model's answers")
    return replace(
        task,
        train=_add_soft_targets(server, task, task.train, folder / "taught-train"),
        validation=_add_soft_targets(server, task, task.validation, folder / "taught-validation"),
    )


def _add_soft_targets(
    server: ServerModel, task: loop.TrainingTask, samples: dataset.Samples, folder: Path
) -> dataset.Samples:
    """Samples that teach the server model's answers too; on disk, since they may be large."""
    folder.mkdir()
    stores: dict[str, Any] = {}
    for rows in samples.batches(loop.VALIDATION_BATCH):
        answers = server.predict(_model_feeds(samples, rows))
        for name, loss in zip(task.outputs, task.losses, strict=True):
            soft = loss.soften(samples.labels[name][rows], answers[name], task.settings.teacher)
            if name not in stores:
                place, shape = folder / f"{len(stores)}.npy", (len(samples.labels[name]), *soft.shape[1:])
                stores[name] = np.lib.format.open_memmap(place, "w+", soft.dtype, shape)
            stores[name][rows] = soft
    return replace(samples, soft_targets=stores)


def _apply_recipes(
    server: ServerModel,
    trainable: TrainableModel,
    recipes: Recipes,
    task: loop.TrainingTask,
    out: Path,
    loading: Mapping[str, Any],
) -> _Outcome:
    """Do what was asked, one after the other, save the model and check the file."""
    before = _score_outputs(server, task)
    trainable, step_receipts = _run_recipes(server, trainable, recipes, task)
    out.parent.mkdir(parents=True, exist_ok=True)
    for step, step_receipt in step_receipts.items():
        if step_receipt.training.diverged:
            raise CheckError(_save_last_good(trainable, step, step_receipt.training, out))
    with atomic_file(out) as partial:
        checks = _save_and_check(server, trainable, recipes, step_receipts, task, partial, loading)
    return _Outcome(step_receipts, before, checks)


def _save_last_good(trainable: TrainableModel, step: str, history: TrainingHistory, out: Path) -> str:
    """Keep the last good weights beside where the model was to be; what to tell the user."""
    place = out.with_name(f"{out.stem}.last-good.keras")
    trainable.model.save(place)
    return (
        f"{step}: {history.ended}; training stopped. The last good weights, those of epoch {history.kept}, are in {place}; "
        "try a lower --learning-rate, and look for outliers in the data"
    )


def _run_recipes(
    server: ServerModel, trainable: TrainableModel, recipes: Recipes, task: loop.TrainingTask
) -> tuple[TrainableModel, MethodReceipts]:
    """The steps in their order, each keeping what those before it made: the trained model, and what the receipt says."""
    receipts = MethodReceipts()
    patterns: dict[int, preserve.Pattern] = {}

    def none_diverged() -> bool:
        return not any(receipt.training.diverged for _, receipt in receipts.items())

    def keep_pattern(names: Sequence[str], *, clusters: bool) -> None:
        by_name = {item.name: item.variable for item in select_tensors(trainable.model, (), "pruned")}
        patterns.update(preserve.read_patterns([by_name[name] for name in names], clusters=clusters))

    if recipes.distill:
        task.tell(event="stage", text="distillation")
        trainable, distill_receipt = distill.distill(server, trainable, recipes.distill, task)
        receipts = replace(receipts, distill=distill_receipt)
    if recipes.prune and none_diverged():
        task.tell(event="stage", text="pruning")
        prune_receipt = prune.prune(trainable, recipes.prune, task)
        receipts = replace(receipts, prune=prune_receipt)
        keep_pattern(prune_receipt.tensors, clusters=False)
    if recipes.cluster and none_diverged():
        task.tell(event="stage", text="clustering")
        cluster_receipt = cluster.cluster(trainable, recipes.cluster, task, patterns)
        receipts = replace(receipts, cluster=cluster_receipt)
        keep_pattern(cluster_receipt.tensors, clusters=True)
    if recipes.qat and none_diverged():
        task.tell(event="stage", text="quantization-aware training")
        receipts = replace(receipts, qat=qat.train(trainable, recipes.qat, task, patterns))
    return trainable, receipts


def _save_and_check(
    server: ServerModel,
    trainable: TrainableModel,
    recipes: Recipes,
    step_receipts: MethodReceipts,
    task: loop.TrainingTask,
    path: Path,
    loading: Mapping[str, Any],
) -> _FileChecks:
    """Save, load the file again, and check that it answers as the model in memory and holds what was asked for."""
    rows = task.validation.rows[:SEEN]
    reference = _predict_outputs(trainable, task.validation, rows)
    trainable.model.save(path)
    saved_server = server_model.load(path, **loading)
    outputs = saved_server.predict(_model_feeds(task.validation, rows))
    proof = measure_difference([reference[name] for name in outputs], list(outputs.values()), TOLERANCE * 10)
    if not proof.holds:
        raise CheckError(f"the saved model answers otherwise than the one in memory ({proof.share:.2g} of the range)")
    model = saved_server.adapter.model
    sparsity, clusters = None, None
    if recipes.prune and step_receipts.prune:
        sparsity = prune.check(model, recipes.prune, step_receipts.prune.tensors)
    if recipes.cluster and step_receipts.cluster:
        clusters = cluster.check(model, recipes.cluster, step_receipts.cluster.tensors)
    return _FileChecks(_score_outputs(saved_server, task), sparsity, clusters)


def _predict_outputs(trainable: TrainableModel, samples: dataset.Samples, rows: Any) -> dict[str, Any]:
    names = list(trainable.outputs)
    feeds = samples.feeds(rows)
    outputs = trainable.trainer(names).predict(dataset.unwrap_single(list(feeds)), verbose=0)
    return dict(zip(names, outputs if isinstance(outputs, (list, tuple)) else [outputs], strict=True))


def _score_outputs(server: ServerModel, task: loop.TrainingTask) -> dict[str, dict[str, float]]:
    """The metric of each labelled output on the held-out samples."""
    samples = task.validation
    answers = server.predict(_model_feeds(samples, samples.rows))
    return {
        name: {loss.metric: loss.score(samples.labels[name][samples.rows], answers[name])}
        for name, loss in zip(task.outputs, task.losses, strict=True)
    }


def _model_feeds(samples: dataset.Samples, rows: Any) -> dict[str, np.ndarray[Any, Any]]:
    return dict(zip((spec.name for spec in samples.specs), samples.feeds(rows), strict=True))

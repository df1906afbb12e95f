"""Training a server model further for devices: distil, prune, cluster, quantization-aware training; in that order.

Runs in the TensorFlow process. Writes a float `.keras` model: every format is made from it as from any other model.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import CheckError, InputError
from edgeship.optimize.bridge.proof import TOLERANCE, difference
from edgeship.optimize.methods import cluster, distill, preserve, prune, qat
from edgeship.optimize.training import dataset, loop, losses
from edgeship.optimize.training.selection import select_tensors
from edgeship.optimize.training.trainable import TrainableModel, subject
from edgeship.recipes.training import Recipes, Training
from edgeship.server_model import server_model
from edgeship.server_model.server_model import ServerModel
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import to_json

SEEN = 512  # samples that the loss is chosen from, and that the saved model is compared on
TOOLS = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras", "tensorflow-model-optimization", "numpy")


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
) -> dict[str, Any]:
    """Apply the recipes to the model at that path and write the result to `out` (.keras, whole or not at all).

    `data` and `validation` are data sources with labels; without the latter a part of the former is held out. `progress` is
    a file that events are appended to. Returns the receipt. Raises InputError for what cannot be used, CheckError where
    the file does not hold what was asked for.
    """
    asked, settings = Recipes.read(recipes), Training.read(training, "training")
    if not asked:
        raise InputError("nothing to do: ask for --distill, --prune, --cluster or --qat")
    server = server_model.load(model, **loading)
    work = subject(server, model)
    folder = Path(tempfile.mkdtemp(prefix="edgeship-samples-"))
    original = [np.array(weight) for weight in work.model.weights]
    try:
        task = _task(server, work, folder, data, validation, settings, loop.progress(progress, "training"))
        if settings.teacher and (asked.prune or asked.cluster or asked.qat):
            task = _with_teacher(server, task, folder)
        receipt = _applied(server, work, asked, task, Path(out), loading)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for weight, value in zip(work.model.weights, original, strict=True):
            weight.assign(value)  # this process may hold the server model for other work
    made: dict[str, Any] = to_json(
        {
            "model": {"path": Path(model).name, "digest": digest.of_path(Path(model)), "parameters": server.parameters},
            "data": {"source": Path(data).name, "digest": task.train.digest}
            | {"training": len(task.train), "held_out": len(task.validation)},
            "seed": settings.seed,
            "teacher": settings.teacher if task.train.taught else 0.0,
            "loss": {name: loss.name for name, loss in zip(task.outputs, task.fitted, strict=True)},
            **receipt,
            "tools": _versions(),
        }
    )
    return made


def _task(
    server: ServerModel,
    work: TrainableModel,
    folder: Path,
    data: str,
    validation: str | None,
    settings: Training,
    tell: loop.ProgressCallback,
) -> loop.TrainingTask:
    """Samples, and the loss that they and the model's own answers call for."""
    names = list(work.outputs)
    (folder / "train").mkdir()
    everything = dataset.read(data, server.inputs, names, folder / "train", settings.samples)
    if validation:
        (folder / "validation").mkdir()
        train, held = everything, dataset.read(validation, server.inputs, names, folder / "validation", None)
    else:
        train, held = dataset.split(everything, settings.seed)
    labelled = tuple(name for name in names if name in train.labels)
    if not set(labelled) <= set(held.labels):
        raise InputError(f"{validation}: has no labels for {', '.join(set(labelled) - set(held.labels))}")
    rows = train.rows[:SEEN]
    answers = server.predict(_feeds(train, rows))
    selected = tuple(losses.choose(name, train.labels[name][rows], answers[name], settings.loss) for name in labelled)
    return loop.TrainingTask(train, held, labelled, selected, settings, server.fixed_batch, tell)


def _with_teacher(server: ServerModel, task: loop.TrainingTask, folder: Path) -> loop.TrainingTask:
    """The same task with the server model's answers among what is learned."""
    task.tell(event="stage", text="the server model's answers")
    return replace(
        task,
        train=_taught(server, task, task.train, folder / "taught-train"),
        validation=_taught(server, task, task.validation, folder / "taught-validation"),
    )


def _taught(server: ServerModel, task: loop.TrainingTask, used: dataset.Samples, folder: Path) -> dataset.Samples:
    """Samples that teach the server model's answers too; on disk, since they may be large."""
    folder.mkdir()
    stores: dict[str, Any] = {}
    for rows in used.batches(loop.VALIDATION_BATCH):
        answers = server.predict(_feeds(used, rows))
        for name, loss in zip(task.outputs, task.losses, strict=True):
            soft = loss.soften(used.labels[name][rows], answers[name], task.settings.teacher)
            if name not in stores:
                place, shape = folder / f"{len(stores)}.npy", (len(used.labels[name]), *soft.shape[1:])
                stores[name] = np.lib.format.open_memmap(place, "w+", soft.dtype, shape)
            stores[name][rows] = soft
    return replace(used, taught=stores)


def _applied(
    server: ServerModel,
    work: TrainableModel,
    asked: Recipes,
    task: loop.TrainingTask,
    out: Path,
    loading: Mapping[str, Any],
) -> dict[str, Any]:
    """Do what was asked, one after the other, save the model and check the file."""
    before = _scores(server, task)
    work, done = _trained(server, work, asked, task)
    out.parent.mkdir(parents=True, exist_ok=True)
    for step, told in done.items():
        if told["training"].diverged:
            raise CheckError(_rescued(work, step, told["training"], out))
    with atomic_file(out) as partial:
        checked = _saved(server, work, asked, done, task, partial, loading)
    return {"steps": done, "before": before, **checked, "file": {"path": out.name, "digest": digest.of_path(out)}}


def _rescued(work: TrainableModel, step: str, course: loop.TrainingHistory, out: Path) -> str:
    """Keep the last good weights beside where the model was to be; what to tell the user."""
    place = out.with_name(f"{out.stem}.last-good.keras")
    work.model.save(place)
    return (
        f"{step}: {course.ended}; training stopped. The last good weights, those of epoch {course.kept}, are in {place}; "
        "try a lower --learning-rate, and look for outliers in the data"
    )


def _trained(
    server: ServerModel, work: TrainableModel, asked: Recipes, task: loop.TrainingTask
) -> tuple[TrainableModel, dict[str, Any]]:
    """The steps in their order, each keeping what those before it made: the trained model, and what the receipt says."""
    done: dict[str, Any] = {}
    kept: dict[int, preserve.Pattern] = {}

    def good() -> bool:
        return not any(told["training"].diverged for told in done.values())

    def keep(step: str, *, shared: bool) -> None:
        by_name = {item.name: item.variable for item in select_tensors(work.model, (), "pruned")}
        kept.update(preserve.patterns([by_name[name] for name in done[step]["tensors"]], shared=shared))

    if asked.distill:
        task.tell(event="stage", text="distillation")
        work, done["distill"] = distill.distill(server, work, asked.distill, task)
    if asked.prune and good():
        task.tell(event="stage", text="pruning")
        done["prune"] = prune.prune(work, asked.prune, task)
        keep("prune", shared=False)
    if asked.cluster and good():
        task.tell(event="stage", text="clustering")
        done["cluster"] = cluster.cluster(work, asked.cluster, task, kept)
        keep("cluster", shared=True)
    if asked.qat and good():
        task.tell(event="stage", text="quantization-aware training")
        done["qat"] = qat.train(work, asked.qat, task, kept)
    return work, done


def _saved(
    server: ServerModel,
    work: TrainableModel,
    asked: Recipes,
    done: Mapping[str, Any],
    task: loop.TrainingTask,
    path: Path,
    loading: Mapping[str, Any],
) -> dict[str, Any]:
    """Save, load the file again, and check that it answers as the model in memory and holds what was asked for."""
    rows = task.validation.rows[:SEEN]
    expected = _answers(work, task.validation, rows)
    work.model.save(path)
    again = server_model.load(path, **loading)
    found = again.predict(_feeds(task.validation, rows))
    proof = difference([expected[name] for name in found], list(found.values()), TOLERANCE * 10)
    if not proof.holds:
        raise CheckError(f"the saved model answers otherwise than the one in memory ({proof.share:.2g} of the range)")
    model = again.adapter.model
    held: dict[str, Any] = {}
    if asked.prune:
        held["sparsity"] = prune.check(model, asked.prune, done["prune"]["tensors"])
    if asked.cluster:
        held["clusters"] = cluster.check(model, asked.cluster, done["cluster"]["tensors"])
    return {"after": _scores(again, task), **held}


def _answers(work: TrainableModel, used: dataset.Samples, rows: Any) -> dict[str, Any]:
    names = list(work.outputs)
    feeds = used.feeds(rows)
    made = work.trainer(names).predict(feeds[0] if len(feeds) == 1 else list(feeds), verbose=0)
    return dict(zip(names, made if isinstance(made, (list, tuple)) else [made], strict=True))


def _scores(server: ServerModel, task: loop.TrainingTask) -> dict[str, dict[str, float]]:
    """The metric of each labelled output on the held-out samples."""
    used = task.validation
    answers = server.predict(_feeds(used, used.rows))
    return {
        name: {loss.metric: loss.score(used.labels[name][used.rows], answers[name])}
        for name, loss in zip(task.outputs, task.losses, strict=True)
    }


def _feeds(used: dataset.Samples, rows: Any) -> dict[str, np.ndarray[Any, Any]]:
    return dict(zip((spec.name for spec in used.specs), used.feeds(rows), strict=True))


def _versions() -> dict[str, str]:
    found = {}
    for name in TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found

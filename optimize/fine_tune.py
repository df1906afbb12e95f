"""Training a server model on with new samples beside old ones (replay), so that it learns these without losing those.

Runs in the TensorFlow process. The same data, recipe and seed give the same file on the same machine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import CheckError
from edgeship.optimize.receipt import FineTuneReceipt, TrainedFile, TrainingHistory
from edgeship.optimize.training import dataset, loop, losses
from edgeship.optimize.training.trainable import TrainableModel, from_server_model
from edgeship.recipes.training import Training
from edgeship.server_model import server_model
from edgeship.server_model.server_model import ServerModel
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file

SEEN = 512  # samples that the loss is chosen from
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file knows


def run(
    *,
    model: str,
    out: str,
    data: str,
    validation: str,
    training: Mapping[str, Any],
    taught: int = 0,
    layer: str | None = None,
    progress: str | None = None,
    **loading: Any,
) -> FineTuneReceipt:
    """Train the model on with `data` (labels in `y`) and write it to `out` (.keras, whole or not at all).

    All epochs are gone through, and the last weights kept: which epoch is best of new and of old samples is not for a few of
    them to say. `validation` is only looked at. The first `taught` samples of the data are old ones, of which the model's own
    answers are learned beside the labels, `training.teacher` of the weight (Li and Hoiem 2016, "Learning without
    Forgetting", arXiv 1606.09282). With `layer` only the layer of that name learns.

    Raises InputError for what cannot be used, CheckError where the loss does not stay finite.
    """
    settings = Training.read(training, "training")
    server = server_model.load(model, **loading)
    trainable = from_server_model(server, model)
    original = [np.array(weight) for weight in trainable.model.weights]
    folder = Path(tempfile.mkdtemp(prefix="edgeship-samples-"))
    try:
        tell = loop.progress_writer(progress, "fine-tuning")
        task = _build_task(server, trainable, folder, (data, validation), settings, tell)
        if taught and settings.teacher:
            task = _add_teacher(server, task, taught)
        with _only_layer(trainable.model, layer):
            history = _fit(trainable, task)
        _save(trainable.model, Path(out))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for weight, value in zip(trainable.model.weights, original, strict=True):
            weight.assign(value)  # this process may hold the server model for other work
    return FineTuneReceipt(
        file=TrainedFile(Path(out).name, digest.of_path(Path(out))),
        loss=task.losses[0].name,
        history=history,
        samples=len(task.train),
        held_out=len(task.validation),
    )


@contextlib.contextmanager
def _only_layer(model: Any, name: str | None) -> Iterator[None]:
    """Inside, only the layer of that name learns (all, without one); the file must not tell that others were frozen."""
    before = [(item, item.trainable) for item in model._flatten_layers(include_self=False)] if name else []
    for item, _ in before:
        item.trainable = item.name == name
    try:
        yield
    finally:
        for item, trainable in before:  # a layer comes before those in it, which it sets as well
            item.trainable = trainable


def _build_task(
    server: ServerModel,
    trainable: TrainableModel,
    folder: Path,
    sources: tuple[str, str],
    settings: Training,
    tell: loop.ProgressCallback,
) -> loop.TrainingTask:
    """Samples, and the loss that they and the model's own answers call for."""
    parts = []
    for number, source in enumerate(sources):
        (folder / str(number)).mkdir()
        parts.append(dataset.read(source, server.inputs, list(trainable.outputs), folder / str(number), None))
    train, held_out = parts
    names = tuple(name for name in trainable.outputs if name in train.labels)
    rows = train.rows[:SEEN]
    answers = _answer(server, train, rows)
    chosen = tuple(losses.choose(name, train.labels[name][rows], answers[name], settings.loss) for name in names)
    return loop.TrainingTask(train, held_out, names, chosen, settings, server.fixed_batch, tell)


def _add_teacher(server: ServerModel, task: loop.TrainingTask, taught: int) -> loop.TrainingTask:
    """The same task, in which the first samples teach the model's own answers, too; the others teach their labels alone."""

    def soften(samples: dataset.Samples, count: int) -> dataset.Samples:
        soft = {}
        answers = _answer(server, samples, samples.rows)
        for name, loss in zip(task.outputs, task.losses, strict=True):
            labels = samples.labels[name][samples.rows]
            soft[name] = loss.soften(labels, answers[name], 0.0)
            soft[name][:count] = loss.soften(labels[:count], answers[name][:count], task.settings.teacher)
        return replace(samples, soft_targets=soft)

    return replace(task, train=soften(task.train, taught), validation=soften(task.validation, 0))


def _answer(server: ServerModel, samples: dataset.Samples, rows: Any) -> dict[str, Any]:
    parts = [
        server.predict(dict(zip((spec.name for spec in samples.specs), samples.feeds(part), strict=True)))
        for part in samples.with_rows(rows).batches(loop.VALIDATION_BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _fit(trainable: TrainableModel, task: loop.TrainingTask) -> TrainingHistory:
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    trainer = trainable.trainer(task.outputs)
    history = loop.fit(trainer, keras, task, ready=task.steps)
    if history.diverged:
        raise CheckError(
            f"fine-tuning: {history.ended}; try a lower --learning-rate, and look for outliers in the labels"
        )
    return history


def _save(model: Any, out: Path) -> None:
    """Write a `.keras` file without the time at which that was done, so that the same weights are the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as beside:
        model.save(beside)
        with zipfile.ZipFile(beside) as archive:
            content = {item.filename: archive.read(item) for item in archive.infolist()}
        metadata = json.loads(content["metadata.json"])
        content["metadata.json"] = json.dumps({**metadata, "date_saved": "1980-01-01@00:00:00"}).encode()
        with zipfile.ZipFile(beside, "w") as archive:
            for name, data in content.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data)

"""Training a task from data to finished files, in a process of its own: everything here may import TensorFlow."""

from __future__ import annotations

import atexit
import functools
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.processes import progress_events
from edgeship.storage import cache, digest
from edgeship.train import card, card_page, tasks
from edgeship.train.card import ModelCard, ModelFacts, TrainingMachine, TrainingRecord, TrainingSeconds
from edgeship.train.dataset import Array, Split, TaskData

WATCH_EVERY = 0.5  # seconds
REMOVAL_TRIES = 100
FILES = {"test": "evaluation"}  # a split's file where it has another name
TOOLS = ("tensorflow", "tensorflow-cpu", "keras", "numpy")


def run(*, task: str, staging: str, data_dir: str | None, seed: int, epochs: int | None) -> ModelCard:
    """Train `task`, write all its files into the folder `staging`; returns the model card.

    `epochs` replaces the task's own number. Progress goes to a file beside the results. The seed governs initial
    weights, order and augmentation; the splits have a fixed seed of their own, so that models can be compared.
    Raises InputError where the data cannot be used or the files cannot be written.
    """
    start, folder = time.perf_counter(), Path(staging)
    tell = functools.partial(progress_events.append_event, folder / progress_events.FILE)
    atexit.register(remove_folder, folder)  # whoever asked has moved the files by then, or was killed and takes none
    threading.Thread(target=end_with_parent, args=(folder, os.getppid()), name="parent", daemon=True).start()
    entry = tasks.get(task)
    data = entry.load(Path(data_dir) if data_dir else None)
    if not data.mirrors:
        entry = replace(entry, augment=None)
    samples = len(data.splits["train"].inputs)
    tell(event="stage", text=f"{data.name} ({data.source}): {samples:,} training samples, {len(data.labels)} classes")
    schedule = tasks.plan_schedule(entry.schedule, samples, epochs)
    model, training = train_model(entry, data, schedule, seed, tell)
    tell(event="stage", text="evaluating the saved model")
    try:
        facts, scores = save_and_score(folder, model, data)
        seconds = replace(training.seconds, total=time.perf_counter() - start)
        training = replace(training, seconds=seconds)
        model_card = card.build(
            task=entry, data=data, schedule=schedule, seed=seed, model=facts, scores=scores, training=training
        )
        return write_card(folder, model_card)
    except OSError as error:
        raise InputError(f"the results cannot be written ({error}); free some space or give another --out") from error


def train_model(
    task: tasks.Task, data: TaskData, schedule: tasks.Schedule, seed: int, tell: Callable[..., None]
) -> tuple[Any, TrainingRecord]:
    """A trained model, and what the card says about its training."""
    import keras

    from edgeship.train.fit import fit

    keras.utils.set_random_seed(seed)
    model = task.build(data.splits["train"], len(data.labels))
    clock, cpu = time.perf_counter(), time.process_time()
    curve = fit(
        model,
        train=data.splits["train"],
        validation=data.splits["validation"],
        schedule=schedule,
        augment=task.augment,
        seed=seed,
        tell=tell,
    )
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    return model, TrainingRecord(
        curve=curve,
        seconds=TrainingSeconds(seconds, cpu_seconds, total=seconds),
        tools=tool_versions(),
        machine=TrainingMachine(f"{platform.system()} {platform.machine()}", os.cpu_count() or 0),
    )


def save_and_score(folder: Path, model: Any, data: TaskData) -> tuple[ModelFacts, dict[str, Array]]:
    """Write the model and the data files; returns facts about the model and its scores, both of the file."""
    import keras

    path = folder / "server.keras"
    # A model that was never compiled: without the optimizer's state the file is a third of the size.
    keras.Model(model.input, model.output, name=model.name).save(path)
    model_of_file = keras.models.load_model(path)
    write_data(folder, model_of_file.inputs[0].name, data)
    facts = card.describe_model(model_of_file, path, data.preprocessing)
    return facts, {name: predict_probabilities(model_of_file, data.splits[name]) for name in ("validation", "test")}


def write_card(folder: Path, model_card: ModelCard) -> ModelCard:
    """Write both forms of the card, with the digests of all other files in it; returns it."""
    (folder / "model-card.md").write_text(card_page.render_markdown(model_card), encoding="utf-8")
    files = {path.name: digest.of_path(path) for path in sorted(folder.iterdir()) if path.name != progress_events.FILE}
    complete_card = replace(model_card, files=files)
    content = json.dumps(complete_card.record(), indent=1, allow_nan=False)
    (folder / "model-card.json").write_text(content + "\n", encoding="utf-8")
    return complete_card


def end_with_parent(folder: Path, parent: int) -> None:
    """Watch the process that asked for the training; once it has been killed, remove the unfinished files and stop."""
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY)
    remove_folder(folder)
    os._exit(1)


def remove_folder(folder: Path) -> None:
    """Remove a folder, also one that the training's own thread still writes to."""
    for _ in range(REMOVAL_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def predict_probabilities(model: Any, split: Split) -> Array:
    """Class probabilities, float32 of shape (n, classes)."""
    result: Array = model.predict(split.inputs.astype(np.float32), batch_size=500, verbose=0)
    return result


def write_data(folder: Path, name: str, data: TaskData) -> None:
    """The data files that optimizing and shipping need, in the source's own dtype, and the class names, one a line."""
    for split in data.splits:
        part = data.splits[split]
        np.savez(
            folder / f"{FILES.get(split, split)}.npz",
            allow_pickle=False,
            **{name: np.ascontiguousarray(part.inputs), "y": part.labels},
        )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in data.labels), encoding="utf-8")


def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result, those that are installed."""
    versions = {name: version for name in TOOLS if (version := cache.installed_version(name))}
    return {"python": platform.python_version(), **versions}

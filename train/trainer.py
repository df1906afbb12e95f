"""Training a task from data to finished files, in a process of its own: everything here may import TensorFlow."""

from __future__ import annotations

import functools
import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import digest
from edgeship.train import card, progress, tasks
from edgeship.train.dataset import Array, Split, TaskData

TOOLS = ("tensorflow", "tensorflow-cpu", "keras", "numpy")


def run(*, task: str, staging: str, data_dir: str | None, seed: int, epochs: int | None, told: str) -> dict[str, Any]:
    """Train `task`, write all its files into the folder `staging`; returns the model card.

    `epochs` replaces the task's own number. Progress goes to the file `told` (edgeship.train.progress). The seed
    governs initial weights, order and augmentation; the splits have a fixed seed of their own, so that models
    trained with other seeds can be compared. Raises InputError where the data cannot be used.
    """
    started, folder, tell = time.perf_counter(), Path(staging), functools.partial(progress.tell, Path(told))
    entry = tasks.get(task)
    data = entry.load(Path(data_dir) if data_dir else None)
    train = data.splits["train"]
    tell(
        event="stage",
        text=f"{data.name} ({data.source}): {len(train.inputs):,} training samples, {len(data.labels)} classes",
    )

    import keras

    from edgeship.train.fit import fit

    keras.utils.set_random_seed(seed)
    schedule = tasks.planned(entry.schedule, len(train.inputs), epochs)
    model = entry.build(train, len(data.labels))
    clock, cpu = time.perf_counter(), time.process_time()
    curve = fit(
        model,
        train=train,
        validation=data.splits["validation"],
        schedule=schedule,
        augment=entry.augment,
        seed=seed,
        tell=tell,
        staging=folder,
    )
    seconds = {"training": time.perf_counter() - clock, "training_cpu": time.process_time() - cpu}

    tell(event="stage", text="evaluating the saved model")
    # A model that was never compiled: without the optimizer's state the file is a third of the size.
    keras.Model(model.input, model.output, name=model.name).save(folder / "server.keras")
    saved = keras.models.load_model(folder / "server.keras")
    scores = {name: predict(saved, data.splits[name]) for name in ("validation", "test")}
    write_data(folder, saved.inputs[0].name, data)
    made = card.build(
        task=entry,
        data=data,
        schedule=schedule,
        curve=curve,
        seed=seed,
        scores=scores,
        model={**card.describe(saved), "sha256": digest.of_path(folder / "server.keras")},
        seconds={**seconds, "total": time.perf_counter() - started},
        tools=tool_versions(),
        machine={"system": f"{platform.system()} {platform.machine()}", "cpus": os.cpu_count() or 0},
    )
    made["files"] = {path.name: digest.of_path(path) for path in sorted(folder.iterdir())}
    (folder / "model-card.md").write_text(card.markdown(made), encoding="utf-8")
    made["files"]["model-card.md"] = digest.of_path(folder / "model-card.md")
    (folder / "model-card.json").write_text(json.dumps(made, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return made


def predict(model: Any, split: Split) -> Array:
    """Class probabilities, float32 of shape (n, classes)."""
    result: Array = model.predict(split.inputs.astype(np.float32), batch_size=500, verbose=0)
    return result


def write_data(folder: Path, name: str, data: TaskData) -> None:
    """The data files that shipping needs, in the source's own dtype, and the class names, one a line."""
    for split, file in (("calibration", "calibration.npz"), ("test", "evaluation.npz")):
        part = data.splits[split]
        np.savez(folder / file, allow_pickle=False, **{name: np.ascontiguousarray(part.inputs), "y": part.labels})
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in data.labels), encoding="utf-8")


def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result, those that are installed."""
    found = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # tensorflow and tensorflow-cpu: one of the two
    return found

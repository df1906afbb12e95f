"""The built-in tasks. A new one is an entry here: how to load its data, build its model, and train it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.train import fashion_mnist, models, motion
from edgeship.train.dataset import Array, Split, TaskData

MOST_EPOCHS = 40
Augment = Callable[[Array, np.random.Generator], Array]


@dataclass(frozen=True)
class Schedule:
    """Adam; the learning rate rises linearly over `warmup` of all steps to `peak`, then falls to 0 along a cosine.

    On a training set so large that `epochs` would show more than `most_samples`, there are fewer epochs; on one so small that
    they would show fewer than `least_samples`, there are more, up to MOST_EPOCHS.
    """

    epochs: int
    batch: int
    peak: float
    most_samples: int = 10**9
    warmup: float = 0.25
    least_samples: int = 0


@dataclass(frozen=True)
class Task:
    """One built-in task. `augment` changes a batch of training inputs (a copy) at random, in place or not.

    It is for data that says so (`TaskData.mirrors`).
    """

    name: str
    title: str
    load: Callable[[Path | None], TaskData]
    build: Callable[[Split, int], Any]
    schedule: Schedule
    augment: Augment | None = None


def mirror(batch: Array, generator: np.random.Generator) -> Array:
    """Half of the images, by chance, flipped left to right: shape (n, height, width, channels)."""
    flips = generator.random(len(batch)) < 0.5
    batch[flips] = batch[flips][:, :, ::-1]
    return batch


TASKS = {
    task.name: task
    for task in (
        Task(
            name="fashion-mnist",
            title="which of ten garments a 28x28 grey image shows",
            load=fashion_mnist.load,
            build=models.image_classifier,
            schedule=Schedule(epochs=6, batch=64, peak=3e-3, most_samples=240_000, least_samples=60_000),
            augment=mirror,
        ),
        Task(
            name="motion",
            title="which of seven exercises a smart watch's wearer does (2.56 s of 6 sensor channels)",
            load=motion.load,
            build=models.window_classifier,
            schedule=Schedule(epochs=10, batch=64, peak=3e-3),
        ),
    )
}


def plan_schedule(schedule: Schedule, samples: int, epochs: int | None) -> Schedule:
    """The schedule with the number of epochs asked for, or its own for a training set of this size."""
    usual = max(schedule.epochs, min(MOST_EPOCHS, round(schedule.least_samples / samples)))
    return replace(schedule, epochs=epochs or max(1, min(usual, round(schedule.most_samples / samples))))


def get(name: str) -> Task:
    """The task of that name. Raises InputError naming the known ones."""
    if name not in TASKS:
        raise unknown_name_error("task", name, TASKS)
    return TASKS[name]

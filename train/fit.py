"""Fitting a Keras model to a task's training split: seeded batches, one learning-rate schedule, a recorded curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from edgeship.train.card import EpochFigures
from edgeship.train.dataset import Array, Split
from edgeship.train.tasks import Augment, Schedule

SECONDS_PER_EVENT = 0.3  # seconds between two progress events


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The training split in a new order each epoch, augmented; the same seed gives the same batches."""

    def __init__(self, split: Split, batch: int, augment: Augment | None, seed: int) -> None:
        super().__init__()
        self._split, self._batch, self._augment = split, batch, augment
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(len(split.inputs))

    def __len__(self) -> int:
        """The number of batches of an epoch; the last one may be smaller."""
        return math.ceil(len(self._order) / self._batch)

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        """Inputs as float32 and their labels."""
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        inputs = self._split.inputs[rows].astype(np.float32)
        return (self._augment(inputs, self._generator) if self._augment else inputs), self._split.labels[rows]

    def on_epoch_end(self) -> None:
        """Shuffle again."""
        self._order = self._generator.permutation(len(self._order))


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the curve and tells the progress."""

    def __init__(self, tell: Callable[..., None], steps: int) -> None:
        super().__init__()
        self.curve: list[EpochFigures] = []
        self._tell, self._steps = tell, steps
        self._steps_done = 0
        self._last_event = self._epoch_start = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self._epoch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Tell how far it is, a few times a second."""
        self._steps_done += 1
        if time.perf_counter() - self._last_event > SECONDS_PER_EVENT:
            self._last_event = time.perf_counter()
            self._tell(event="batch", done=self._steps_done, total=self._steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the epoch."""
        logs = logs or {}
        point = EpochFigures(
            epoch=epoch + 1,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            validation_loss=float(logs["val_loss"]),
            validation_accuracy=float(logs["val_accuracy"]),
            seconds=round(time.perf_counter() - self._epoch_start, 2),
        )
        self.curve.append(point)
        self._tell(event="epoch", epochs=self.params["epochs"], **asdict(point))


def fit(
    model: Any,
    *,
    train: Split,
    validation: Split,
    schedule: Schedule,
    augment: Augment | None,
    seed: int,
    tell: Callable[..., None],
) -> tuple[EpochFigures, ...]:
    """Train the model in place with cross-entropy; returns the training curve, one entry per epoch."""
    batches = Batches(train, schedule.batch, augment, seed)
    steps = len(batches) * schedule.epochs
    warmup = round(steps * schedule.warmup)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.peak / 10, decay_steps=max(1, steps - warmup), warmup_target=schedule.peak, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    recorder = Recorder(tell, steps)
    model.fit(
        batches,
        epochs=schedule.epochs,
        shuffle=False,  # Batches shuffles by its own seed
        validation_data=(validation.inputs.astype(np.float32), validation.labels),
        validation_batch_size=500,
        callbacks=[recorder],
        verbose=0,
    )
    return tuple(recorder.curve)

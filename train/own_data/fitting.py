"""Fitting a network to samples: seeded batches, a cosine learning rate, and the weights of the best epoch by validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeship.train.dataset import Array
from edgeship.train.own_data.card import EpochLoss, Plan
from edgeship.train.own_data.samples import Samples, Target

SECONDS_PER_EVENT = 0.3  # between two progress events
STEPS = 2000  # of a training, as far as MOST_EPOCHS allows
LEAST_EPOCHS, MOST_EPOCHS = 6, 120
PATIENCE = 0.3  # of the epochs: so many without a better one end a training
PREDICTED = 512  # samples at once
IN_MEMORY = 128 << 20  # bytes of samples that are held there
STEPS_AT_ONCE = 32  # that TensorFlow does between two looks of Python: a step of a small network is short


def plan_training(samples: int, epochs: int | None) -> Plan:
    """A plan for a training set of this size, with the number of epochs that is asked for."""
    batch = int(np.clip(2 ** round(math.log2(max(samples / 40, 1))), 16, 256))
    steps = max(1, math.ceil(samples / batch))
    return Plan(epochs or int(np.clip(STEPS // steps, LEAST_EPOCHS, MOST_EPOCHS)), batch)


def _read_batches(samples: Samples, targets: Array, batch: int, seed: int | None = None) -> Any:
    """Batches of inputs and targets (one a sample) as a dataset, with a seed in a new order each time.

    Small samples are held in memory, larger ones read as they come.
    """
    example = samples.feeds(slice(0, 1))
    small = sum(array.nbytes for array in example.values()) * len(samples) <= IN_MEMORY
    whole = (samples.feeds(slice(None)), targets) if small else None
    places = tf.data.Dataset.from_tensor_slices(whole) if small else tf.data.Dataset.range(len(samples))
    if seed is not None:
        places = places.shuffle(len(samples), seed=seed)
    if small:
        return places.batch(batch)
    types = [*(array.dtype for array in example.values()), targets.dtype]

    def read(chosen: Array) -> list[Array]:
        return [*samples.feeds(chosen).values(), targets[chosen]]

    def load(chosen: Any) -> tuple[dict[str, Any], Any]:
        *arrays, truth = tf.numpy_function(read, [chosen], types)
        for array, known in zip(arrays, example.values(), strict=True):
            array.set_shape([None, *known.shape[1:]])
        truth.set_shape([None])
        return dict(zip(example, arrays, strict=True)), truth

    return places.batch(batch).map(load).prefetch(2)


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the curve and tells the progress."""

    def __init__(self, tell: Callable[..., None], steps: int, epochs: int) -> None:
        super().__init__()
        self.curve: list[EpochLoss] = []
        self._tell, self._steps, self._total = tell, steps, steps * epochs
        self._last_event = self._start = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if time.perf_counter() - self._last_event > SECONDS_PER_EVENT:
            self._last_event = time.perf_counter()
            self._tell(event="batch", done=len(self.curve) * self._steps + batch + 1, total=self._total)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        seconds = round(time.perf_counter() - self._start, 2)
        self.curve.append(EpochLoss(epoch + 1, float(logs["loss"]), float(logs["val_loss"]), seconds))


def fit(
    model: Any, train: Samples, validation: Samples, target: Target, plan: Plan, seed: int, tell: Callable[..., None]
) -> tuple[EpochLoss, ...]:
    """Train the model in place; its weights are then those of the epoch with the least validation loss. Returns the curve."""
    each = math.ceil(len(train) / plan.batch)
    steps = each * plan.epochs
    warmup = round(steps * plan.warmup)
    rate = keras.optimizers.schedules.CosineDecay(
        plan.peak / 10, decay_steps=max(1, steps - warmup), warmup_target=plan.peak, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay),
        _loss(target),
        jit_compile=False,
        steps_per_execution=min(each, STEPS_AT_ONCE),
    )
    recorder = _Recorder(tell, each, plan.epochs)
    patience = max(3, round(plan.epochs * PATIENCE))
    best = keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)
    model.fit(
        _read_batches(train, _scaled(train, target), plan.batch, seed),
        epochs=plan.epochs,
        validation_data=_read_batches(validation, _scaled(validation, target), PREDICTED),
        callbacks=[recorder, best],
        verbose=0,
    )
    return tuple(recorder.curve)


def _loss(target: Target) -> str:
    if not target.is_class:
        return "mse"
    return "binary_crossentropy" if target.is_binary else "sparse_categorical_crossentropy"


def _scaled(samples: Samples, target: Target) -> Array:
    targets = samples.targets[samples.rows]
    if target.is_class:
        return targets
    scaled: Array = ((targets - target.mean) / target.deviation).astype(np.float32)
    return scaled


def predict(model: Any, samples: Samples, target: Target) -> Array:
    """Probabilities (n, classes), or values (n,), float32; batch by batch."""
    starts = range(0, len(samples), PREDICTED)
    parts = [model.predict_on_batch(samples.feeds(slice(start, start + PREDICTED))) for start in starts]
    return target.read_scores(np.concatenate(parts).astype(np.float32))

"""Fitting a network to samples: seeded batches, a cosine learning rate, and the weights of the best epoch by validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeship.train.dataset import Array
from edgeship.train.own_data.card import EpochLoss
from edgeship.train.own_data.configuration import Plan
from edgeship.train.own_data.samples import Samples, Target

SECONDS_PER_EVENT = 0.3  # between two progress events
STEPS = 2000  # of a training, as far as MOST_EPOCHS allows
LEAST_EPOCHS, MOST_EPOCHS = 6, 120
PATIENCE = 0.3  # of the epochs: so many without a better one end a training
PREDICTED = 512  # samples at once
IN_MEMORY = 128 << 20  # bytes of samples that are held there
Watch = Callable[[int, float], bool]
STEPS_AT_ONCE = 32  # that TensorFlow does between two looks of Python: a step of a small network is short


def plan_training(samples: int, epochs: int | None) -> Plan:
    """A plan for a training set of this size, with the number of epochs that is asked for."""
    batch = int(np.clip(2 ** round(math.log2(max(samples / 40, 1))), 16, 256))
    steps = max(1, math.ceil(samples / batch))
    return Plan(epochs or int(np.clip(STEPS // steps, LEAST_EPOCHS, MOST_EPOCHS)), batch)


def read_batches(samples: Samples, targets: Array, batch: int, seed: int | None = None) -> Any:
    """Batches of inputs and targets (one a sample) as a dataset, with a seed in a new order each time.

    Small samples are held in memory, larger ones read as they come.
    """
    example = samples.feeds(slice(0, 1))
    if sum(array.nbytes for array in example.values()) * len(samples) <= IN_MEMORY:
        places = tf.data.Dataset.from_tensor_slices((samples.feeds(slice(None)), targets))
        return (places if seed is None else places.shuffle(len(samples), seed=seed)).batch(batch)
    generator = None if seed is None else np.random.default_rng(seed)

    def read() -> Iterator[tuple[dict[str, Array], Array]]:
        order = np.arange(len(samples)) if generator is None else generator.permutation(len(samples))
        for start in range(0, len(order), batch):
            # Sorted, a file is read in one direction; the order within a batch does not matter.
            chosen = np.sort(order[start : start + batch])
            yield samples.feeds(chosen), targets[chosen]

    signature = (
        {name: tf.TensorSpec((None, *array.shape[1:]), array.dtype) for name, array in example.items()},
        tf.TensorSpec((None,), targets.dtype),
    )
    batches = tf.data.Dataset.from_generator(read, output_signature=signature)
    return batches.apply(tf.data.experimental.assert_cardinality(math.ceil(len(samples) / batch))).prefetch(2)


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


class _Watcher(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training when whoever watches it says so."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._watch(epoch + 1, float((logs or {})["val_loss"])):
            self.model.stop_training = True


def fit(
    model: Any,
    train: Samples,
    validation: Samples,
    target: Target,
    plan: Plan,
    seed: int,
    tell: Callable[..., None],
    watch: Watch | None = None,
) -> tuple[EpochLoss, ...]:
    """Train the model in place; its weights are then those of the epoch with the least validation loss. Returns the curve.

    `watch` is told each epoch, counted from 1, with its validation loss, and ends the training where it says true.
    """
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
        read_batches(train, _scaled(train, target), plan.batch, seed),
        epochs=plan.epochs,
        validation_data=read_batches(validation, _scaled(validation, target), PREDICTED),
        callbacks=[recorder, best, *([_Watcher(watch)] if watch else [])],
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

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
from edgeship.train.own_data import networks, protocol
from edgeship.train.own_data.card import EpochLoss
from edgeship.train.own_data.configuration import Configuration, Plan
from edgeship.train.own_data.samples import OwnData, Prepared, Samples, Target

SECONDS_PER_EVENT = 0.3  # between two progress events
LEAST_EPOCHS, MOST_EPOCHS = 6, 120
PATIENCE = 0.3  # of the epochs: so many without a better one end a training
PREDICTED = 512  # samples at once
IN_MEMORY = 128 << 20  # bytes of samples that are held there
Watch = Callable[[int, float], bool]
STEPS_AT_ONCE = 32  # that TensorFlow does between two looks of Python: a step of a small network is short


def plan_training(samples: int, epochs: int | None, steps: int) -> Plan:
    """A plan for a training set of this size, with the number of epochs that is asked for, or those of so many steps."""
    batch = int(np.clip(2 ** round(math.log2(max(samples / 40, 1))), 16, 256))
    each = max(1, math.ceil(samples / batch))
    return Plan(epochs or int(np.clip(steps // each, LEAST_EPOCHS, MOST_EPOCHS)), batch)


def read_batches(samples: Samples, targets: Array, batch: int, seed: int | None = None) -> Any:
    """Batches of inputs and targets (n, ...) as a dataset, with a seed in a new order each time.

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
        tf.TensorSpec((None, *targets.shape[1:]), targets.dtype),
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


def train_network(
    data: OwnData,
    prepared: Prepared,
    rows: Array,
    validation: Array | None,
    target: Target,
    configuration: Configuration,
    seed: int,
    tell: Callable[..., None],
    watch: Watch | None = None,
) -> tuple[Any, tuple[EpochLoss, ...]]:
    """A network of a configuration, trained on some rows (int64, sorted), with its curve (see `fit`).

    Without `validation` rows they validate one another (`fit_crossed`).
    """
    train = Samples(prepared.inputs, data.targets, rows)
    keras.utils.set_random_seed(seed)
    model = prepared.build(train, target, configuration.size)
    if validation is None:
        parts = protocol.part_rows(data, rows, networks.BRANCHES)
        return model, fit_crossed(model, train, parts, target, configuration.plan, seed, tell, watch)
    judging = Samples(prepared.inputs, data.targets, validation)
    return model, fit(model, train, judging, target, configuration.plan, seed, tell, watch)


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
    learned = read_batches(train, _scaled(train, target), plan.batch, seed)
    judged = read_batches(validation, _scaled(validation, target), PREDICTED)
    return _fit_batches(model, _loss(target), learned, judged, len(train), plan, tell, watch)


def fit_crossed(
    model: Any,
    samples: Samples,
    parts: Array,
    target: Target,
    plan: Plan,
    seed: int,
    tell: Callable[..., None],
    watch: Watch | None = None,
) -> tuple[EpochLoss, ...]:
    """Train a network whose branches are apart (`networks.table_network`): none of the samples is kept from all of it.

    `parts` (int64, of the shape of `samples`) says which branch does not learn from a sample; what that branch says of it is the
    validation loss. So all samples are learned from, and all choose the epoch; the average of branches that learned from
    different samples varies less than one (Breiman, "Bagging Predictors", 1996; Wolpert's out-of-sample estimates, 1992).
    """
    values = _scaled(samples, target).astype(np.float32)[:, None]
    unseen = np.eye(networks.BRANCHES, dtype=np.float32)[parts]
    shares = (1 - unseen) / (networks.BRANCHES - 1)
    learned = read_batches(samples, np.concatenate([values, shares], axis=1), plan.batch, seed)
    judged = read_batches(samples, np.concatenate([values, unseen], axis=1), PREDICTED)
    return _fit_batches(
        networks.stack_branches(model), _BranchLoss(target), learned, judged, len(samples), plan, tell, watch
    )


def _fit_batches(
    model: Any,
    loss: Any,
    learned: Any,
    judged: Any,
    samples: int,
    plan: Plan,
    tell: Callable[..., None],
    watch: Watch | None,
) -> tuple[EpochLoss, ...]:
    each = math.ceil(samples / plan.batch)
    steps = each * plan.epochs
    warmup = round(steps * plan.warmup)
    rate = keras.optimizers.schedules.CosineDecay(
        plan.peak / 10, decay_steps=max(1, steps - warmup), warmup_target=plan.peak, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay),
        loss,
        jit_compile=False,
        steps_per_execution=min(each, STEPS_AT_ONCE),
    )
    recorder = _Recorder(tell, each, plan.epochs)
    patience = max(3, round(plan.epochs * PATIENCE))
    best = keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)
    watchers = [_Watcher(watch)] if watch else []
    model.fit(learned, epochs=plan.epochs, validation_data=judged, callbacks=[recorder, best, *watchers], verbose=0)
    return tuple(recorder.curve)


class _BranchLoss(keras.losses.Loss):  # type: ignore[misc]
    """Losses (n,) of scores (n, branches, outputs); wanted (n, 1 + branches) are the value or class, and what each branch counts.

    A class, as Keras drops the last axis of one output where the loss is a function.
    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops = keras.ops
        value, shares = y_true[:, :1], y_true[:, 1:]
        if not self._target.is_class:
            losses = ops.square(y_pred[..., 0] - value)
        elif self._target.is_binary:
            losses = ops.softplus(y_pred[..., 0]) - y_pred[..., 0] * value
        else:
            classes = ops.repeat(ops.cast(value, "int32"), y_pred.shape[1], axis=1)
            losses = keras.losses.sparse_categorical_crossentropy(classes, y_pred, from_logits=True)
        return ops.sum(losses * shares, axis=1)


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

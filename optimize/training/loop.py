"""Training a model further, Keras 3's or tf_keras's: seeded, with early stopping, the best checkpoint, and a stop at NaN."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.optimize.receipt import Epoch, TrainingHistory
from edgeship.optimize.training.dataset import Samples, tf_dataset
from edgeship.optimize.training.losses import Loss
from edgeship.recipes.training import Training

SECONDS_PER_EVENT = 0.3
VALIDATION_BATCH = 256

ProgressCallback = Callable[..., None]


@dataclass(frozen=True)
class TrainingTask:
    """What is trained on: samples, the outputs that have labels, a loss for each, and the settings."""

    train: Samples
    validation: Samples
    outputs: tuple[str, ...]
    losses: tuple[Loss, ...]
    settings: Training
    fixed_batch: int | None = None
    tell: ProgressCallback = lambda **_: None

    @property
    def fit_losses(self) -> tuple[Loss, ...]:
        """The losses for what is learned, which may be more than the labels."""
        return tuple(loss.for_soft_targets for loss in self.losses) if self.train.soft_targets else self.losses

    @property
    def by_labels(self) -> TrainingTask:
        """The same without a teacher's say."""
        return replace(
            self,
            train=replace(self.train, soft_targets={}),
            validation=replace(self.validation, soft_targets={}),
        )

    @property
    def batch(self) -> int:
        """Samples in a batch: as asked, fewer where there are fewer, or the only number the model takes."""
        return self.fixed_batch or min(self.settings.batch, len(self.train))

    @property
    def steps(self) -> int:
        """Optimizer steps in all epochs."""
        count = len(self.train) / self.batch
        return self.settings.epochs * (math.floor(count) if self.fixed_batch else math.ceil(count))


def progress_writer(path: str | None, stage: str) -> ProgressCallback:
    """A function that appends events to a file as JSON lines; one that does nothing without a file."""

    def append_event(**event: Any) -> None:
        if path:
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write(
                    json.dumps({**event, **({"text": f"{stage}: {event['text']}"} if "text" in event else {})}) + "\n"
                )

    return append_event


def fit(
    model: Any,
    api: Any,
    task: TrainingTask,
    *,
    callbacks: Sequence[Any] = (),
    ready: int = 0,
    rate: float = 1.0,
    pack: Callable[[list[Any]], Any] = list,
) -> TrainingHistory:
    """Train `model` in place and leave the weights of its best epoch in it; `callbacks` run before the checkpoint is taken.

    Weights count as best by validation loss, and only once `ready` steps are done (a pruning schedule has ended). At a loss
    that is not finite training stops and the last good weights come back. `rate` scales the learning rate; `pack` is how several
    losses are given.
    """
    api.utils.set_random_seed(task.settings.seed)
    schedule = api.optimizers.schedules.CosineDecay(task.settings.learning_rate * rate, max(1, task.steps))
    losses = [loss.build_loss(api) for loss in task.fit_losses]
    model.compile(api.optimizers.Adam(schedule), losses[0] if len(losses) == 1 else pack(losses), jit_compile=False)
    best = _BestWeights(model, task, ready)
    whole = task.fixed_batch is not None
    model.fit(
        tf_dataset(task.train, task.outputs, task.batch, task.settings.seed, whole=whole),
        epochs=task.settings.epochs,
        validation_data=tf_dataset(
            task.validation, task.outputs, task.fixed_batch or VALIDATION_BATCH, None, whole=whole
        ),
        callbacks=[*callbacks, _checkpoint_callback(api, best)],
        verbose=0,
    )
    return best.history


class _BestWeights:
    """Keeps the weights of the best epoch of a model in training, and stops it where it diverges or gets no better."""

    def __init__(self, model: Any, task: TrainingTask, ready: int) -> None:
        self._model, self._task, self._ready = model, task, ready
        self.history = TrainingHistory()
        self._steps_done = self._epochs_without_gain = 0
        self._best_loss, self._last_good = math.inf, _copy_weights(model)
        self._best: list[Any] | None = None
        self._last_event = self._clock = time.perf_counter()

    def end_batch(self, loss: float) -> None:
        self._steps_done += 1
        if not np.isfinite(loss):
            self._diverge(f"the loss became {loss} at step {self._steps_done} of {self._task.steps}")
        elif time.perf_counter() - self._last_event > SECONDS_PER_EVENT:
            self._last_event = time.perf_counter()
            self._task.tell(event="batch", done=self._steps_done, total=self._task.steps)

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        if self.history.diverged:
            return
        loss, validation = float(logs["loss"]), float(logs["val_loss"])
        if not np.isfinite(validation):
            self._diverge(f"the validation loss became {validation} in epoch {epoch}")
            return
        seconds = round(time.perf_counter() - self._clock, 2)
        self._clock = time.perf_counter()
        self.history = replace(self.history, curve=(*self.history.curve, Epoch(epoch, loss, validation, seconds)))
        losses = f"loss {loss:.4f}  validation {validation:.4f}"
        self._task.tell(event="stage", text=f"epoch {epoch}/{self._task.settings.epochs}  {losses}  ({seconds:.0f} s)")
        self._keep_weights(epoch, validation)

    def restore(self) -> None:
        for weight, value in zip(self._model.weights, self._best or self._last_good, strict=True):
            weight.assign(value)

    def _keep_weights(self, epoch: int, validation: float) -> None:
        self._last_good = _copy_weights(self._model)
        if self._steps_done < self._ready:
            self.history = replace(self.history, kept=epoch)
            return
        if validation < self._best_loss:
            self._best_loss, self._best = validation, self._last_good
            self._epochs_without_gain, self.history = 0, replace(self.history, kept=epoch)
            return
        self._epochs_without_gain += 1
        if self._epochs_without_gain >= self._task.settings.patience:
            self.history = replace(self.history, ended=f"no better for {self._epochs_without_gain} epochs")
            self._model.stop_training = True

    def _diverge(self, why: str) -> None:
        self.history = replace(self.history, diverged=True, ended=why)
        self._model.stop_training = True


def _checkpoint_callback(api: Any, best: _BestWeights) -> Any:
    """The callback of either Keras (`api`) that keeps the best weights."""

    class Checkpoint(api.callbacks.Callback):  # type: ignore[misc,name-defined]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            best.end_batch(float(logs["loss"]))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            best.end_epoch(epoch + 1, logs)

        def on_train_end(self, logs: Any = None) -> None:
            best.restore()

    return Checkpoint()


def _copy_weights(model: Any) -> list[Any]:
    return [np.array(weight) for weight in model.weights]

"""Trials: a configuration is trained on what is not tested of a split, and judged by the validation loss. Imports TensorFlow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from edgeship.light_dataclass import dataclass
from edgeship.train.own_data import protocol
from edgeship.train.own_data.configuration import Configuration
from edgeship.train.own_data.protocol import Split
from edgeship.train.own_data.samples import OwnData, Prepared
from edgeship.train.own_data.search_results import Trial
from edgeship.train.own_data.tuning.halving import rung_epochs
from edgeship.train.own_data.tuning.space import read_configuration

Tell = Callable[..., None]
FEW_SAMPLES = 200  # of validation: of fewer a trial is judged on several splits, as one tells too little
MOST_SPLITS = 3


@dataclass(frozen=True)
class Task:
    """A trial to be done: its `number` and `values`, the losses that it must reach at the rungs, and the seed of the training."""

    number: int
    values: Mapping[str, float]
    limits: tuple[float | None, ...]
    seed: int
    epochs: int | None


class TrialData:
    """What the trials of one split have in common: the splits of what is not tested, and what was prepared of them."""

    def __init__(self, data: OwnData, split: Split, epochs: int | None) -> None:
        from edgeship.train.own_data import fitting

        self.data = data
        most = MOST_SPLITS if len(split.validation) < FEW_SAMPLES else 1
        self.splits = protocol.inner_splits(data, split, most)
        self._prepared: list[Prepared] = []
        self.plan = fitting.plan_training(len(self.splits[0][0]), epochs, self.prepared(0).steps)

    @property
    def validated(self) -> int:
        """The number of validation samples of all splits."""
        return sum(len(rows if validation is None else validation) for rows, validation in self.splits)

    def prepared(self, place: int) -> Prepared:
        """What one of the splits was prepared to."""
        while len(self._prepared) <= place:
            self._prepared.append(self.data.prepare(self.splits[len(self._prepared)][0]))
        return self._prepared[place]


class _Watch:
    """Follows one trial over its epochs, through all its splits, and stops it at a rung whose limit it does not reach."""

    def __init__(self, epochs: int, splits: int, limits: Sequence[float | None]) -> None:
        self.epochs, self.stopped = epochs, False
        self.rung_losses: list[float] = []
        self.best: list[float] = []  # of each split that was begun
        self.done = 0  # epochs
        self._rungs, self._limits = rung_epochs(epochs * splits), limits

    @property
    def loss(self) -> float:
        """The mean of the best losses so far."""
        return sum(self.best) / len(self.best)

    def begin_split(self) -> None:
        self.best.append(math.inf)

    def see_epoch(self, epoch: int, loss: float) -> bool:
        """Whether the training ends here; `epoch` is counted from 1 in each split."""
        self.best[-1] = min(self.best[-1], loss if math.isfinite(loss) else math.inf)
        self.done = (len(self.best) - 1) * self.epochs + epoch
        self._look()
        return self.stopped or not math.isfinite(loss)

    def end_split(self) -> None:
        """A training that ended early counts as whole: it would have become no better."""
        if not self.stopped:
            self.done = len(self.best) * self.epochs
            self._look()

    def _look(self) -> None:
        for limit in self._limits[len(self.rung_losses) : sum(rung <= self.done for rung in self._rungs)]:
            if not math.isfinite(self.loss):
                self.stopped = True
                return
            self.rung_losses.append(self.loss)
            if limit is not None and self.loss > limit:
                self.stopped = True
                return


def run_trial(trial_data: TrialData, task: Task, tell: Tell) -> Trial:
    """Train a configuration, and judge it."""
    start = time.perf_counter()
    configuration = read_configuration(task.values, trial_data.plan)
    watch = _Watch(configuration.plan.epochs, len(trial_data.splits), task.limits)
    for place in range(len(trial_data.splits)):
        watch.begin_split()
        _train_split(trial_data, place, configuration, task.seed, watch, tell)
        watch.end_split()
        if watch.stopped:
            break
    return Trial(
        task.number,
        dict(task.values),
        round(watch.done / (watch.epochs * len(trial_data.splits)), 4),
        round(time.perf_counter() - start, 2),
        watch.stopped,
        tuple(watch.rung_losses),
        watch.loss if math.isfinite(watch.loss) else None,
    )


def _train_split(
    trial_data: TrialData, place: int, configuration: Configuration, seed: int, watch: _Watch, tell: Tell
) -> None:
    import keras

    from edgeship.train.own_data import fitting

    data, prepared = trial_data.data, trial_data.prepared(place)
    rows, validation = trial_data.splits[place]
    target = data.target.scaled_by(data.targets[rows])
    keras.backend.clear_session()  # else each trial leaves its graph behind
    fitting.train_network(data, prepared, rows, validation, target, configuration, seed + place, tell, watch.see_epoch)

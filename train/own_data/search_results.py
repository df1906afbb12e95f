"""What a search found, as the card has it."""

from __future__ import annotations

from collections.abc import Mapping

from edgeship.light_dataclass import dataclass

METHOD = (
    "tree-structured Parzen estimator (Optuna), stopped early by asynchronous successive halving; the usual configuration "
    "is always the first and trained to its end"
)


@dataclass(frozen=True)
class Trial:
    """A configuration that was tried, its `values` by name, and the validation `loss` (None where it did not converge).

    `budget` is the share of the epochs it was given, below 1 where it was `stopped` as no good; `rung_losses` are its losses
    where it was compared with the others (`halving`).
    """

    number: int
    values: Mapping[str, float]
    budget: float
    seconds: float
    stopped: bool
    rung_losses: tuple[float, ...] = ()
    loss: float | None = None


@dataclass(frozen=True)
class Search:
    """The search for the network of one split: its trials, the number of the one that was taken, and what it was judged on.

    The losses are means over `splits` of what is not tested, with `samples` validation samples in all: cross-entropy, or the
    mean squared error in units of the target's deviation.
    """

    trials: tuple[Trial, ...]
    chosen: int
    samples: int
    splits: int
    usual_loss: float | None = None
    chosen_loss: float | None = None


@dataclass(frozen=True)
class Tuning:
    """The searches, one for each split of the protocol: none of them has seen a test sample of its split."""

    configurations: int
    searches: tuple[Search, ...]
    method: str = METHOD


@dataclass(frozen=True)
class TuningOptions:
    """How many `configurations` are tried, on an `engine` (local or ray), so many at once."""

    configurations: int
    processes: int = 1
    engine: str = "local"


def choose_trial(trials: tuple[Trial, ...]) -> Trial:
    """The trial of the least loss of those that were trained to their end, the first of equal ones."""
    ended = [trial for trial in trials if not trial.stopped and trial.loss is not None]
    return min(ended, key=lambda trial: (trial.loss or 0.0, trial.number)) if ended else trials[0]

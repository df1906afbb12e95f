"""The journal of a search, in the folder of the results: what was tried is not tried again after an interruption.

Optuna keeps it, and proposes what to try: it is pure Python, its journal is a file of JSON lines, and it is well kept (KerasTuner
had no release for a year, and can neither resume nor stop early by itself).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from edgeship.errors import InputError
from edgeship.train.own_data.search_results import Trial
from edgeship.train.own_data.tuning.space import Range
from edgeship.untrusted import printable

FILE = "tuning.journal"
FIRST_AT_RANDOM = 8  # trials before what was learned of the others counts
PATIENCE = 10  # seconds: a search that was killed holds its journal until its last process has noticed
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@contextlib.contextmanager
def open_journal(folder: Path) -> Iterator[JournalStorage]:
    """The journal in a folder, for this process alone. Raises InputError where another one holds it, or it is damaged."""
    path = folder / FILE
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.with_name(f".{FILE}.lock"))
    try:
        lock.acquire(timeout=PATIENCE)
    except filelock.Timeout as error:
        raise InputError(
            f"{printable(folder)}: another search writes there; wait for it, or give another --out"
        ) from error
    try:
        yield _read_journal(path)
    finally:
        lock.release()


def _read_journal(path: Path) -> JournalStorage:
    _cut_unfinished_line(path)
    try:
        # Optuna's own locks outlive a process that was killed; nobody else writes here.
        return JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock()))  # type: ignore[arg-type]
    except Exception as error:  # what Optuna raises over one is not documented
        raise InputError(f"{printable(path)}: a damaged journal; remove it, and the search begins anew") from error


class _NoLock:
    """What takes the place of a lock where the whole search holds one."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _cut_unfinished_line(path: Path) -> None:
    """Cut what a process was writing when it was killed: Optuna would write on behind it, and never read it again."""
    if path.is_file():
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            path.write_bytes(content[: content.rfind(b"\n") + 1])


class Journal:
    """The trials of one search by its `name`; `ranges` are what may be chosen, `seed` that of the search."""

    def __init__(self, storage: JournalStorage, name: str, ranges: Mapping[str, Range], seed: int) -> None:
        self._study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        self._space = {key: _distribution(item) for key, item in ranges.items()}
        self._seed = seed
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)  # it was under way when the search was killed

    def finished_trials(self) -> tuple[Trial, ...]:
        """The trials that ended, in the order in which they began; they are numbered from 0 on."""
        found = self._study.get_trials(deepcopy=False, states=DONE)
        return tuple(_read_trial(number, trial) for number, trial in enumerate(found))

    def propose(self, begun: int) -> tuple[int, dict[str, float]]:
        """What to try next where `begun` trials ended or are under way: the journal's own number for it, and its values.

        The same trials before give the same proposal, however often the search was interrupted.
        """
        seed = int(np.random.SeedSequence([self._seed, begun]).generate_state(1)[0])
        self._study.sampler = TPESampler(seed=seed, n_startup_trials=FIRST_AT_RANDOM)
        trial = self._study.ask(self._space)
        return trial.number, dict(trial.params)

    def record(self, key: int, trial: Trial) -> None:
        """Write down how the trial went that has this number in the journal."""
        running = optuna.trial.Trial(self._study, self._study.get_trials(deepcopy=False)[key]._trial_id)
        for step, loss in enumerate(trial.rung_losses):
            running.report(loss, step)
        for name, value in _attributes(trial).items():
            running.set_user_attr(name, value)
        if trial.stopped or trial.loss is None:
            self._study.tell(key, state=TrialState.PRUNED)
        else:
            self._study.tell(key, trial.loss)

    def add_usual(self, trial: Trial) -> None:
        """Write down how the configuration went that nobody proposed: the usual one."""
        state = TrialState.COMPLETE if trial.loss is not None else TrialState.PRUNED
        self._study.add_trial(
            create_trial(
                state=state,
                value=trial.loss,
                params=dict(trial.values),
                distributions=self._space,
                intermediate_values=dict(enumerate(trial.rung_losses)),
                user_attrs=_attributes(trial),
            )
        )


def _distribution(item: Range) -> BaseDistribution:
    if item.whole:
        return IntDistribution(int(item.low), int(item.high), log=item.log)
    return FloatDistribution(item.low, item.high, log=item.log)


def _attributes(trial: Trial) -> dict[str, Any]:
    return {"budget": trial.budget, "seconds": trial.seconds, "stopped": trial.stopped, "loss": trial.loss}


def _read_trial(number: int, trial: FrozenTrial) -> Trial:
    known = trial.user_attrs
    return Trial(
        number,
        dict(trial.params),
        known["budget"],
        known["seconds"],
        known["stopped"],
        tuple(loss for _, loss in sorted(trial.intermediate_values.items())),
        known["loss"],
    )

"""The search for a configuration: trials of one split after the other, kept in the journal as they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.errors import MissingDependencyError, unknown_name_error
from edgeship.storage import digest
from edgeship.train.dataset import digest_of
from edgeship.train.own_data.configuration import Configuration
from edgeship.train.own_data.protocol import Split
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.search_results import Search, Trial, Tuning, TuningOptions, choose_trial
from edgeship.train.own_data.tuning.engines import ENGINES, open_workers
from edgeship.train.own_data.tuning.halving import RUNGS, rung_limits
from edgeship.train.own_data.tuning.space import list_ranges, read_configuration, usual_values
from edgeship.train.own_data.tuning.trial import Task, Tell, TrialData
from edgeship.train.own_data.tuning.worker import Assignment
from edgeship.train.own_data.tuning.workers import Workers

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

    from edgeship.train.own_data.tuning.journal import Journal

SCHEMA = 2  # of what a journal's trials mean


def check_tuning(options: TuningOptions) -> None:
    """Raise InputError for an unknown engine, MissingDependencyError without Optuna, or without Ray where that is the engine."""
    if options.engine not in ENGINES:
        raise unknown_name_error("engine", options.engine, ENGINES)
    if find_spec("optuna") is None:
        raise MissingDependencyError("--tune needs Optuna: pip install 'edgeship[search]'")
    if options.engine == "ray" and find_spec("ray") is None:
        raise MissingDependencyError("--engine ray needs Ray: pip install 'edgeship[ray]'")


def tune_splits(
    data: OwnData, splits: Sequence[Split], options: TuningOptions, assignment: Assignment, out: Path, tell: Tell
) -> tuple[Tuning, list[Configuration]]:
    """A search for each split, and the configuration that each found; the seed of its trainings is that of the split.

    `assignment` is that of the first trial; the journal lies in `out`. Raises InputError where it is held or damaged.
    """
    from edgeship.train.own_data.tuning.journal import open_journal

    searches, configurations = [], []
    with open_journal(out) as storage, open_workers(options, tell) as workers:
        for number, split in enumerate(splits):
            task = replace(assignment.task, seed=assignment.task.seed + number)
            where = f"tuning{f', fold {number + 1} of {len(splits)}' if len(splits) > 1 else ''}"
            trial_data = TrialData(data, split, task.epochs)
            own = replace(assignment, split=number, task=task)
            trials = _search(
                trial_data, own, _open_study(storage, trial_data, split, task), workers, options, where, tell
            )
            chosen = choose_trial(trials)
            searches.append(_summarize(trial_data, trials, chosen))
            configurations.append(read_configuration(chosen.values, trial_data.plan))
    return Tuning(options.configurations, tuple(searches)), configurations


def _open_study(storage: JournalStorage, trial_data: TrialData, split: Split, task: Task) -> Journal:
    """The journal of a split's search: another one where anything differs that a trial's loss hangs on."""
    from edgeship.train.own_data.tuning.journal import Journal

    ranges = list_ranges(trial_data.prepared(0).sizes, trial_data.plan)
    rows = [digest_of(part.astype("<i8")) for part in (split.train, split.validation)]
    known = [SCHEMA, trial_data.data.digest, rows, asdict(trial_data.plan), task.seed, len(trial_data.splits)]
    name = digest.of_json([*known, {key: asdict(item) for key, item in ranges.items()}])
    return Journal(storage, name, ranges, task.seed)


def _search(
    trial_data: TrialData,
    assignment: Assignment,
    journal: Journal,
    workers: Workers,
    options: TuningOptions,
    where: str,
    tell: Tell,
) -> tuple[Trial, ...]:
    def submit(task: Task) -> Future[Trial]:
        return workers.submit(replace(assignment, task=task), trial_data)

    trials = journal.finished_trials()
    say = _teller(where, options.configurations, tell)
    if trials:
        tell(event="stage", text=f"{where}: {min(len(trials), options.configurations)} trials are in the journal")
    else:
        usual = usual_values(trial_data.prepared(0).sizes, trial_data.plan)
        first = submit(replace(assignment.task, values=usual, limits=(None,) * RUNGS)).result()
        journal.add_usual(first)
        say(first, journal.finished_trials())
    running: dict[Future[Trial], int] = {}
    while True:
        trials = journal.finished_trials()
        while len(running) < workers.count and (begun := len(trials) + len(running)) < options.configurations:
            key, values = journal.propose(begun)
            limits = rung_limits(trials, RUNGS)
            running[submit(replace(assignment.task, number=begun, values=values, limits=limits))] = key
        if not running:
            return trials[: options.configurations]
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            trial = future.result()
            journal.record(running.pop(future), trial)
            say(trial, journal.finished_trials())


def _teller(where: str, asked: int, tell: Tell) -> Callable[[Trial, tuple[Trial, ...]], None]:
    def say(trial: Trial, trials: tuple[Trial, ...]) -> None:
        best = choose_trial(trials)
        how = "did not converge" if trial.loss is None else f"validation loss {trial.loss:.4f}"
        if trial.stopped:  # its loss, of few epochs or splits, is none to compare with those of others
            how = f"stopped after {trial.budget:.0%}"
        behind = "" if best.loss is None else f" (best so far {best.loss:.4f})"
        tell(
            event="stage", text=f"{where}: configuration {len(trials)} of {asked}, {how}{behind}, {trial.seconds:.0f} s"
        )

    return say


def _summarize(trial_data: TrialData, trials: tuple[Trial, ...], chosen: Trial) -> Search:
    return Search(trials, chosen.number, trial_data.validated, len(trial_data.splits), trials[0].loss, chosen.loss)

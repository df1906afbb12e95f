"""What does trials in a process of its own, or on another machine: it reads the data once, and makes the same splits of it."""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.train import trainer
from edgeship.train.own_data import protocol
from edgeship.train.own_data.built_in.catalogue import read_samples
from edgeship.train.own_data.protocol import ProtocolOptions
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.search_results import Trial
from edgeship.train.own_data.tuning.trial import Task, TrialData, run_trial
from edgeship.untrusted import printable


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs for a trial: a source or a built-in task, how it is split, which split it is of, and the trial.

    `source` has the fields of `Source`; where there is none, `built_in` names the task. `data` is the digest of what the
    worker must find there.
    """

    source: dict[str, Any] | None
    built_in: str | None
    protocol: ProtocolOptions
    split: int
    task: Task
    data: str


class _Worker:
    """The data of this process, and the trial_data of the split that was asked for last."""

    def __init__(self, source: dict[str, Any] | None, built_in: str | None) -> None:
        self.asked, self.work = (source, built_in), Path(tempfile.mkdtemp(prefix="edgeship-tuning-"))
        atexit.register(trainer.remove_folder, self.work)
        parent = os.getppid()
        threading.Thread(
            target=trainer.end_with_parent, args=(self.work, parent), name="parent", daemon=True
        ).start()  # a search that was killed leaves no trial behind
        self.data: OwnData = read_samples(source, built_in, self.work)
        self._key: tuple[object, ...] = ()
        self._field: TrialData | None = None

    def trial_data(self, assignment: Assignment) -> TrialData:
        """What the trials of that split share."""
        key = (assignment.protocol, assignment.split, assignment.task.epochs)
        if self._field is None or self._key != key:
            _, splits = protocol.choose_splits(self.data, assignment.protocol)
            self._key, self._field = key, TrialData(self.data, splits[assignment.split], assignment.task.epochs)
        return self._field


_worker: _Worker | None = None  # of this process


def run_assignment(assignment: Assignment) -> Trial:
    """Do a trial. Raises InputError where the data is not the same here."""
    global _worker  # noqa: PLW0603  # a process that does trials does them all of the same data
    asked = (assignment.source, assignment.built_in)
    if _worker is None or _worker.asked != asked:
        _worker = _Worker(*asked)
    if _worker.data.digest != assignment.data:
        name = assignment.built_in or (assignment.source or {})["path"]
        raise InputError(f"{printable(name)}: other data than where the search was started")
    return run_trial(_worker.trial_data(assignment), assignment.task, lambda **_: None)


def run_in_child(*, assignment: dict[str, Any]) -> Trial:
    """`run_assignment` for a child process; the assignment is JSON."""
    from edgeship import typed_json

    return run_assignment(typed_json.convert(Assignment, assignment))

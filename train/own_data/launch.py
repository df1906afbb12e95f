"""The parent's side of training on a person's own data: starts the TensorFlow process and puts the files in place."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from edgeship.errors import MissingDependencyError
from edgeship.processes import progress_events
from edgeship.processes.child import FunctionProcess, training_env
from edgeship.processes.environment import matching_variables
from edgeship.train import launch
from edgeship.train.own_data.card import OwnDataCard
from edgeship.train.own_data.protocol import ProtocolOptions
from edgeship.train.own_data.search_results import TuningOptions
from edgeship.train.own_data.sources.source import Source, check_source
from edgeship.train.own_data.trainer import Job, run
from edgeship.train.own_data.tuning.search import check_tuning
from edgeship.types import to_json

# Threads of scikit-learn's trees wait asleep: spinning, they took 100 times as long on a machine with other work.
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}


def _ray_variables(tuning: TuningOptions | None) -> dict[str, str]:
    """What names the cluster to the process that trains; Ray looks in our folder for temporary files, not in its own."""
    if tuning is None or tuning.engine != "ray":
        return {}
    return {"RAY_TMPDIR": tempfile.gettempdir(), **matching_variables(("RAY_*",))}


def train(
    source: Source,
    out: Path,
    *,
    seed: int = 0,
    epochs: int | None = None,
    protocol: ProtocolOptions | None = None,
    tuning: TuningOptions | None = None,
) -> OwnDataCard:
    """Train on a source into the folder `out`; returns the model card.

    Progress goes to standard error. Nothing in `out` changes until all files are ready; others there are left alone.
    What a search tried is kept in `out` at once, so that the same call goes on where one was interrupted.
    Raises InputError where the source cannot be learned from, or `out` cannot be written,
    MissingDependencyError without scikit-learn, or Optuna where it is tuned.
    """
    check_source(source)
    fields = {**asdict(source), "path": str(source.path)}
    return _train(Job(fields, None, str(out), seed, epochs, protocol or ProtocolOptions(), tuning), out)


def train_task(
    task: str, out: Path, *, seed: int = 0, epochs: int | None = None, tuning: TuningOptions | None = None
) -> OwnDataCard:
    """Train a task of `built_in.catalogue`, as `train` does."""
    return _train(Job(None, task, str(out), seed, epochs, ProtocolOptions(), tuning), out)


def _train(job: Job, out: Path) -> OwnDataCard:
    if find_spec("sklearn") is None:
        raise MissingDependencyError("baselines need scikit-learn: pip install 'edgeship[data]'")
    if job.tuning is not None:
        check_tuning(job.tuning)
    with (
        launch.staging_folder(out) as folder,
        progress_events.display_events() as show,
        progress_events.follow_events(folder / progress_events.FILE, show),
        FunctionProcess("train", env={**training_env(), **PASSIVE, **_ray_variables(job.tuning)}) as child,
    ):
        card = child.call(run, job=to_json(job), staging=str(folder))
        launch.put_in_place(folder, out)
    return card

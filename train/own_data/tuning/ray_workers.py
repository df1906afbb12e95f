"""Trials as tasks of a Ray cluster, on whichever node is free.

Every node needs the same edgeship with `edgeship[tensorflow,data,ray]`, and finds the data under the same path, as in a shared
folder: it is read there once a worker. A task whose worker or node is lost is done again elsewhere.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

import ray
from ray.exceptions import RayError

from edgeship.errors import InputError, brief_message
from edgeship.train.own_data.search_results import Trial
from edgeship.train.own_data.tuning.trial import TrialData
from edgeship.train.own_data.tuning.worker import Assignment, run_assignment
from edgeship.train.own_data.tuning.workers import Workers
from edgeship.untrusted import printable

ADDRESS, TRIES = "RAY_ADDRESS", 3


class RayWorkers(Workers):
    """The cluster that `RAY_ADDRESS` names, else the one that runs on this machine."""

    def __init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = os.environ.get(ADDRESS, "auto")
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=True)
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            how = f"`ray start --head` starts one, {ADDRESS} names another"
            reason = printable(brief_message(error, 200))
            raise InputError(f"no Ray cluster at {printable(address)} ({reason}); {how}") from error
        self.count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task: Any = ray.remote(run_assignment).options(max_retries=TRIES, num_cpus=1)

    def submit(self, assignment: Assignment, trial_data: TrialData) -> Future[Trial]:
        """See `Workers`."""
        future: Future[Trial] = self._task.remote(assignment).future()
        return future

    def close(self, *, after_failure: bool) -> None:
        """See `Workers`; the cluster goes on."""
        ray.shutdown()

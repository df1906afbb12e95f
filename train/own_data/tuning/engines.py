"""Where trials run, by the name of an engine: on this machine, or on a Ray cluster."""

from __future__ import annotations

from edgeship.train.own_data.search_results import TuningOptions
from edgeship.train.own_data.tuning.trial import Tell
from edgeship.train.own_data.tuning.workers import Processes, ThisProcess, Workers

ENGINES = ("local", "ray")


def open_workers(options: TuningOptions, tell: Tell) -> Workers:
    """The workers of an engine (see `search.check_tuning`). Raises InputError where no cluster answers."""
    if options.engine == "local":
        return ThisProcess(tell) if options.processes == 1 else Processes(options.processes)
    from edgeship.train.own_data.tuning.ray_workers import RayWorkers

    return RayWorkers()

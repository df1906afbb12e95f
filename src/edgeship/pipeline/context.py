"""What a command that reads models and writes bundles works with: the bundle's draft, a queue of steps, processes, the cache."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from edgeship.bundle import bundle as bundles
from edgeship.errors import MissingDependencyError
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.step_queue import StepQueue
from edgeship.processes.executors import PipelineExecutors
from edgeship.progress import Progress
from edgeship.server_model import model_files
from edgeship.storage import cache


@dataclass(frozen=True)
class PipelineContext:
    """What the steps of one command share.

    `draft` is the bundle being written; with `retry`, times that the machine was too busy for are taken again.
    """

    draft: Path
    queue: StepQueue
    retry: bool = False

    @property
    def executors(self) -> PipelineExecutors:
        """The processes of this command."""
        return self.queue.executors

    @property
    def progress(self) -> Progress:
        """Where to say what is going on."""
        return self.queue.progress

    @property
    def cache(self) -> cache.Cache:
        """Where results are kept."""
        return self.queue.cache


def runs_server_models() -> bool:
    """Whether this installation holds what runs a server model; without it no artifact can be compared with one."""
    return find_spec("tensorflow") is not None


@contextlib.contextmanager
def open_draft(out: Path, *, retry: bool = False, store: cache.Cache | None = None) -> Iterator[PipelineContext]:
    """What a command needs to write a bundle to `out`; the draft takes that place at the end, unless there was an error."""
    with bundles.replace_bundle(out) as draft, open_queue(store) as queue:
        yield PipelineContext(draft, queue, retry)


@contextlib.contextmanager
def open_queue(store: cache.Cache | None = None) -> Iterator[StepQueue]:
    """A queue of steps with its processes, cache (the user's, where `store` is none) and progress."""
    store = store or cache.Cache()
    store.prune()
    with Progress() as progress, PipelineExecutors() as executors, StepQueue(executors, store, progress) as queue:
        yield queue


def check_model(model: Path) -> None:
    """Refuse at once what is no model, before TensorFlow is started to read it."""
    if not runs_server_models():
        raise MissingDependencyError("reading a model needs TensorFlow: pip install 'edgeship[all]'")
    model_files.check_kind(model)

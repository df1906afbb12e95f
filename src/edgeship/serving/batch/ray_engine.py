"""Chunks scored by the tasks of a Ray cluster, on whichever node is free. Rows are read and written by this process alone.

Every node needs the same edgeship with `edgeship[ray]` and the artifact's runtime. A task whose worker or node is lost is done
again elsewhere.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from edgeship.errors import EdgeshipError, InputError, ProcessError, brief_message
from edgeship.runtimes.session import Session, open_session
from edgeship.serving.batch.scoring import Chunk, Scored, Scoring
from edgeship.storage import digest
from edgeship.untrusted import printable, tree_files

ADDRESS, TRIES = "RAY_ADDRESS", 10
_sessions: dict[str, Session] = {}  # of a Ray worker process, by the digest of the model


class RayEngine:
    """The cluster that `RAY_ADDRESS` names, else the one that runs on this machine."""

    def __init__(self, scoring: Scoring, model: Path) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = os.environ.get(ADDRESS, "auto")
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=True)
        except (ConnectionError, ValueError, RuntimeError) as error:
            how = f"`ray start --head` starts one, {ADDRESS} names another"
            raise InputError(f"no Ray cluster at {printable(address)} ({_reason(error)}); {how}") from error
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        files = {name: path.read_bytes() for name, path in tree_files(model).items()} if model.is_dir() else None
        content = {model.name: model.read_bytes()} if files is None else files
        self._model = ray.put((digest.of_path(model), model.name if files is None else "", content))
        self._scoring = ray.put(scoring)
        self._task = ray.remote(score_chunk).options(max_retries=TRIES, num_cpus=1)

    def warm(self) -> None:
        """See `scoring.Engine`; the cluster runs already."""

    def submit(self, chunk: Chunk) -> Any:
        """See `scoring.Engine`."""
        return self._task.remote(self._scoring, self._model, chunk)

    def wait(self, token: Any) -> Scored:
        """See `scoring.Engine`."""
        try:
            scored: Scored = ray.get(token)
            return scored
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, EdgeshipError):
                raise type(cause)(str(cause)) from error
            raise ProcessError(f"a task of Ray failed ({_reason(error)})") from error
        except RayError as error:
            text = "what is written stays, the same command goes on from there"
            raise ProcessError(f"the Ray cluster lost a task {TRIES + 1} times ({_reason(error)}); {text}") from error

    def close(self) -> None:
        """See `scoring.Engine`; the cluster goes on."""
        ray.shutdown()


def score_chunk(scoring: Scoring, model: tuple[str, str, Mapping[str, bytes]], chunk: Chunk) -> Scored:
    """A task: the session of its worker process scores the chunk."""
    content, name, files = model
    if content not in _sessions:
        folder = Path(tempfile.mkdtemp(prefix="edgeship-ray-"))
        for place, data in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(data)
        _sessions[content] = open_session(scoring.runtime, folder / name)
    return scoring.score(_sessions[content], chunk)


def _reason(error: BaseException) -> str:
    return printable(brief_message(str(error).strip().splitlines()[-1] if str(error).strip() else error, 200))

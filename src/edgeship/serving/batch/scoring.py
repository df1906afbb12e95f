"""Chunks of rows through an artifact: many at once, each in a process that holds a session of its own."""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.runtimes.session import Session, open_session
from edgeship.serving.batch.counts import Counts, RunCounter
from edgeship.serving.batch.rows.columns import InputColumns
from edgeship.serving.batch.rows.encode import check_rows, encode_rows
from edgeship.serving.batch.rows.outputs import OutputColumns, fill_columns
from edgeship.serving.batch.survey import digest_rows, read_keys


@dataclass(frozen=True)
class Scoring:
    """All that is needed to score rows, wherever that is: `tensors` are the artifact's names of the model's inputs."""

    inputs: tuple[InputColumns, ...]
    outputs: tuple[OutputColumns, ...]
    tensors: Mapping[str, str]
    key: str
    runtime: str
    counter: RunCounter | None

    def score(self, session: Session, chunk: Chunk) -> Scored:
        """The predictions of a chunk. Raises InputError where its rows are not those of the survey."""
        keys = read_keys(chunk.rows, self.key, chunk.first)
        encoded = check_rows(self.inputs, chunk.rows, chunk.first)
        if digest_rows(self.inputs, chunk.rows, keys, encoded) != chunk.digest:
            raise InputError("the source was changed while it was read; run the command again")
        missing = [columns for columns in self.inputs if columns.item.name not in encoded]
        encoded |= encode_rows(missing, chunk.rows, chunk.first)
        answers = session.run({self.tensors[name]: array for name, array in encoded.items()})
        by_output = {item.item.name: answers[item.tensor] for item in self.outputs}
        counts = self.counter.count(encoded, by_output) if self.counter else {}
        return Scored(fill_columns(self.outputs, keys, answers), counts)


@dataclass(frozen=True)
class Scored:
    """Keys and predictions as a record batch, and their counts."""

    rows: Any
    counts: Counts


@dataclass(frozen=True)
class Chunk:
    """Rows of a source: the chunk's number, the number of its first row (from 1), and the digest that a survey found."""

    number: int
    first: int
    rows: Any
    digest: str


class Engine(Protocol):
    """Where chunks are scored."""

    workers: int

    def warm(self) -> None:
        """Begin to prepare for many chunks; called again and again it does so once."""

    def submit(self, chunk: Chunk) -> Any:
        """Begin with a chunk; a token for `wait`."""

    def wait(self, token: Any) -> Scored:
        """The predictions of a chunk (`Scoring.score`). Raises what scoring raised."""

    def close(self) -> None:
        """End what runs."""


def score_chunks(engine: Engine, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Scored]]:
    """Each chunk with its predictions, in order. Few are under way at once, so that memory does not grow with the source."""
    under_way: deque[tuple[Chunk, Any]] = deque()
    for chunk in chunks:
        under_way.append((chunk, engine.submit(chunk)))
        if len(under_way) > engine.workers + 1:
            done, token = under_way.popleft()
            yield done, engine.wait(token)
    while under_way:
        done, token = under_way.popleft()
        yield done, engine.wait(token)


class LocalEngine:
    """The machine here: a thread a core, each with a session, whose worker is a process that starts when it is needed."""

    def __init__(self, scoring: Scoring, model: Path) -> None:
        self.workers = count_cores()
        self._scoring, self._model = scoring, model
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._sessions: list[Session] = []
        self._is_warm = False
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="score")

    def warm(self) -> None:
        """Start all workers, while something else is done."""
        if not self._is_warm:
            self._is_warm = True
            for _ in range(self.workers):
                self._threads.submit(lambda: self._idle.put(self._open_session()))

    def _open_session(self) -> Session:
        session = open_session(self._scoring.runtime, self._model)
        self._sessions.append(session)
        return session

    def submit(self, chunk: Chunk) -> Future[Scored]:
        """See `Engine`."""
        return self._threads.submit(self._score, chunk)

    def wait(self, token: Future[Scored]) -> Scored:
        """See `Engine`."""
        return token.result()

    def _score(self, chunk: Chunk) -> Scored:
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = self._open_session()
        try:
            return self._scoring.score(session, chunk)
        finally:
            self._idle.put(session)

    def close(self) -> None:
        """See `Engine`."""
        self._threads.shutdown(cancel_futures=True)
        with ThreadPoolExecutor(self.workers) as threads:  # each waits for its process to end
            list(threads.map(Session.close, self._sessions))


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

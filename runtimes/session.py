"""A model opened in a runtime's own worker process: outputs, and the figures that a measurement needs.

`with open_session("litert", Path("model.tflite")) as session: outputs = session.run({"image": images})`
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from edgeship.bundle.figures.measurement import MemoryUse, OperatorTimes, Throttling
from edgeship.bundle.metric import Count, Number
from edgeship.data import Array, Batch
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import bridging, registry
from edgeship.runtimes import tensors as io
from edgeship.runtimes.worker_client import Message, WorkerChild
from edgeship.runtimes.worker_pool import Pool
from edgeship.typed_json import convert
from edgeship.types import Bridge, TensorSpec
from edgeship.untrusted import damage_as_input_error

# Seconds that a worker may stay silent before it counts as hung.
TIMEOUT = 600.0


@dataclass(frozen=True)
class QueryTimes:
    """Latencies of single queries in ms, as they were sent by an `engine`: `loadgen` or `loop`.

    From LoadGen comes whether the run is `valid` (else the `reason`) and its own estimate of the 90th percentile. In a
    browser a sample may be the mean of `queries_per_sample`, and the processor throttled.
    """

    samples_ms: tuple[float, ...]
    engine: str
    valid: bool | None = None
    early_stopping_p90_ms: Number | None = None
    reason: str = ""
    queries_per_sample: Count | None = None
    throttle: Throttling | None = None


@dataclass(frozen=True)
class RateTrial:
    """Questions at a `rate` a second, `n` in all: whether their 99th percentile is surely within the limit, and what it was."""

    rate: Number
    valid: bool
    p99_ms: Number
    n: Count


@dataclass(frozen=True)
class HighestRate:
    """The highest `rate` a second at which a server kept p99 within `limit_ms` for so many `clients`; 0 where none did."""

    rate: Number
    limit_ms: Number
    clients: Count
    trials: tuple[RateTrial, ...] = ()


class Session:
    """One model in one worker; a context manager. `run` checks what it is given, `_infer_batch` does it.

    With a `bridge` the tensors have the names and axes of the server model, and not those of the file.

    Attributes: `inputs`, `outputs` (as the artifact holds them: quantized ones say so), `load_ms` (opening the model
    until it is ready to run, without importing the runtime), `version` (of the runtime that really runs), `engine`
    (what the runtime says of itself: threads, execution providers, backend), `sample` (what latency is measured on),
    `timeout` (seconds that the worker may stay silent).
    """

    def __init__(
        self,
        runtime: str,
        child: WorkerChild,
        description: Mapping[str, Any],
        timeout: float,
        bridge: Bridge | None = None,
    ) -> None:
        self.runtime, self._bridge = runtime, bridge
        self.inputs = bridging.describe_tensors(map(TensorSpec.from_json, description["inputs"]), bridge)
        self.outputs = bridging.describe_tensors(map(TensorSpec.from_json, description["outputs"]), bridge)
        self.load_ms = float(description["load_ms"])
        self.version = str(description["version"])
        self.engine: Mapping[str, Any] = description["engine"]
        self.sample: Batch = {}
        self._child = child
        self.timeout = timeout
        self.kept: tuple[Pool, registry.Launch] | None = None
        self._first_ms: float | None = None

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    def run(self, feeds: Mapping[str, Array], *, raw: bool = False) -> Batch:
        """The outputs by name for a batch of any size: real numbers in and out, or the artifact's dtypes where `raw`.

        Raises InputError where names, shapes or dtypes do not fit the model, ProcessError where the worker fails.
        """
        ready = io.check_feeds(feeds, self.inputs, self.runtime, raw=raw)
        return io.restore_outputs(self._infer_batch(ready), self.outputs, raw=raw)

    def _infer_batch(self, feeds: Batch) -> Batch:
        answer = self._child.request({"do": "run"}, bridging.to_file(feeds, self._bridge), timeout=self.timeout)[1]
        return bridging.from_file(answer, self._bridge)

    def evaluate(self, batches: Iterator[Mapping[str, Array]], batch: int, *, raw: bool = False) -> Batch:
        """The outputs of a whole stream, at most `batch` samples at a time, concatenated along the first axis.

        Reading and quantizing the next batch overlaps with the inference of this one.
        """
        return io.restore_outputs(self.evaluate_stored(batches, batch, raw=raw), self.outputs, raw=raw)

    def evaluate_stored(self, batches: Iterator[Mapping[str, Array]], batch: int, *, raw: bool = False) -> Batch:
        """As `evaluate`, with the outputs as the artifact stores them: quantized ones as integers."""
        if batch < 1:
            raise InputError(f"the batch size must be at least 1, got {batch}")
        io.check_numbers(self.outputs)
        parts = self._child.stream(self._request_messages(batches, batch, raw), self.timeout)
        if not parts:
            raise InputError(f"{self.runtime}: no sample to evaluate")
        return io.join_batches([bridging.from_file(part, self._bridge) for part in parts], self.outputs)

    def dequantize(self, stored: Mapping[str, Array]) -> Batch:
        """The real numbers that stored outputs stand for."""
        return io.restore_outputs(stored, self.outputs, raw=False)

    def _request_messages(self, batches: Iterator[Mapping[str, Array]], batch: int, raw: bool) -> Iterator[Message]:
        for feeds in batches:
            ready = io.check_feeds(feeds, self.inputs, self.runtime, raw=raw)
            for piece in io.split_batch(ready, self.inputs, batch):
                yield {"do": "run"}, bridging.to_file(piece, self._bridge)

    @property
    def first_ms(self) -> float:
        """Milliseconds of the first inference, on `sample`; ask before anything else has run."""
        if self._first_ms is None:
            self._first_ms = self.infer_once()
        return self._first_ms

    def infer_once(self) -> float:
        """Run the model once on `sample`; the milliseconds that it took."""
        answer, _ = self._child.request({"do": "first"}, self._checked_sample(), timeout=self.timeout)
        return float(answer["first_ms"])

    def memory(self) -> MemoryUse:
        """The peak since loading began, and what was held before it with the runtime imported.

        Both are None where the system does not tell them; `method` says so.
        What LoadGen holds in memory during `latency` is not part of it.
        """
        return convert(MemoryUse, self._child.request({"do": "memory"}, timeout=self.timeout)[0])

    def latency(self, min_seconds: float, min_queries: int) -> QueryTimes:
        """Steady latency at batch 1, MLPerf's SingleStream: ends when both limits are met."""
        # The slowest of plausible runs: every query as slow as the first one, several times over.
        timeout = self.timeout + 4 * (min_seconds + min_queries * self.first_ms / 1000)
        header = {"do": "latency", "min_seconds": min_seconds, "min_queries": min_queries}
        answer, arrays = self._child.request(header, self._checked_sample(), timeout=timeout)
        return convert(QueryTimes, {**answer, "samples_ms": arrays["samples_ms"].tolist()})

    def highest_rate(self, limit_ms: float, seconds: float, clients: int) -> HighestRate:
        """Of a server: questions on `sample` a second (MLPerf's Server scenario) that keep their p99 within a limit.

        Trials take `seconds` each, 20 times the limit, and 662 questions at least. Raises ProcessError for models that are no
        server's.
        """
        header = {"do": "server", "limit_ms": limit_ms, "seconds": seconds, "clients": clients}
        answer, _ = self._child.request(
            header, self._checked_sample(), timeout=self.timeout + 60 * max(seconds, limit_ms / 50)
        )
        return convert(HighestRate, answer)

    def count(self, inferences: int) -> None:
        """Run `sample` that often, with marks around each inference for an emulator that counts instructions."""
        self._child.request({"do": "count", "inferences": inferences}, self._checked_sample(), timeout=self.timeout)

    def profile(self) -> OperatorTimes:
        """Time per operator on `sample`, by the runtime's own profiler. Raises ProcessError where it has none."""
        answer, _ = self._child.request({"do": "profile"}, self._checked_sample(), timeout=self.timeout)
        return convert(OperatorTimes, answer)

    def block(self, seconds: float) -> list[float]:
        """Milliseconds of each query of `seconds` (at least one query): a block of an interleaved comparison."""
        _, arrays = self._child.request(
            {"do": "block", "seconds": seconds}, self._checked_sample(), timeout=self.timeout + 4 * seconds
        )
        samples: list[float] = arrays["samples_ms"].tolist()
        return samples

    def _checked_sample(self) -> Batch:
        return bridging.to_file(io.check_feeds(self.sample, self.inputs, self.runtime, raw=False), self._bridge)

    def close(self) -> None:
        """End the worker."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self.kept and kind is None:
            pool, launch = self.kept
            pool.give(launch, self._child)
        else:
            self.close()


def open_session(
    runtime: str,
    path: Path,
    *,
    threads: int | None = 1,
    sample: Mapping[str, Array] | None = None,
    outputs: Sequence[TensorSpec] | None = None,
    python: str = "",
    timeout: float = TIMEOUT,
    options: Mapping[str, Any] | None = None,
    launch: registry.Launch | None = None,
    pool: Pool | None = None,
    bridge: Bridge | None = None,
) -> Session:
    """Start a worker and load a model in it.

    `threads` None means one per core. `sample` (first sample of a batch) is what latency is measured on; made up where
    None. `outputs` sets the order of the outputs (matched by name). `python` is another interpreter to run the worker
    with, `launch` a device's way to start it, `pool` keeps the worker for later. `bridge` is that of
    a stranger's file. `options` go to the server model's loader
    (`keras` only): custom_objects, signature, allow_unsafe.

    Raises InputError for an unknown runtime or a missing file, MissingDependencyError where the runtime is not here,
    ProcessError where it cannot load the model. InputError too for a model whose inputs and outputs are none.
    """
    if launch is None:
        launch = registry.find(runtime).launch() if not python else registry.python_launch(runtime, python)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    child = pool.take(launch, runtime) if pool else WorkerChild(launch.command, env=launch.env, name=runtime)
    try:
        where = launch.upload(path) if launch.upload else os.fspath(path.resolve())
        header = {"do": "load", "path": where, "threads": threads or os.cpu_count() or 1}
        wanted = (
            {"tensors": list(bridge.names.values())} if bridge else {}
        )  # other outputs may be text, which none carries
        description, _ = child.request({**header, "options": {**(options or {}), **wanted}}, timeout=timeout)
        with damage_as_input_error(path):  # what the runtime says of a damaged file may be no tensor at all
            session = Session(runtime, child, description, timeout, bridge)
            session.kept = (pool, launch) if pool else None
            session.outputs = _order_outputs(session.outputs, outputs, runtime)
            session.sample = io.one_sample(sample or io.made_up(session.inputs), session.inputs)
    except BaseException:
        child.close()
        raise
    return session


def _order_outputs(
    outputs: Sequence[TensorSpec], order: Sequence[TensorSpec] | None, runtime: str
) -> tuple[TensorSpec, ...]:
    by_name = {spec.name: spec for spec in outputs}
    if order is None:
        return tuple(outputs)
    if {spec.name for spec in order} != set(by_name):
        names = ", ".join(spec.name for spec in order)
        raise InputError(f"{runtime}: the model gives outputs {', '.join(by_name)}, expected {names}")
    return tuple(by_name[spec.name] for spec in order)

"""A model in its runtime, in this process or in a worker, looked at before it is trusted with batches."""

from __future__ import annotations

import importlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Array, Batch
from edgeship.errors import EdgeshipError, InputError, brief_message
from edgeship.runtimes import bridging, tensors
from edgeship.runtimes.worker.batching import fixed_batch, run_batch
from edgeship.runtimes.worker_client import WorkerChild
from edgeship.serving.rest.host.protocol.payload import DATATYPES
from edgeship.serving.rest.plan import ModelPlan, Worker
from edgeship.types import TensorSpec

LOAD_SECONDS, RUN_SECONDS = 600.0, 600.0
# Samples of one answer may not depend on their neighbours: the most that summing in another order does to float32.
SAME = 1e-4
FAST_SECONDS = 1e-3  # what takes less is not worth a change of threads
PROBED = 3
Run = Callable[[Batch], Batch]


class InsideModel:
    """A model in this process. LiteRT gets an interpreter for each size of batch that is common, as resizing one takes longer."""

    def __init__(self, plan: ModelPlan, threads: int, sizes: Sequence[int]) -> None:
        module = importlib.import_module(f"edgeship.runtimes.engines.{plan.runtime}")
        backend = module.open_backend()
        self._open: Callable[[], Any] = lambda: backend.load(plan.path, threads, {})
        self._free = self._open()
        self.inputs, self.outputs = list(self._free.inputs), list(self._free.outputs)
        self.version = str(backend.VERSION)
        self._sized: dict[int, Any] = {}
        self._sizes = tuple(sizes) if plan.runtime == "litert" and fixed_batch(self.inputs) is None else ()

    def run(self, feeds: Batch) -> Batch:
        """The outputs under the file's names and dtypes."""
        count = _count(feeds)
        if count not in self._sizes:
            return run_batch(self._free, feeds)
        if count not in self._sized:
            self._sized[count] = self._open()
        result: Batch = self._sized[count].run(feeds)
        return result

    def close(self) -> None:
        """Let the model go."""
        self._sized, self._free = {}, None


class WorkerModel:
    """A model in a worker process, which is started again where it died."""

    def __init__(self, plan: ModelPlan, worker: Worker, threads: int) -> None:
        self._plan, self._worker, self._threads = plan, worker, threads
        self._child = self._start()

    def _start(self) -> WorkerChild:
        child = WorkerChild(self._worker.command, env=self._worker.env, name=self._plan.runtime)
        load = {"do": "load", "path": self._plan.path, "threads": self._threads, "options": dict(self._plan.options)}
        try:
            described, _ = child.request(load, timeout=LOAD_SECONDS)
        except BaseException:
            child.close()
            raise
        self.inputs, self.outputs, self.version = described["inputs"], described["outputs"], str(described["version"])
        return child

    def run(self, feeds: Batch) -> Batch:
        """The outputs under the file's names and dtypes."""
        try:
            return self._child.request({"do": "run"}, feeds, timeout=RUN_SECONDS)[1]
        except EdgeshipError as error:
            if getattr(error, "died", False):
                self._child.close()
                self._child = self._start()
            raise

    def close(self) -> None:
        """End the process."""
        self._child.close()


class Engine:
    """A loaded model under the server model's names: `inputs`, `outputs`, and what it may be asked in one go.

    `batch`: the most samples of different requests that are answered together, 1 where an answer would depend on its
    neighbours or the file has a batch of its own (`batch_reason` says which).
    """

    def __init__(self, plan: ModelPlan, threads: int, batch: int) -> None:
        self.plan = plan
        self._sizes = common_sizes(batch)
        self._model = (
            InsideModel(plan, threads, self._sizes) if plan.worker is None else WorkerModel(plan, plan.worker, threads)
        )
        self.version = self._model.version
        self.inputs = bridging.describe_tensors(map(TensorSpec.from_json, self._model.inputs), plan.bridge)
        self.outputs = bridging.describe_tensors(map(TensorSpec.from_json, self._model.outputs), plan.bridge)
        check_datatypes((*self.inputs, *self.outputs))
        self.batched = tensors.batched_inputs(self.inputs)
        self._lock = threading.Lock()
        self.batch, self.batch_reason = batch, ""
        self._seconds = {1: math.inf}
        try:
            samples = probing_samples(plan, self.inputs)
            self._look_at_batches(samples)
            self._seconds = {count: self._measure(samples, count) for count in {1, self.batch}}
        except (
            EdgeshipError,
            RuntimeError,
            ValueError,
        ) as error:  # a bundle without goldens, and a sample made up badly
            self.batch, self.batch_reason = 1, f"it failed on the samples that were tried ({brief_message(error)})"

    def prepare(self, feeds: Mapping[str, Array]) -> Batch:
        """The feeds as the artifact takes them. Raises InputError for names, shapes and dtypes that do not fit."""
        return tensors.check_feeds(feeds, self.inputs, self.plan.name, raw=False)

    def fitting_size(self, samples: int) -> int:
        """How many of so many waiting samples go together best."""
        if self.batch == 1:
            return 1
        sizes = self._sizes if self.plan.runtime == "litert" else (samples,)
        return max((size for size in sizes if size <= min(samples, self.batch)), default=self.batch)

    def is_fast(self, samples: int) -> bool:
        """Whether so many samples take less than FAST_SECONDS, and are answered in the thread that reads requests."""
        if self.plan.worker is not None or samples > self.batch:
            return False
        share = (samples - 1) / max(self.batch - 1, 1)
        return self._seconds[1] + share * (self._seconds[self.batch] - self._seconds[1]) < FAST_SECONDS

    def run(self, prepared: Batch) -> Batch:
        """The outputs of a prepared batch as real numbers."""
        with self._lock:
            stored = self._model.run(bridging.to_file(prepared, self.plan.bridge))
        return tensors.restore_outputs(bridging.from_file(stored, self.plan.bridge), self.outputs, raw=False)

    def close(self) -> None:
        """Let the model go, once what runs has ended."""
        with self._lock:
            self._model.close()

    def _look_at_batches(self, samples: Batch) -> None:
        """Set `batch` to 1 where samples may not be answered together: found by answering some together and one by one."""
        if self.batch == 1:
            self.batch_reason = "it is not asked for"
        elif len(self.batched) != len(self.inputs):
            self.batch, self.batch_reason = 1, "an input has no batch axis"
        elif self.plan.worker is None and fixed_batch(self._model.inputs) is not None:
            self.batch, self.batch_reason = 1, "the file has a batch of its own"
        else:
            alone = [self.run(self.prepare(take(samples, at, at + 1))) for at in range(PROBED)]
            together = self.run(self.prepare(samples))
            apart = tensors.join_batches(alone, self.outputs)
            for name, expected in apart.items():
                if together[name].shape != expected.shape or difference(together[name], expected) > SAME:
                    self.batch, self.batch_reason = 1, f"its answers depend on what is asked with them ({name})"
                    return

    def _measure(self, samples: Batch, count: int) -> float:
        """The seconds that so many samples take on a machine that does nothing else: the shortest of some runs."""
        feeds = take(samples, 0, 1)
        if count > 1:
            feeds = {name: np.repeat(array, count, axis=0) for name, array in feeds.items()}
        prepared, times = self.prepare(feeds), []
        for _ in range(5):
            start = time.perf_counter()
            self.run(prepared)
            times.append(time.perf_counter() - start)
        return min(times)


def check_datatypes(specs: Sequence[TensorSpec]) -> None:
    """Raise InputError for a tensor that the protocol cannot carry: complex numbers, texts, types of less than 8 bits."""
    for spec in specs:
        if spec.dtype not in DATATYPES:
            raise InputError(f"'{spec.name}' is {spec.dtype}, which the protocol does not have")


def common_sizes(batch: int) -> tuple[int, ...]:
    """The sizes that batches are made of: powers of 4 below `batch`, and `batch` itself."""
    sizes = [4**power for power in range(8) if 4**power < batch]
    return (*sizes, batch)


def take(feeds: Batch, start: int, end: int) -> Batch:
    """Samples `start` to `end`; what has no batch axis stays whole."""
    return {name: array[start:end] if array.ndim else array for name, array in feeds.items()}


def difference(values: Array, expected: Array) -> float:
    """The largest difference, relative to the range of what is expected; infinite where one is NaN and the other is not."""
    if values.dtype.kind != "f":
        return 0.0 if np.array_equal(values, expected) else float("inf")
    same = np.isnan(values) == np.isnan(expected)
    if not same.all():
        return float("inf")
    finite = np.isfinite(expected)
    if not finite.any():
        return 0.0
    span = max(float(np.ptp(expected[finite])), float(np.abs(expected[finite]).max()), 1e-6)
    return float(np.abs(values[finite] - expected[finite]).max()) / span


def probing_samples(plan: ModelPlan, inputs: Sequence[TensorSpec]) -> Batch:
    """Three samples of very different size: ranges that are taken over a whole batch show by them.

    They are the bundle's goldens where it has some, each scaled.
    """
    made_up = tensors.made_up(inputs)
    file = Path(plan.bundle) / "goldens" / "inputs.npz"
    goldens: Batch = {}
    if file.exists():
        with np.load(file, allow_pickle=False) as stored:
            goldens = {spec.name: stored[spec.name] for spec in inputs if spec.name in stored.files}
    feeds: Batch = {}
    for spec in inputs:
        samples = goldens.get(spec.name, made_up[spec.name])
        if not spec.shape:
            feeds[spec.name] = samples
            continue
        chosen = samples[np.arange(PROBED) % len(samples)]
        if chosen.dtype.kind == "f":
            scales = np.array([1.0, 0.1, 0.01], chosen.dtype)
            chosen = chosen * scales.reshape(-1, *[1] * (chosen.ndim - 1))
        feeds[spec.name] = chosen
    if not feeds:
        raise InputError(f"{plan.name}: the model has no input")
    return feeds


def _count(feeds: Batch) -> int:
    first = next(iter(feeds.values()))
    return len(first) if first.ndim else 1

"""Runs every artifact on a few inputs when it is made: what it gives, and how far other right kernels lie from that.

A runtime may compute one file with several sets of kernels: XNNPACK's, TFLite's built-in ones, the reference ones. All of
them are right, and an app may meet any. So the tolerance of the goldens is measured, not assumed: the file is replayed
with every set of kernels at hand.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from edgeship.benchmarks.measure import failure_reasons
from edgeship.benchmarks.measure.benchmark import batch_size
from edgeship.bundle import goldens
from edgeship.bundle.manifest import GoldenRun
from edgeship.data import Batch, RepresentativeDataset, load, save
from edgeship.errors import EdgeshipError, ProcessError, brief_message
from edgeship.formats import runtime_errors
from edgeship.formats.formats import FORMATS
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.conversion.source import ConversionResult, ConvertedArtifact
from edgeship.pipeline.golden_inputs import GoldenInputs
from edgeship.pipeline.step_queue import StepTools
from edgeship.runtimes import registry, tensors
from edgeship.runtimes.session import Session, open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.types import to_json

# Of 16 goldens of an int8 classifier one in five sets failed on other kernels; 256 samples with a margin of 2: 1 in 800.
# Large inputs are fewer: at least 32, else two batches of what a session takes at once.
SPREAD_SAMPLES, FEWEST_SAMPLES, SPREAD_BATCHES = 256, 32, 2
# A second per image for a large network: these replay a few goldens, and lie near the others of their runtime.
SLOW_KERNELS, SLOW_SAMPLES = ("reference",), 2

# The niceness of runs beside conversions, which are what one waits for.
BEHIND_CONVERSIONS = 15


def _why_not_run(item: ConvertedArtifact) -> str | None:
    """Why the usual runtime of an artifact cannot run it here: it is not here, or the file needs more than it has."""
    return item.receipt.refusal or registry.for_format(item.artifact.format)[0].unavailable_reason()


def _note_refusals(work: StepTools, name: str, runtime: str, spreads: Sequence[goldens.KernelSpread]) -> None:
    """Say which kernels do not run an artifact: an app may have no others."""
    for why in dict.fromkeys(item.reason for item in spreads if item.reason):
        which = " or ".join(item.kernels for item in spreads if item.reason == why)
        work.progress.note(f"{name}: does not run on {runtime}'s {which} kernels ({why})")


def _refusal_result(reason: str) -> dict[str, Any]:
    return {"spread": None, "samples": 0, "reason": brief_message(failure_reasons.shorten_message(reason), 200)}


@dataclass(frozen=True)
class _Run:
    work: StepTools
    converted_artifact: ConvertedArtifact
    runtime: registry.Runtime
    golden: GoldenInputs
    workers: Pool

    def default_outputs(self) -> Batch:
        """The outputs for the goldens."""

        def make(folder: Path) -> None:
            with self._open_session("default") as session:
                save(folder / "outputs.npz", session.run(self.golden.feeds))

        return load(self.work.cache.get("goldens", self._cache_key(), make).path / "outputs.npz")

    def kernel_spread(self, kernels: str) -> goldens.KernelSpread:
        """How far another set of kernels lies from the default one."""

        def make(_: Path) -> Any:
            try:
                return {**self._compare_kernels(kernels, data), "reason": ""}
            except ProcessError as error:
                if error.died:
                    raise
                return _refusal_result(str(error))  # it will not load tomorrow either
            except ValueError as error:  # outputs whose shapes say nothing of samples
                return _refusal_result(f"its outputs cannot be compared: {error}")

        data = self._more_samples(kernels)
        key = {**self._cache_key(), "kernels": kernels, "data": data.digest if data else None}
        try:
            result = self.work.cache.get("kernel-spread", key, make).result
        except ProcessError as error:
            result = _refusal_result(str(error))
        return goldens.KernelSpread(kernels, **result)

    def _compare_kernels(self, kernels: str, data: RepresentativeDataset | None) -> dict[str, Any]:
        """The largest differences from the default kernels, by output, on the same samples: `data`, or some of the goldens."""
        other, own = (self._run_kernels(kernel_set, kernels, data) for kernel_set in (kernels, "default"))
        spread = {name: goldens.largest_error(array, own[name]) for name, array in other.items()}
        if not np.isfinite(list(spread.values())).all():
            return _refusal_result("they disagree on what is NaN or infinite")
        return {"spread": spread, "samples": max((len(array) for array in other.values() if array.ndim), default=1)}

    def _run_kernels(self, kernel_set: str, kernels: str, data: RepresentativeDataset | None) -> Batch:
        """What a `kernel_set` gives for the samples on which they and the other `kernels` are compared."""
        slow = kernels in SLOW_KERNELS
        if kernel_set == "default" and not data and not slow:
            return self.default_outputs()
        with self._open_session(kernel_set) as session:
            if data:
                size = batch_size(self.golden.specs)
                most = min(SPREAD_SAMPLES, max(FEWEST_SAMPLES, SPREAD_BATCHES * size))
                return session.evaluate(data.feeds(self.golden.specs, size, most), size)
            feeds = self.golden.feeds
            few = SLOW_SAMPLES if slow else max(len(array) if array.ndim else 1 for array in feeds.values())
            return session.run(next(tensors.split_batch(feeds, self.golden.specs, few)))

    def _open_session(self, kernels: str) -> Session:
        options = {} if kernels == "default" else {"kernels": kernels}
        artifact = self.converted_artifact.artifact
        session = open_session(
            self.runtime.name, artifact.path, options=options, pool=self.workers, bridge=artifact.bridge
        )
        with contextlib.suppress(AttributeError, OSError):  # not on Windows; what died says so when it is asked
            os.setpriority(os.PRIO_PROCESS, session.pid, BEHIND_CONVERSIONS)
        return session

    def _more_samples(self, kernels: str) -> RepresentativeDataset | None:
        """Where more samples than the goldens are worth their time: sums of floats differ by the same in all of them."""
        rounds = any((self.converted_artifact.receipt.int8_op_share, self.converted_artifact.receipt.hybrid_op_share))
        own = self.golden.without_extra(self.golden.expected)
        batched = all(array.ndim and len(array) == goldens.SAMPLES for array in own.values())
        return self.golden.data if rounds and batched and kernels not in SLOW_KERNELS else None

    def _cache_key(self) -> dict[str, Any]:
        bridge = self.converted_artifact.artifact.bridge
        return {
            "artifact": self.converted_artifact.digest,
            "runtime": self.runtime.identity(),
            "inputs": self.golden.digest,
            **({"bridge": to_json(bridge)} if bridge else {}),
        }


@dataclass(frozen=True)
class _Running:
    """An artifact that is being run: its own outputs, and how far other kernels lie from them."""

    run: _Run
    own: Future[Batch]
    spreads: tuple[Future[goldens.KernelSpread], ...]


class GoldenRuns:
    """Runs each artifact on the goldens as soon as it is made, beside conversions that still go on; a context manager."""

    def __init__(self, work: StepTools, answered: Future[GoldenInputs]) -> None:
        self._work, self._answered = work, answered
        # The runs of one runtime follow one another in few workers: starting one takes longer than most runs.
        few = max(1, (os.cpu_count() or 1) // len(FORMATS))
        self._threads = {file_format: ThreadPoolExecutor(few) for file_format in FORMATS}
        self._workers = Pool()
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._closed = True  # other conversions may still end, and call back
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)
        self._workers.close()

    def follow(self, artifacts: Iterable[Future[ConvertedArtifact]]) -> None:
        """Run artifacts when they are made and the goldens answered; what fails to be made is not run."""
        for future in artifacts:
            future.add_done_callback(self._when_made)

    def _when_made(self, future: Future[ConvertedArtifact]) -> None:
        if not future.cancelled() and not future.exception():
            self._answered.add_done_callback(lambda answered: self._when_answered(future.result(), answered))

    def _when_answered(self, converted_artifact: ConvertedArtifact, golden_future: Future[GoldenInputs]) -> None:
        if not golden_future.cancelled() and not golden_future.exception():
            self._begin_run(converted_artifact, golden_future.result())

    def _begin_run(self, converted_artifact: ConvertedArtifact, golden: GoldenInputs) -> _Running | None:
        """Begin with an artifact, or find what was begun; None where its runtime is not here or all is over."""
        runtime, name = registry.for_format(converted_artifact.artifact.format)[0], converted_artifact.artifact.id
        if _why_not_run(converted_artifact):
            return None
        with self._lock:
            if self._closed:
                return None
            if name not in self._running:
                run = _Run(self._work, converted_artifact, runtime, golden, self._workers)
                threads = self._threads[converted_artifact.artifact.format]
                own = threads.submit(run.default_outputs)
                spreads = (threads.submit(run.kernel_spread, kernels) for kernels in runtime.kernels)
                self._running[name] = _Running(run, own, tuple(spreads))
            return self._running[name]

    def find_failures(self, conversion: ConversionResult) -> dict[str, EdgeshipError]:
        """The errors of artifacts that do not run as they must, by id, once all were run.

        Each must load, give no NaN, and float32 must be the server model.
        """
        golden, errors = self._answered.result(), {}
        for item in conversion.artifacts:
            running, artifact = self._begin_run(item, golden), item.artifact
            try:
                if running:
                    own, exact = running.own.result(), artifact.variant == "float32"
                    goldens.check_alive(artifact, own, golden.expected, exact=exact)
            except EdgeshipError as error:
                layers = runtime_errors.failing_layers(str(error), artifact.path, conversion.server.description.layers)
                errors[artifact.id] = error.about(layers)
        return errors

    def write(self, folder: Path, conversion: ConversionResult) -> dict[str, GoldenRun]:
        """Write the goldens of artifacts that run to a new folder, raw ones to `raw` in it; what the manifest says of each."""
        golden = self._answered.result()
        # A future's callbacks may still be on their way when those who wait for it go on: what they begin is found here.
        runs = {item.artifact.id: self._begin_run(item, golden) for item in conversion.artifacts}
        own = {name: running.own.result() for name, running in runs.items() if running}
        plain = {name: golden.without_extra(outputs) for name, outputs in own.items()}
        goldens.write_goldens(folder, golden.inputs, golden.without_extra(golden.expected), plain)
        if golden.raw and golden.raw.cases:
            golden.raw.write(folder / "raw", golden.expected, own)
        return {
            item.artifact.id: self._describe_run(item, runs[item.artifact.id], golden) for item in conversion.artifacts
        }

    def find_clear(self, runs: Mapping[str, GoldenRun]) -> dict[str, dict[str, list[int]]]:
        """By artifact and output which of all samples that were run have a clear answer; `runs`: as `write` returned them."""
        expected = self._answered.result().expected
        return {
            name: goldens.clear_answers(self._running[name].own.result(), expected, run.tolerance or {})
            for name, run in runs.items()
            if name in self._running
        }

    def _describe_run(
        self, converted_artifact: ConvertedArtifact, running: _Running | None, golden: GoldenInputs
    ) -> GoldenRun:
        artifact = converted_artifact.artifact
        if running is None:
            reason = _why_not_run(converted_artifact)
            self._work.progress.note(f"{artifact.id}: made but not run ({reason})")
            return GoldenRun(None, reason or "")
        own, spreads = running.own.result(), tuple(future.result() for future in running.spreads)
        _note_refusals(self._work, artifact.id, running.run.runtime.title, spreads)
        plain = golden.without_extra(own)
        tolerances = goldens.output_tolerances(artifact, plain, spreads)
        clear = goldens.clear_answers(plain, golden.without_extra(golden.expected), tolerances)
        return GoldenRun(running.run.runtime.name, "", tolerances, clear, spreads)

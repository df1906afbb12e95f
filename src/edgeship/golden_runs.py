"""Runs every artifact on a few inputs when it is made: what it gives, and how far other right kernels lie from that.

A runtime may compute one file with several sets of kernels: XNNPACK's, TFLite's built-in ones, the reference ones. All of
them are right, and an app may meet any. So the tolerance of the goldens is measured, not assumed: the file is replayed
with every set of kernels at hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edgeship import answers, config, goldens
from edgeship.benchmarks import reasons
from edgeship.benchmarks.run import batch_size
from edgeship.conversion import Conversion, Made, ServerModel
from edgeship.convert.probe import probes
from edgeship.data import Batch, RepresentativeDataset, arrays_digest, load, save
from edgeship.errors import EdgeshipError, ProcessError
from edgeship.runtimes import feeds, registry
from edgeship.runtimes.session import open_session

# Of 16 goldens of an int8 classifier one in five sets failed on other kernels; 256 samples with a margin of 2: 1 in 800.
SPREAD_SAMPLES = 256
# A second per image for a large network: these replay a few goldens, and lie near the others of their runtime.
SLOW_KERNELS, SLOW_SAMPLES = ("reference",), 4


@dataclass(frozen=True)
class GoldenInputs:
    """The goldens' inputs with the server model's outputs (arrays of `goldens.SAMPLES`), and where more samples are."""

    inputs: Batch
    expected: Batch
    data: RepresentativeDataset | None


@dataclass(frozen=True)
class GoldenRun:
    """What the manifest says of an artifact's goldens; without a `runtime` it was not run, for `reason`.

    `tolerance`: the largest absolute error that a replay may have, by output, in the output's unit after dequantization.
    `clear`: by output the samples whose answer must be the same on any right kernel. `kernels`: what was replayed.
    """

    runtime: str | None
    reason: str = ""
    tolerance: Mapping[str, float] | None = None
    clear: Mapping[str, list[int]] | None = None
    kernels: tuple[goldens.KernelSpread, ...] = ()


def answer_golden_inputs(
    work: answers.Tools, server: ServerModel, settings: config.Config, data: RepresentativeDataset | None
) -> GoldenInputs:
    """A few inputs, real ones where there is data, and the server model's outputs for them; in the TensorFlow lane."""
    if data:
        inputs = goldens.pick(data, server.inputs)
        return GoldenInputs(inputs, _answer(work, server.path, settings, inputs), data)
    failure = EdgeshipError("no inputs to try")
    for inputs in probes(server.inputs, goldens.SAMPLES):
        try:
            return GoldenInputs(inputs, _answer(work, server.path, settings, inputs), None)
        except EdgeshipError as error:  # a dynamic axis may need another size
            failure = error
    raise failure


def _answer(work: answers.Tools, model: Path, settings: config.Config, inputs: Batch) -> Batch:
    """The server model's outputs for a batch."""

    def make(folder: Path) -> Any:
        save(folder / "inputs.npz", inputs)
        source = settings.data.calibration or "made-up inputs"
        return answers.predict(work, model, settings, folder / "inputs.npz", folder, None, source)

    key = {**answers.server_key(model, settings), "inputs": arrays_digest(inputs)}
    return load(work.cache.get("golden-answers", key, make).path / "outputs.npz")


def write_goldens(
    work: answers.Tools, draft: Path, conversion: Conversion, golden: GoldenInputs, places: Mapping[str, Path]
) -> dict[str, GoldenRun]:
    """Run every artifact (by id at `places`): it must load, give no NaN, and float32 must be the server model.

    Writes the bundle's goldens. Raises CheckError where an artifact's outputs cannot be the server model's.
    """
    made = {item.artifact.id: item for item in conversion.made}
    runtimes = {name: registry.for_format(item.artifact.format)[0] for name, item in made.items()}
    absent = {name: reason for name, runtime in runtimes.items() if (reason := runtime.unavailable())}
    for name, reason in absent.items():
        work.progress.note(f"{name}: made but not run ({reason})")
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def submit(name: str) -> tuple[Future[Batch], list[Future[goldens.KernelSpread]]]:
            run = _Run(work, made[name], runtimes[name], places[name], golden, conversion.server)
            own = pool.submit(run.once)
            return own, [pool.submit(run.spread, kernels) for kernels in runtimes[name].kernels]

        running = {name: submit(name) for name in made if name not in absent}
        own = {name: future.result() for name, (future, _) in running.items()}
        for name, outputs in own.items():
            artifact = made[name].artifact
            goldens.check_alive(artifact, outputs, golden.expected, exact=artifact.variant == "float32")
        spreads = {name: tuple(future.result() for future in futures) for name, (_, futures) in running.items()}
    goldens.write(draft / "goldens", golden.inputs, golden.expected, own)
    runs = {name: GoldenRun(None, reason) for name, reason in absent.items()}
    for name, outputs in own.items():
        _note_refusals(work, name, runtimes[name].title, spreads[name])
        allowed = goldens.tolerance(made[name].artifact, outputs, spreads[name])
        clear = goldens.clear_answers(outputs, golden.expected, allowed)
        runs[name] = GoldenRun(runtimes[name].name, "", allowed, clear, spreads[name])
    return runs


def _note_refusals(work: answers.Tools, name: str, runtime: str, spreads: Sequence[goldens.KernelSpread]) -> None:
    """Say which kernels do not run an artifact: an app may have no others."""
    for why in dict.fromkeys(item.reason for item in spreads if item.reason):
        which = " or ".join(item.kernels for item in spreads if item.reason == why)
        work.progress.note(f"{name}: does not run on {runtime}'s {which} kernels ({why})")


def _refused(error: ProcessError) -> dict[str, Any]:
    return {"spread": None, "samples": 0, "reason": reasons.short(str(error))[:200]}


@dataclass(frozen=True)
class _Run:
    work: answers.Tools
    made: Made
    runtime: registry.Runtime
    path: Path
    golden: GoldenInputs
    server: ServerModel

    def once(self) -> Batch:
        """The outputs for the goldens."""

        def make(folder: Path) -> None:
            with open_session(self.runtime.name, self.path) as session:
                save(folder / "outputs.npz", session.run(self.golden.inputs))

        return load(self.work.cache.get("goldens", self._key(), make).path / "outputs.npz")

    def spread(self, kernels: str) -> goldens.KernelSpread:
        """How far another set of kernels lies from the default one."""

        def make(_: Path) -> Any:
            try:
                return {**self._compare(kernels, data), "reason": ""}
            except ProcessError as error:
                if error.died:
                    raise
                return _refused(error)  # it will not load tomorrow either

        data = self._more_samples(kernels)
        key = {**self._key(), "kernels": kernels, "data": data.digest if data else None}
        try:
            result = self.work.cache.get("kernel-spread", key, make).result
        except ProcessError as error:
            result = _refused(error)
        return goldens.KernelSpread(kernels, **result)

    def _compare(self, kernels: str, data: RepresentativeDataset | None) -> dict[str, Any]:
        """The largest differences from the default kernels, by output: on `data`, else on the goldens or the first of them."""
        size = batch_size(self.server.inputs)
        with open_session(self.runtime.name, self.path, options={"kernels": kernels}) as session:
            other = session.evaluate(self._samples(kernels, data, size), size)
        if data is None:
            own = self.once()
        else:
            with open_session(self.runtime.name, self.path) as session:
                own = session.evaluate(self._samples(kernels, data, size), size)
        spread = {name: goldens.distance(array, own[name][: len(array)]) for name, array in other.items()}
        return {"spread": spread, "samples": max(map(len, other.values()))}

    def _samples(self, kernels: str, data: RepresentativeDataset | None, size: int) -> Iterator[Batch]:
        if data:
            return data.feeds(self.server.inputs, size, SPREAD_SAMPLES)
        few = SLOW_SAMPLES if kernels in SLOW_KERNELS else goldens.SAMPLES
        return islice(feeds.split(self.golden.inputs, self.server.inputs, few), 1)

    def _more_samples(self, kernels: str) -> RepresentativeDataset | None:
        """Where more samples than the goldens are worth their time: sums of floats differ by the same in all of them."""
        rounds = any(self.made.receipt.get(share) for share in ("int8_op_share", "hybrid_op_share"))
        return self.golden.data if rounds and kernels not in SLOW_KERNELS else None

    def _key(self) -> dict[str, Any]:
        inputs = arrays_digest(self.golden.inputs)
        return {"artifact": self.made.digest, "runtime": self.runtime.identity(), "inputs": inputs}

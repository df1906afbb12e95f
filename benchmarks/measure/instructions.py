"""Instructions per inference, by class: a cost without noise, to hold a change to one percent. Instructions are not time."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.measure import failure_reasons, sampling
from edgeship.benchmarks.measure.benchmark import Benchmark, FigureResult, Target
from edgeship.bundle.figures.device_figures import InstructionCount
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.metric import Metric, missing_metrics
from edgeship.data import Batch
from edgeship.errors import EdgeshipError, InputError, ProcessError
from edgeship.runtimes.launchers.launcher import InstructionCounter
from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker.instruction_marks import BEGIN, EMPTY_BEGIN, EMPTY_END, END
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

UNITS = {"instructions": "instructions", "instructions_ratio": "x"}
INFERENCES = 4
# The plugin counts scalar, memory and simd, which add up to the total, and these parts of simd.
KERNELS = {
    "matrix": "8-bit matrix multiply (i8mm)",
    "dot": "8-bit dot product",
    "widening": "widening multiply (plain NEON)",
    "fused_half": "half-precision multiply-add",
    "fused": "float multiply-add",
}


def measure(bench: Benchmark, target: Target) -> FigureResult:
    """Instructions per inference, and the ratio to the float32 artifact of the same format on the same device.

    Raises InputError for a device that counts none.
    """
    subject, counter = target.subject, target.launcher
    if not isinstance(counter, InstructionCounter):
        raise InputError(f'device {target.device.name}: only how = "qemu" counts instructions, in [launch]')
    if reason := subject.latency_exclusion_reason:
        return FigureResult(missing_metrics(UNITS, Availability.UNDEFINED, reason))
    try:
        counts = _count_on(bench, target, counter)
    except EdgeshipError as error:
        return FigureResult(missing_metrics(UNITS, Availability.FAILED, failure_reasons.shorten_message(str(error))))
    metrics = [Metric("instructions", counts.total, "instructions")]
    base = bench.float_base(subject)
    if base is not None and base.digest == subject.digest:
        return FigureResult(metrics, MeasurementDetails(instructions=counts))
    if base is None:
        availability = Availability.NO_DATA
        reason = f"there is no {subject.artifact.format}/float32 to compare with"
    elif reason := base.latency_exclusion_reason:
        availability = Availability.UNDEFINED
    else:
        try:
            ratio = counts.total / _count_on(bench, replace(target, subject=base), counter).total
            metrics.append(Metric("instructions_ratio", ratio, "x"))
            instructions = replace(counts, against=base.artifact.id, ratio=ratio)
            return FigureResult(metrics, MeasurementDetails(instructions=instructions))
        except EdgeshipError as error:
            availability, reason = (
                Availability.FAILED,
                f"{base.artifact.id}: {failure_reasons.shorten_message(str(error))}",
            )
    metrics += missing_metrics({"instructions_ratio": "x"}, availability, reason)
    return FigureResult(metrics, MeasurementDetails(instructions=counts))


def _count_on(bench: Benchmark, target: Target, counter: InstructionCounter) -> InstructionCount:
    reference, subject = bench.reference, target.subject
    data = None if reference is None else [reference.data.digest, reference.limit]

    def make(_: Path) -> dict[str, Any]:
        sample = {} if reference is None else next(sampling.select_rows(reference.batches(), np.arange(1), 1))
        return dict(to_json(count_instructions(counter, target.runtime.name, subject.artifact.path, sample)))

    what = f"{subject.artifact.id} on {target.place}: instructions"
    return convert(
        InstructionCount, bench.cache_result(what, "instructions", {**target.key(), "data": data}, make).result
    )


def count_instructions(place: InstructionCounter, runtime: str, path: Path, sample: Batch) -> InstructionCount:
    """Instructions of one inference at batch 1 on one thread, in a fresh process, each count the median of several.

    Classes are scalar, memory, simd and those of `KERNELS`; 32-bit ARM has none. The first inference is left out.
    Marks cost some instructions themselves; they are subtracted.
    """
    with tempfile.TemporaryDirectory(prefix="edgeship-count-") as folder:
        out = Path(folder) / "marks.jsonl"
        with open_session(
            runtime, path, threads=1, sample=sample, launch=place.counting_launch(runtime, out)
        ) as session:
            session.count(INFERENCES)
        marks = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return summarize_marks(marks)


def summarize_marks(marks: list[dict[str, int]]) -> InstructionCount:
    """The figures of `count_instructions` from the plugin's lines. Raises ProcessError where it has seen no inference."""
    empty = _count_between(marks, EMPTY_BEGIN, EMPTY_END)
    runs = _count_between(marks, BEGIN, END)[1:]
    if not runs or not empty:
        raise ProcessError("the emulator's plugin has counted no inference")
    overhead = empty[-1]
    names = [name for name in overhead if name != "mark"]
    classes = {name: int(statistics.median_low([run[name] - overhead[name] for run in runs])) for name in names}
    total = classes.pop("total")
    if classes:
        classes["scalar"] = total - classes["memory"] - classes["simd"]
    totals = [run["total"] - overhead["total"] for run in runs]
    return InstructionCount(
        total=total,
        classes=classes,
        kernels=dominant_kernels(classes) if classes else "",
        spread=max(totals) - min(totals),
        counts=tuple(totals),
    )


def _count_between(marks: list[dict[str, int]], begin: int, end: int) -> list[dict[str, int]]:
    """What was counted between each pair of marks."""
    return [
        {name: last[name] - first[name] for name in first}
        for first, last in pairwise(marks)
        if first["mark"] == begin and last["mark"] == end
    ]


def dominant_kernels(classes: Mapping[str, int]) -> str:
    """What does most of the multiplying."""
    most = max(KERNELS, key=lambda name: classes.get(name, 0))
    return KERNELS[most] if classes.get(most, 0) else "scalar"

"""Load, first inference, steady latency at batch 1 and peak memory, in one fresh process (measuring.md 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from edgeship.benchmarks.measure import latency
from edgeship.benchmarks.measure.benchmark import Benchmark, FigureResult, Target
from edgeship.benchmarks.measure.memory import peak_metrics
from edgeship.bundle.figures.measurement import LatencySummary, MeasurementDetails, MemoryUse
from edgeship.bundle.metric import Metric, Number, missing_metrics
from edgeship.data import arrays_digest
from edgeship.devices import machine
from edgeship.errors import EdgeshipError
from edgeship.light_dataclass import dataclass
from edgeship.typed_json import convert
from edgeship.types import Availability, to_json

TIMES = {
    **dict.fromkeys(("load_ms", "first_inference_ms", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms"), "ms"),
    **dict.fromkeys(("latency_mean_ms", "latency_min_ms", "latency_p90_early_stopping_ms"), "ms"),
}
UNITS = {**TIMES, "peak_memory_bytes": "bytes"}


@dataclass(frozen=True)
class TimedRun:
    """What one run in a fresh process gave; `metrics` by name, without times where the machine was too `busy`."""

    metrics: Mapping[str, Number | None] = field(default_factory=dict)
    latency: LatencySummary | None = None
    memory: MemoryUse | None = None
    busy: str = ""


def measure(bench: Benchmark, target: Target) -> FigureResult:
    """Times and memory of an artifact; no times where the machine is too busy."""
    what = f"{target.subject.artifact.id} on {target.place}: load, latency, memory"
    try:
        entry = bench.cache_result(
            what, "speed", timing_key(bench, target), lambda _: to_json(_time_run(bench, target))
        )
    except EdgeshipError as error:
        return FigureResult(missing_metrics(UNITS, Availability.FAILED, str(error)))
    run = convert(TimedRun, entry.result)
    busy = bench.busy_now(entry, run.busy)
    availability = Availability.UNSTABLE if busy else Availability.UNDEFINED
    reason = target.subject.latency_exclusion_reason or busy or "too few queries for an estimate"
    metrics: list[Metric] = []
    for name, unit in TIMES.items():
        value = run.metrics.get(name)
        entries = (
            [Metric(name, value, unit)] if value is not None else missing_metrics({name: unit}, availability, reason)
        )
        metrics += entries
    metrics += peak_metrics(run.memory or MemoryUse())
    return FigureResult(metrics, MeasurementDetails(latency=run.latency, memory=run.memory))


def timing_key(bench: Benchmark, target: Target) -> dict[str, Any]:
    """What a time depends on, for cache keys."""
    return {
        **target.key(),
        "profile": bench.settings.profile,
        "machine": machine.describe_machine(),
        "sample": arrays_digest(bench.sample or {}),
    }


def busy_reason(bench: Benchmark, target: Target) -> str:
    """Why no times can be taken now, after waiting for a quiet machine; empty where they can."""
    return bench.host_waiter.wait() if target.launcher.uses_host_time else ""


def _time_run(bench: Benchmark, target: Target) -> TimedRun:
    limits, threads = latency.find_profile(bench.settings.profile), target.device.threads
    excluded = target.subject.latency_exclusion_reason is not None
    busy = "" if excluded else busy_reason(bench, target)
    with target.open(timed=True, threads=threads, sample=bench.sample) as session:
        start = {"load_ms": session.load_ms, "first_inference_ms": session.first_ms}
        if excluded or busy:
            return TimedRun(memory=session.memory(), busy=busy)
        times = session.latency(limits.seconds, limits.queries)
        memory = session.memory()
    summary = latency.summarize_latencies(times.samples_ms)
    # LoadGen's own estimate; the loop's is that of `summarize`, by the same rule.
    early_stopping = times.early_stopping_p90_ms or summary.p90_early_stopping_ms
    metrics = {
        **start,
        **{f"latency_{name}": getattr(summary, name) for name in ("mean_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms")},
        "latency_p90_early_stopping_ms": early_stopping,
    }
    described = replace(
        summary,
        early_stopping_p90_ms=times.early_stopping_p90_ms,
        histogram=latency.latency_histogram(times.samples_ms),
        threads=threads,
        profile=limits.name,
        runs_on=dict(session.engine),
        engine=times.engine,
        valid=times.valid,
        reason=times.reason,
        queries_per_sample=times.queries_per_sample,
        throttle=times.throttle,
    )
    return TimedRun(metrics, described, memory)

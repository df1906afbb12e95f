"""MLPerf Inference's own LoadGen (mlcommons-loadgen), scenario SingleStream."""

from __future__ import annotations

import json
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlperf_loadgen as lg

RETRIES = 3


def single_stream(
    run: Callable[[], object], min_seconds: float, min_queries: int, *, fastest_ms: float
) -> tuple[dict[str, Any], array[float]]:
    """Raw samples in ms, and LoadGen's verdict: early-stopping estimate of the 90th percentile and validity.

    LoadGen lays out its queries beforehand, enough for twice the duration at the expected latency, and ends when they
    are used up: expecting more than twice the real latency ends a run before its minimum duration. The fastest query of
    the warm-up is therefore what is expected; a run that still ended early is done again with its own fastest query.
    """
    expected_ms = fastest_ms
    for _ in range(RETRIES):
        start = time.perf_counter()
        answer, samples = _run_loadgen(run, min_seconds, min_queries, expected_ms)
        if time.perf_counter() - start >= min_seconds:
            break
        expected_ms = min(samples)
    return answer, samples


def _run_loadgen(
    run: Callable[[], object], min_seconds: float, min_queries: int, expected_ms: float
) -> tuple[dict[str, Any], array[float]]:
    samples = array("d")
    clock = time.perf_counter_ns

    def issue(queries: list[Any]) -> None:
        for query in queries:
            start = clock()
            run()
            end = clock()
            lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])
            samples.append((end - start) / 1e6)  # our own book-keeping comes after LoadGen's clock has stopped

    settings = new_settings(lg.TestScenario.SingleStream, min_seconds, min_queries)
    settings.single_stream_expected_latency_ns = max(1000, int(expected_ms * 1e6))
    return _read_verdict(run_test(settings, issue)), samples


def run_test(settings: Any, issue: Callable[[list[Any]], None]) -> dict[str, Any]:
    """Run LoadGen once on one sample, which `issue` is asked for; what its log says, by key."""
    sut = lg.ConstructSUT(issue, _do_nothing)
    library = lg.ConstructQSL(1, 1, _do_nothing, _do_nothing)
    try:
        with tempfile.TemporaryDirectory(prefix="edgeship-loadgen-") as folder:
            # LoadGen would obey an audit.config in the working folder: it is told of a place where there is none.
            audit = str(Path(folder) / "audit.config")
            lg.StartTestWithLogSettings(sut, library, settings, _log_settings(folder), audit)
            return _read_log(Path(folder))
    finally:
        lg.DestroyQSL(library)
        lg.DestroySUT(sut)


def _do_nothing(*_: object) -> None:
    """There is one sample, and it is in memory."""


def new_settings(scenario: Any, min_seconds: float, min_queries: int) -> Any:
    """LoadGen's settings of a scenario that ends when both limits are met."""
    settings = lg.TestSettings()
    settings.scenario = scenario
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = max(1, round(min_seconds * 1000))
    settings.min_query_count = max(1, min_queries)
    return settings


def _log_settings(folder: str) -> Any:
    output = lg.LogOutputSettings()
    output.outdir = folder
    output.copy_summary_to_stdout = False
    logs = lg.LogSettings()
    logs.log_output = output
    logs.enable_trace = False
    return logs


def _read_log(folder: Path) -> dict[str, Any]:
    """The machine-readable log: one `:::MLLOG {"key": ..., "value": ...}` a line."""
    lines = (folder / "mlperf_log_detail.txt").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line.removeprefix(":::MLLOG ")) for line in lines if line.startswith(":::MLLOG ")]
    return {entry["key"]: entry["value"] for entry in entries}


def _read_verdict(values: dict[str, Any]) -> dict[str, Any]:
    met = bool(values.get("early_stopping_met"))
    valid = values.get("result_validity") == "VALID"
    estimate = values.get("early_stopping_latency_ss")
    return {
        "engine": "loadgen",
        "valid": valid,
        "early_stopping_p90_ms": estimate / 1e6 if met and estimate else None,
        "reason": "" if valid else str(values.get("early_stopping_result") or values.get("result_invalid_reason", "")),
    }

import array
import subprocess
import sys

import pytest

from edgeship.runtimes import worker, worker_files
from edgeship.runtimes.worker import latency

CHECK = """
import sys, edgeship.runtimes.worker.__main__ as worker, edgeship.runtimes.worker.loadgen
worker.open_backend("litert")
from edgeship.runtimes.engines import onnxruntime, tflite_micro, tflite_runtime
import edgeship
print(edgeship.__file__)
print(*(name for name in sys.modules if name.split(".")[0] in ("edgeship", "tensorflow", "keras", "onnxruntime", "click")))
"""


def test_a_worker_needs_only_its_own_files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    worker_files.worker_files.cache_clear()
    try:
        folder = worker_files.worker_files()
    finally:
        worker_files.worker_files.cache_clear()
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    where, modules = done.stdout.splitlines()
    assert where.startswith(str(folder))
    assert not {name.split(".")[0] for name in modules.split()} - {"edgeship"}


@pytest.mark.parametrize(("seconds", "queries"), [(0.05, 1), (0.0, 7)])
def test_a_loop_ends_when_both_limits_are_met(seconds, queries):
    calls: list[int] = []
    samples = latency.time_queries(lambda: calls.append(1), seconds, queries)
    assert len(samples) == len(calls) >= queries
    assert sum(samples) / 1000 <= 5
    if not seconds:
        assert len(samples) == queries


def test_without_loadgen_a_loop_says_that_it_is_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    monkeypatch.delitem(sys.modules, "edgeship.runtimes.worker.loadgen", raising=False)
    monkeypatch.delattr(worker, "loadgen", raising=False)  # where another test has imported it
    answer, samples = latency.measure_steady(lambda: None, 0.0, 20, fastest_ms=1.0)
    assert answer["engine"] == "loop"
    assert answer["early_stopping_p90_ms"] is None
    assert isinstance(samples, array.array)
    assert len(samples) == 20


def test_loadgen_reaches_the_minimum_duration_though_far_too_slow_a_query_was_expected():
    loadgen = pytest.importorskip("edgeship.runtimes.worker.loadgen")
    answer, samples = loadgen.single_stream(lambda: None, 0.2, 64, fastest_ms=1.0)
    assert answer["engine"] == "loadgen"
    assert answer["valid"]
    assert len(samples) >= 64
    # 0.2 s at the expected 1 ms are 200 queries, and twice as many are laid out: empty ones use them up in no time.
    assert len(samples) > 400


def test_too_few_queries_for_early_stopping_are_not_valid():
    loadgen = pytest.importorskip("edgeship.runtimes.worker.loadgen")
    answer, samples = loadgen.single_stream(lambda: sum(range(200_000)), 0.01, 5, fastest_ms=3.0)
    assert 5 <= len(samples) < 64
    assert not answer["valid"]
    assert answer["early_stopping_p90_ms"] is None
    assert "64" in answer["reason"]

"""Artifacts on devices: what ran is compared to the bit, what did not is a cell with its reason, and the rest goes on."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgeship.benchmarks.measure import benchmark, driver
from edgeship.bundle.figures.device_figures import Cell, CellState, SampleSubset
from edgeship.bundle.receipt import Receipt
from edgeship.devices.profiles import Device
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import selfcheck
from edgeship.runtimes.registry import Launch
from edgeship.types import Artifact, Kind
from tests.present import metric_value, present

LITERT = (registry.find("litert"),)


def cell(measurements):
    (item,) = measurements
    return present(item.details.cell)


def test_the_same_runtime_is_bit_exact(bench, subject, environment):
    (item,) = driver.measure(bench, driver.Job(subject, LITERT, environment.device))
    assert item.details.cell == Cell(CellState.EXACT, "bit-exact", "", kind=Kind.MEASURED, samples=60, of=60)
    assert metric_value(item, "accuracy") == 1.0
    assert metric_value(item, "agreement") == 1.0
    assert present(item.details.bit_exactness).values == 60 * 7
    assert present(item.details.bit_exactness).against.startswith("litert ")


def test_a_second_time_comes_from_the_cache(bench, subject, environment, monkeypatch):
    first = driver.measure(bench, driver.Job(subject, LITERT, environment.device))
    monkeypatch.setattr(type(environment), "open", lambda *_, **__: pytest.fail("nothing need be run"))
    assert driver.measure(bench, driver.Job(subject, LITERT, environment.device)) == first


def test_an_artifact_is_weighed_once_on_however_many_devices(bench, subject, environment, capsys):
    jobs = [driver.Job(subject, LITERT, environment.device), driver.Job(subject, (), environment.device)]
    assert {metric_value(item, "size_disk_bytes") for (item,) in driver.measure_all(bench, jobs)} != {None}
    assert capsys.readouterr().err.count("size") == 1


def test_a_device_without_time_runs_a_stratified_subset(bench, subject, environment):
    device = replace(environment.device, seconds=1e-9)
    (item,) = driver.measure(bench, driver.Job(subject, LITERT, device))
    assert item.details.samples == SampleSubset(8, 60, stratified=True, seconds=1e-9)
    assert present(item.details.cell).text == "bit-exact (8 of 60)"
    assert present(item.details.accuracy).n == 8


def test_what_a_device_does_not_take_is_refused_and_what_is_not_installed_is_absent(bench, subject, old):
    refused = cell(driver.measure(bench, driver.Job(subject, (), old(runtime="onnxruntime"))))
    assert refused == Cell(CellState.REFUSED, "-", "it takes .onnx files only", kind=Kind.MEASURED)
    absent = cell(driver.measure(bench, driver.Job(subject, LITERT, old("nowhere"))))
    assert absent.state == "absent"
    assert absent.reason == "it is not installed; install it with: edgeship devices install nowhere"


def test_a_file_that_the_runtime_does_not_load_is_a_failed_cell_and_remembered(bench, subject, environment, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"no model" * 20)
    broken = benchmark.MeasuredArtifact(replace(subject.artifact, path=path), "00" * 32, subject.receipt)
    (item,) = driver.measure(bench, driver.Job(broken, LITERT, environment.device))
    assert present(item.details.cell).state == "failed"
    assert "ValueError in the litert process" in present(item.details.cell).reason
    assert "/" not in present(item.details.cell).reason.partition("process")[0]
    assert present(item.metric("accuracy")).value is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [("import signal; signal.pause()", "took longer"),
     ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL")],
)  # fmt: skip
def test_a_worker_that_hangs_or_dies_is_told_and_the_rest_goes_on(
    bench, subject, environment, monkeypatch, code, reason
):
    monkeypatch.setattr(type(environment), "timeout", 1.0)
    monkeypatch.setattr(type(environment), "launch", lambda *_: Launch((sys.executable, "-c", code)))
    first, second = driver.measure_all(
        bench, [driver.Job(subject, LITERT, environment.device), driver.Job(subject, (), environment.device)]
    )
    assert reason in cell(first).reason
    assert cell(second).state == "refused"
    monkeypatch.undo()
    os.environ["EDGESHIP_CACHE"] = str(bench.cache.folder)
    try:
        assert cell(driver.measure(bench, driver.Job(subject, LITERT, environment.device))).state == "exact", (
            "not remembered"
        )
    finally:
        del os.environ["EDGESHIP_CACHE"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits need Linux")
def test_a_worker_with_too_little_memory_does_not_fit(bench, subject):
    def small(memory):
        launch = {"how": "direct", "memory": memory}
        return Device("small", "", Kind.MEASURED, ("litert",), 1, ("quality", "memory"), launch=launch)

    (item,) = driver.measure(bench, driver.Job(subject, LITERT, small("1 MB")))
    assert present(item.details.cell).text in ("does not fit", "fails")
    assert present(item.metric("peak_memory_bytes")).value is None
    (item,) = driver.measure(bench, driver.Job(subject, LITERT, small("900 MB")))
    assert present(item.details.cell).state == "exact"
    assert metric_value(item, "peak_memory_bytes") > 1_000_000


def test_an_emulator_that_computes_wrongly_is_refused(bench, subject, environment, monkeypatch):
    emulated = replace(
        environment.device, name="max", launch={**environment.device.launch, "how": "qemu", "cpu": "max"}
    )
    environment.device = emulated
    monkeypatch.setattr(type(environment), "emulates", True)
    monkeypatch.setattr(driver, "find_launcher", lambda _: environment)
    finding = selfcheck.Finding("max", "litert", 166.0, "steps", "it computes wrongly: off by up to 166 steps")
    monkeypatch.setattr(selfcheck, "examine_runtime", lambda *_: finding)
    refused = cell(driver.measure(bench, driver.Job(subject, LITERT, emulated)))
    assert refused.state == "failed"
    assert refused.reason == "refused, it computes wrongly: off by up to 166 steps"


def test_without_evaluation_data_nothing_is_compared(bench, subject, environment):
    bench.reference = None
    failed = cell(driver.measure(bench, driver.Job(subject, LITERT, environment.device)))
    assert failed.state == "failed"
    assert "no evaluation data" in failed.reason


def test_an_artifact_of_another_kind_still_has_a_size(bench, tmp_path, old):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x" * 1000)
    other = benchmark.MeasuredArtifact(Artifact(path, "onnx", "float32", (), ()), "11" * 32, Receipt("onnx"))
    (item,) = driver.measure(bench, driver.Job(other, (), old()))
    assert metric_value(item, "size_disk_bytes") == 1000
    assert np.isfinite(metric_value(item, "size_gzip_bytes"))


def test_where_this_machines_times_are_taken_nothing_else_runs(environment):
    def alone(**changes):
        return driver._runs_alone(replace(environment.device, **changes))

    assert not alone()
    assert alone(figures=("quality", "speed"))
    assert not alone(figures=("quality", "speed"), launch={"how": "ssh", "host": "pi@board"})
    assert alone(launch={"how": "direct"})
    assert not alone(launch={"how": "direct", "memory": "1 GB"})
    assert alone(launch={"how": "browser"})

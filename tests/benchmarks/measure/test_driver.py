"""The driver on a tiny real model: every figure is there or says why it is not."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from edgeship import data
from edgeship.benchmarks.compare import parity
from edgeship.benchmarks.measure import benchmark, driver, latency, latency_ratio, quality, speed
from edgeship.benchmarks.measure.host_noise import HostState, QuietHostWaiter
from edgeship.benchmarks.report import table_rows
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts import receipt
from edgeship.devices import profiles
from edgeship.progress import Progress
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.session import Session
from edgeship.storage import digest
from edgeship.storage.cache import Cache
from edgeship.types import Artifact, TensorSpec
from tests.present import present

INPUTS = (TensorSpec("image", (None, 8, 8, 1), "float32"),)
OUTPUTS = (TensorSpec("probs", (None, 5), "float32"),)
NAMES = {
    *quality.UNITS,
    *speed.UNITS,
    "size_disk_bytes",
    "size_gzip_bytes",
    "size_brotli_bytes",
    "parameters",
}


@pytest.fixture
def short(monkeypatch):
    """Latency runs of a quarter of a second on a machine that counts as quiet."""
    monkeypatch.setattr(QuietHostWaiter, "wait", lambda _: "")
    monkeypatch.setattr(latency, "PROFILES", {"rapid": latency.Profile("rapid", 0.25, 64)})


@pytest.fixture
def bench(tmp_path, tiny_models):
    """The server model's outputs stand for the labels too, so that the untouched artifact is right on every sample."""
    with np.load(tiny_models / "expected.npz") as known:
        stored = {name: known[name] for name in known.files}
    images = next(array for name, array in stored.items() if "cnn" in name and "image" in name)
    expected = next(array for name, array in stored.items() if "cnn" in name and "prob" in name)
    data.save(tmp_path / "evaluation.npz", {"image": images, "y": expected.argmax(1)})
    source = data.RepresentativeDataset(tmp_path / "evaluation.npz")
    reference = benchmark.Reference(source, INPUTS, {"probs": expected}, source.labels(), None, "reference")
    return benchmark.Benchmark(
        Cache(tmp_path / "cache"), Progress(Console(quiet=True)), benchmark.Settings("rapid"), reference
    )


def subject(tiny_models, name, variant):
    path = tiny_models / name
    return benchmark.MeasuredArtifact(
        Artifact(path, "tflite", variant, INPUTS, OUTPUTS), digest.of_path(path), Receipt("tflite")
    )


def measured(bench, artifact, base=None, runtime="litert"):
    """The measurement of an artifact on this machine; `base` is the float32 artifact that it is compared with."""
    bench.subjects = {"float32": base} if base else {}
    (measurement,) = driver.measure(
        bench, driver.Job(artifact, (registry.find(runtime),), profiles.find_device("host"))
    )
    return measurement


def test_every_figure_is_taken(bench, tiny_models, short):
    measurement = measured(bench, subject(tiny_models, "cnn.tflite", "float32"))
    assert {metric.name for metric in measurement.metrics} == NAMES
    assert not [metric.name for metric in measurement.metrics if metric.value is None]
    assert measurement.metric("accuracy").value == 1
    assert measurement.metric("flips").value == 0
    assert measurement.details.latency.n >= 64
    assert (
        0
        < measurement.metric("latency_min_ms").value
        <= measurement.metric("latency_p50_ms").value
        <= measurement.metric("latency_p99_ms").value
    )


def test_what_is_compared_runs_in_turn(bench, tiny_models, short):
    base = subject(tiny_models, "cnn.tflite", "float32")
    (other,) = [path for path in tiny_models.glob("cnn*int8*.tflite")][:1]
    measurement = measured(bench, subject(tiny_models, other.name, "int8"), base)
    ratio = measurement.details.latency_ratio
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio.against == "tflite/float32"
    assert ratio.pairs == latency_ratio.PAIRS
    assert ratio.blocks >= latency_ratio.PAIRS * latency_ratio.MIN_BLOCKS


def test_a_busy_machine_gives_no_times_but_all_the_rest(bench, tiny_models, monkeypatch):
    monkeypatch.setattr(QuietHostWaiter, "wait", lambda _: "unstable: for the test")
    measurement = measured(bench, subject(tiny_models, "cnn.tflite", "float32"))
    missing = {metric.name for metric in measurement.metrics if metric.value is None}
    assert missing == set(speed.UNITS) - {"peak_memory_bytes"}
    assert {metric.reason for metric in measurement.metrics if metric.value is None} == {"unstable: for the test"}
    monkeypatch.setattr(QuietHostWaiter, "wait", lambda _: "")
    monkeypatch.setattr(latency, "PROFILES", {"rapid": latency.Profile("rapid", 0.25, 64)})
    looks: list[str] = []

    def run_again(reason, *, retry=False):
        """The load time, or why there is none, in a run that finds the machine so."""
        again = benchmark.Benchmark(
            bench.cache, bench.progress, benchmark.Settings("rapid", retry=retry), bench.reference
        )
        state = HostState(not reason, reason, 0.0, None, None, bool(reason))
        again.host_waiter = QuietHostWaiter(lambda: looks.append(reason) or state)
        load = measured(again, subject(tiny_models, "cnn.tflite", "float32")).metric("load_ms")
        return load.value or load.reason

    assert run_again("others still work") == "unstable: others still work", "that of now, not of then"
    assert run_again("", retry=True) > 0
    assert run_again("others still work") > 0, "times that were taken stay"
    assert looks == ["others still work"], "one look, and only where a time was withheld"


def test_a_quiet_machine_gives_the_times_that_a_busy_one_withheld(bench, tiny_models, short, monkeypatch):
    """Of latency and ratio, in a run that was not asked to wait for it."""
    artifacts = [subject(tiny_models, "cnn-int8.tflite", "int8"), subject(tiny_models, "cnn.tflite", "float32")]
    with monkeypatch.context() as busy:
        busy.setattr(QuietHostWaiter, "wait", lambda _: "unstable: for the test")
        assert measured(bench, *artifacts).metric("latency_ratio").value is None
    again = benchmark.Benchmark(bench.cache, bench.progress, benchmark.Settings("rapid"), bench.reference)
    again.host_waiter = QuietHostWaiter(lambda: HostState(True, "", 0.0, None, None, False))
    whole = measured(again, *artifacts)
    assert present(whole.metric("latency_ratio")).value
    assert present(whole.metric("latency_p50_ms")).value


def test_times_are_taken_on_inputs_of_real_size(bench, tiny_models, short):
    """Of an axis without a fixed size nothing else is known; another size is another measurement."""
    sounds = subject(tiny_models, "length.tflite", "float32")
    target = benchmark.Target(sounds, registry.find("litert"), find_launcher(profiles.find_device("host")))
    assert speed.measure(bench, target).metrics[0].value is None, "length 1, which the network cannot take"
    times = []
    for length in (50, 200_000):
        bench.sample = {"sound": np.zeros((1, length, 1), np.float32)}
        metrics = {metric.name: metric.value for metric in speed.measure(bench, target).metrics}
        times.append(present(metrics["latency_p50_ms"]))
    assert times[0] * 10 < times[1]


def test_a_file_that_no_runtime_loads_is_a_reason_not_an_end(bench, tiny_models, tmp_path, short):
    (tmp_path / "bad.tflite").write_bytes((tiny_models / "cnn.tflite").read_bytes()[:900])
    measurement = measured(bench, subject(tmp_path, "bad.tflite", "float32"))
    assert measurement.metric("accuracy").value is None
    assert "litert" in measurement.metric("accuracy").reason


def test_without_loadgen_the_loops_latency_says_so_and_has_the_same_estimate(
    bench, tiny_models, short, tmp_path, monkeypatch
):
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "mlperf_loadgen.py").write_text("raise ImportError('no wheel for this machine')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"))
    measurement = measured(bench, subject(tiny_models, "cnn.tflite", "float32"))
    latency = measurement.details.latency
    assert (latency.engine, latency.reason) == ("loop", "LoadGen is not installed")
    assert latency.early_stopping_p90_ms is None
    estimate = measurement.metric("latency_p90_early_stopping_ms").value
    assert estimate == latency.p90_early_stopping_ms >= latency.p90_ms
    manifest = Manifest({}, (), (measurement,))
    assert "by edgeship's own loop" in table_rows.build(manifest).legend()


def test_a_system_that_does_not_tell_memory_gives_the_reason(bench, tiny_models, short, monkeypatch):
    unknown = {"peak_bytes": None, "baseline_bytes": None, "method": "win32 does not tell the memory of a process"}
    monkeypatch.setattr(Session, "memory", lambda _: unknown)
    measurement = measured(bench, subject(tiny_models, "cnn.tflite", "float32"))
    assert measurement.metric("peak_memory_bytes").value is None
    assert measurement.metric("peak_memory_bytes").reason == unknown["method"]
    assert measurement.metric("latency_p50_ms").value > 0
    assert not [
        metric.name for metric in measurement.metrics if metric.value is None and metric.name != "peak_memory_bytes"
    ]


def test_samples_of_a_batch_that_share_their_ranges_are_answered_one_at_a_time(bench, tiny_models, tmp_path):
    """ONNX Runtime's dynamic quantization: a bright image in the batch would leave a dark one few steps."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = tmp_path / "dynamic.onnx"
    quantize_dynamic(tiny_models / "cnn.onnx", path, per_channel=True, weight_type=QuantType.QUInt8)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = next(bench.reference.batches())["image"]
    (together,) = session.run(None, {"image": images})
    alone = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    assert np.abs(together - alone).max() > 1e-4
    held = receipt.read(path)
    artifact = Artifact(path, "onnx", "dynamic_w8", INPUTS, OUTPUTS)
    found = measured(bench, benchmark.MeasuredArtifact(artifact, digest.of_path(path), held), runtime="onnxruntime")
    expected = parity.compare(bench.reference.outputs, {"probs": alone})["probs"]
    assert present(found.details.parity)["probs"].max_abs_error == pytest.approx(expected.max_abs_error, rel=1e-3)

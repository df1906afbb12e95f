"""Every latency says which code sent its queries."""

from edgeship.benchmarks.measure import timing
from edgeship.bundle.figures.measurement import LatencySummary, Measurement, MeasurementDetails


def item(runtime, engine, reason="", device="host"):
    latency = LatencySummary(engine=engine, reason=reason)
    return Measurement("tflite/int8", runtime, device, (), MeasurementDetails(latency=latency))


def test_runtimes_and_devices_stand_by_what_timed_them():
    measured = [
        item("litert", "loadgen"),
        item("litert", "loadgen"),
        item("tfjs-node", "loop", "LoadGen does not run under Node"),
        item("litert", "loop", "LoadGen is not installed", "rpi5"),
        item("onnxruntime", ""),
        Measurement("onnx/int8", "onnxruntime", "host", ()),
    ]
    assert timing.describe_timing(measured) == (
        "timed by MLPerf's LoadGen: litert; by edgeship's own loop with LoadGen's stopping rules and the same estimate: "
        "tfjs-node (LoadGen does not run under Node), litert @ rpi5 (LoadGen is not installed); ratios by the own loop."
    )


def test_nothing_is_said_where_nothing_was_timed():
    assert timing.describe_timing([]) == ""

"""Which code sent the queries of each latency: MLPerf's LoadGen, or edgeship's own loop by the same rules."""

from __future__ import annotations

from collections.abc import Iterable

from edgeship.bundle.figures.measurement import Measurement

SENDERS = {
    "loadgen": "MLPerf's LoadGen",
    "loop": "edgeship's own loop with LoadGen's stopping rules and the same estimate",
}


def describe_timing(measurements: Iterable[Measurement]) -> str:
    """A sentence that names the runtimes (and devices) timed by each, with the reason for the loop; empty without latencies."""
    places: dict[str, dict[str, None]] = {}
    for item in measurements:
        latency = item.details.latency
        if latency and latency.engine:
            device = "" if item.device == "host" else f" @ {item.device}"
            reason = f" ({latency.reason})" if latency.engine == "loop" and latency.reason else ""
            places.setdefault(latency.engine, {})[f"{item.runtime}{device}{reason}"] = None
    senders = [f"by {SENDERS[sender]}: {', '.join(places[sender])}" for sender in SENDERS if sender in places]
    return f"timed {'; '.join(senders)}; ratios by the own loop." if senders else ""

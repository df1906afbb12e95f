"""Which code sent the queries of each latency: MLPerf's LoadGen, or edgeship's own loop by the same rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]
SENDERS = {
    "loadgen": "MLPerf's LoadGen",
    "loop": "edgeship's own loop with LoadGen's stopping rules and the same estimate",
}


def describe(measurements: Iterable[Json]) -> str:
    """A sentence that names the runtimes (and devices) timed by each, with the reason for the loop; empty without latencies."""
    places: dict[str, dict[str, None]] = {}
    for item in measurements:
        taken = item["details"].get("latency") or {}
        if sender := taken.get("engine"):
            device = "" if item["device"] == "host" else f" @ {item['device']}"
            reason = f" ({taken['reason']})" if sender == "loop" and taken.get("reason") else ""
            places.setdefault(sender, {})[f"{item['runtime']}{device}{reason}"] = None
    told = [f"by {SENDERS[sender]}: {', '.join(places[sender])}" for sender in SENDERS if sender in places]
    return f"timed {'; '.join(told)}; ratios by the own loop." if told else ""

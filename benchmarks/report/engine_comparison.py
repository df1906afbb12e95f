"""TF.js, LiteRT.js or ONNX Runtime Web: their figures for one model side by side, and what follows from them.

An engine that is faster but larger pays after some inferences; how many is said for a stated connection. TF.js 4.22 of 2024
is its last release, so the question will come up for every page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeship.benchmarks.gate.checks import metric_of
from edgeship.benchmarks.report import table_rows
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import Manifest
from edgeship.light_dataclass import dataclass

ENGINES = {"tfjs-web": "TF.js", "litert-web": "LiteRT.js", "ort-web": "ONNX Runtime Web"}
# The engines are timed one after the other and not in turn: what is nearer than this is taken for the same.
CLEARLY = 1.25
CONNECTION = 10e6  # bits per second
COLUMNS = (
    "artifact",
    "engine",
    "engine's download",
    "model's",
    "load",
    "first",
    "p50",
    "p90",
    "memory",
    "max abs error",
)
NOTE = (
    "download: the engine's JavaScript (not minified) and WebAssembly with gzip -9, and the model with brotli -11; load to "
    "memory: in a page on one thread unless the device says otherwise. The engines are timed one after the other, so that "
    f"differences below {CLEARLY:g} times mean nothing."
)


@dataclass(frozen=True)
class DeviceComparison:
    """The engines on one device: their cells by column, and the advice that follows."""

    device: str
    rows: tuple[dict[str, str], ...]
    advice: str


def compare(manifest: Manifest) -> list[DeviceComparison]:
    """Of each device on which TF.js and another engine were timed."""
    comparisons = []
    for device in dict.fromkeys(item.device for item in manifest.measurements):
        items = [item for item in manifest.measurements if item.device == device and item.runtime in ENGINES]
        timed = [item for item in items if _p50_ms(item) is not None]
        names = {item.runtime for item in timed}
        if "tfjs-web" in names and len(names) > 1:
            advised = engine_advice([item for item in timed if _may_ship(manifest, item)])
            comparisons.append(DeviceComparison(device, tuple(map(_engine_row, items)), advised))
    return comparisons


def engine_advice(timed: Sequence[Measurement]) -> str:
    """What the figures say: stay with TF.js, or move, for what, and after how many inferences that pays."""
    own = [item for item in timed if item.runtime == "tfjs-web"]
    others = [item for item in timed if item.runtime != "tfjs-web"]
    if not own or not others:
        return "No advice: TF.js or every other engine failed the gate on this device."
    ours, best = min(own, key=_p50_of), min(others, key=_p50_of)
    saved_ms = _p50_of(ours) - _p50_of(best)
    times = [table_rows.milliseconds_text(_p50_of(item)) for item in (best, ours)]
    pair = f"{_describe_choice(best)} takes {times[0]} (p50), {_describe_choice(ours)} {times[1]}"
    more = _download_bytes(best) - _download_bytes(ours)
    difference = _size_difference(more)
    if _p50_of(ours) < CLEARLY * _p50_of(best):
        return (
            f"Stay with TF.js: no other engine is clearly faster ({pair}), and the best of them downloads {difference}."
        )
    if more <= 0:
        return f"Move: {pair}, and it downloads {difference}."
    wait = more * 8 / CONNECTION * 1000
    return (
        f"Move where a visit runs the model often: {pair}. It downloads {difference}, "
        f"{table_rows.milliseconds_text(wait)} at {CONNECTION / 1e6:g} Mbit/s on the first visit, "
        f"which {wait / saved_ms:,.0f} inferences make up for; with fewer, stay with TF.js."
    )


def _may_ship(manifest: Manifest, item: Measurement) -> bool:
    return table_rows.verdict_of(manifest, item.artifact, item.runtime, item.device) != "FAIL"


def _p50_ms(item: Measurement) -> float | None:
    return metric_of(item, "latency_p50_ms").value


def _p50_of(item: Measurement) -> float:
    return _p50_ms(item) or 0.0


def _describe_choice(item: Measurement) -> str:
    return f"{ENGINES[item.runtime]} with {item.artifact}"


def _size_difference(size: float) -> str:
    return f"{table_rows.size_text(abs(size))} {'more' if size > 0 else 'less'}"


def _engine_bytes(item: Measurement) -> int | None:
    size: int | None = item.details.latency.runs_on.get("engine_gzip_bytes") if item.details.latency else None
    return size


def _download_bytes(item: Measurement) -> float:
    """Bytes of engine and model on the first visit."""
    return (_engine_bytes(item) or 0) + (metric_of(item, "size_brotli_bytes").value or 0)


def _engine_row(item: Measurement) -> dict[str, str]:
    def cell(name: str, form: Callable[[float], str]) -> str:
        metric = metric_of(item, name)
        return form(metric.value) if metric.value is not None else f"- ({metric.reason})"

    size = _engine_bytes(item)
    cells = (
        item.artifact,
        ENGINES[item.runtime],
        table_rows.size_text(size) if size else "-",
        cell("size_brotli_bytes", table_rows.size_text),
        cell("load_ms", table_rows.milliseconds_text),
        cell("first_inference_ms", table_rows.milliseconds_text),
        cell("latency_p50_ms", table_rows.milliseconds_text),
        cell("latency_p90_ms", table_rows.milliseconds_text),
        cell("peak_memory_bytes", table_rows.size_text),
        cell("max_abs_error", lambda value: f"{value:.2g}"),
    )
    return dict(zip(COLUMNS, cells, strict=True))

"""docs/results/browser.md from the results of `make bench-browser`: no figure in it is written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from edgeship.benchmarks.gate.checks import metric_of
from edgeship.benchmarks.report import engine_comparison, table_rows
from edgeship.bundle import schema_1
from edgeship.bundle.figures.comparisons import AccuracyReport
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import Manifest, parse_manifest
from edgeship.runtimes.browser import requirements
from scripts import RESULTS
from scripts.bench.speed import machine_line

RENDERED = RESULTS / "browser.md"
NAMES = {
    "litert": "Python LiteRT", "onnxruntime": "Python ONNX Runtime", "tfjs-web": "TF.js wasm",
    "tfjs-webgl": "TF.js webgl (in software here)", "tfjs-cpu": "TF.js cpu", "litert-web": "LiteRT.js",
    "ort-web": "ONNX Runtime Web",
}  # fmt: skip


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table with an empty line behind it."""
    cells = [head, ["---"] * len(head), *lines]
    return [f"| {' | '.join(text.replace('|', '/') for text in line)} |" for line in cells] + [""]


def parse(result: Any) -> Manifest:
    """The part of a manifest that a benchmark's result is."""
    return parse_manifest({"files": {}, **schema_1.upgrade_content(result)}, part=True)


def cell(item: Measurement, name: str, form: Callable[[float], str]) -> str:
    """A figure, or why it is missing."""
    metric = metric_of(item, name)
    return form(metric.value) if metric.value is not None else f"none: {metric.reason}"


def parity(result: Any) -> list[str]:
    """Every artifact on every engine against the server model."""
    manifest = parse(result)
    reports = [(item, item.details.accuracy) for item in manifest.measurements if item.details.parity is not None]
    lines = [
        (
            item.artifact, NAMES[item.runtime], f"{report.value:.2%}", table_rows.drop_text(report),
            cell(item, "max_abs_error", lambda value: f"{value:.1e}"), cell(item, "agreement", "{:.2%}".format),
            table_rows.verdict_of(manifest, item.artifact, item.runtime, item.device),
        )
        for item, report in reports if report
    ]  # fmt: skip
    report = reports[0][1] or AccuracyReport()
    return [
        f"The default task's model on all {report.n:,} test images; the server model gets {report.server:.2%}. The",
        "gate asks for 99 % of that (paired interval). WebGL runs in software here: its outputs count, its speed does not.",
        "",
        *table(("artifact", "engine", "top-1", "drop", "max abs error", "same answers", "gate"), lines),
    ]


def same_file(result: Any) -> list[str]:
    """One file in the page and under Python."""
    lines = [
        (
            item["file"], NAMES[item["engine"]], NAMES[item["python"]], f"{item['different']:,} of {item['values']:,}",
            f"{item['most']:.1e}" if item["different"] else "0: equal to the bit", f"{item['top1']:.2%}",
        )
        for item in result
    ]  # fmt: skip
    return [
        "The same file in the page and under Python, one thread each, all test images, output by output.",
        "",
        *table(("file", "in the page", "under", "values that differ", "by at most", "same answers"), lines),
    ]


def evaluations(result: Any) -> list[str]:
    """10,000 evaluations against Python."""
    lines = [
        (
            NAMES[item["runtime"]], f"{item['batch']:,}", item["threads"], f"{item['seconds']:.2f} s", f"{item['ratio']:.2f}",
            f"{min(item['ratios']):.2f} to {max(item['ratios']):.2f}", f"{item['alone']:.2f}",
            "" if item["runtime"] == "litert" else met(item["ratio"]),
        )
        for item in result
    ]  # fmt: skip
    return [
        "All test images, float32, model loaded, tensors there and back included. Engines in turn; the ratio is to Python LiteRT",
        "on one core in the same round (the faster of its two files), median over the rounds. A LiteRT file for pages has its",
        "batch from `static_batch` (true: 1), the other engines get as many as they are sent. WebAssembly multiplies 4 float32",
        "at a time, this machine's own instructions 8 and more. `engine alone` is the same ratio without any transport: the",
        "inferences by themselves, timed in the page.",
        "",
        *table(("engine", "batch", "threads", "seconds", "ratio", "rounds", "engine alone", "bar: at most 2"), lines),
    ]


def met(ratio: float) -> str:
    """What the bar says of a ratio."""
    return "met" if ratio <= 2 else "**not met**"


def speed(results: dict[str, Any]) -> list[str]:
    """MobileNetV2-224 at each throttling on one and two threads."""
    lines = []
    for rate, threads in results.items():
        for number, result in threads.items():
            for item in parse(result).measurements:
                figures = [
                    ("load_ms", table_rows.milliseconds_text),
                    ("first_inference_ms", table_rows.milliseconds_text),
                ]
                figures += [
                    ("latency_p50_ms", table_rows.milliseconds_text),
                    ("latency_p90_ms", table_rows.milliseconds_text),
                ]
                cells = [
                    cell(item, name, form) for name, form in [*figures, ("peak_memory_bytes", table_rows.size_text)]
                ]
                if len(set(cells)) == 1:  # the same reason everywhere
                    cells = [cells[0], *["-"] * (len(cells) - 1)]
                throttle = item.details.latency and item.details.latency.throttle
                slowed = throttle and throttle.model
                shown = f"{rate}x" + (f" (shown: {slowed:.1f})" if slowed else "")
                lines.append((NAMES[item.runtime], item.artifact, shown, number, *cells))
    return [
        "MobileNetV2-224 with random weights, batch 1. 4x and 6x are this machine's processor slowed down by Chromium, and",
        "shown to act on the model itself (`simulated`: no phone). Chromium slows down the main thread only, so that two",
        "threads cannot be slowed down honestly. Memory: the high-water mark (VmHWM) of the renderer process. TF.js on WebGL",
        "and WebGPU has no times: both run in software here.",
        "",
        *table(("engine", "artifact", "CPU", "threads", "load", "first", "p50", "p90", "memory"), lines),
    ]


def folding(result: Any) -> list[str]:
    """TF.js with and without folded batch normalization, in turn."""
    return [
        "Batch normalization behind depthwise convolutions is folded into them for TF.js, whose own converter leaves it. In",
        f"turn on one thread, MobileNetV2-224 takes **{result['value']:.2f} [{result['low']:.2f}, {result['high']:.2f}]** of",
        f"the time that it takes unfolded (95 % interval, {result['blocks']} pairs of blocks); outputs differ by at most",
        f"{result['most']:.1e}, the largest of them being {result['largest']:.1e}.",
        "",
    ]


def advice(results: dict[str, Any]) -> list[str]:
    """What the report of a bundle says of such figures; random weights have no accuracy that a gate could ask for."""
    lines = []
    for rate, threads in results.items():
        for number, result in threads.items():
            items = parse(result).measurements
            timed = [item for item in items if metric_of(item, "latency_p50_ms").value is not None]
            if timed:
                lines.append(
                    (f"{rate}x, {number} thread{'' if number == '1' else 's'}", engine_comparison.engine_advice(timed))
                )
    sizes = ", ".join(
        f"{name} {table_rows.size_text(requirements.download_bytes(key))}"
        for key, name in (("tfjs", "TF.js"), ("litert", "LiteRT.js"), ("ort", "ONNX Runtime Web"))
    )
    return [
        f"What each engine costs to download (its JavaScript, not minified, and WebAssembly, gzip -9): {sizes}.",
        "The report of a bundle that was measured in a browser says this for your model; for MobileNetV2-224 it says:",
        "",
        *table(("CPU", "advice"), lines),
    ]


def markdown(results: dict[str, Any]) -> str:
    """The page; a part that has not been taken says so."""
    speeds = {name.removeprefix("speed-").removesuffix("x"): part for name, part in results.items() if "speed" in name}
    parts = {
        "TF.js or another engine": speeds and advice(speeds),
        "Outputs": "parity" in results and parity(results["parity"]),
        "One file, two places": "same_file" in results and same_file(results["same_file"]),
        "10,000 evaluations": "evaluations" in results and evaluations(results["evaluations"]),
        "Speed and memory": speeds and speed(speeds),
        "Batch normalization": "folding" in results and folding(results["folding"]),
    }
    lines = [
        "# In the browser",
        "",
        f"Written by `make bench-browser` on {date.today().isoformat()}: {machine_line()},",
        f"Chromium {requirements.browser_version()},",
        f"TF.js {requirements.PINNED['tfjs']}, LiteRT.js {requirements.PINNED['litert']}, "
        f"ONNX Runtime Web {requirements.PINNED['ort']}.",
        "Times are this machine's and this moment's.",
        "",
    ]
    for title, body in parts.items():
        lines += [f"## {title}", "", *(body or ["Not taken yet: it wants a machine with nothing else to do.", ""])]
    return "\n".join(lines).rstrip() + "\n"

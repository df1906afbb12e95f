"""docs/results/optimize.md from the figures that `make bench-optimize` took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from edgeship.devices import machine
from scripts.bench.optimize import tasks

HEAD = """\
# What optimizing reaches

Written by `scripts/bench/optimize/run.py` (`make bench-optimize` runs all of its parts) on {day}: {machine}.
Everything is made and measured through the `edgeship` command; the configurations are in `scripts/bench/optimize/tasks.py`.
Seed 0 throughout; a variant trained with another seed will differ. A part that was not run, or times that the machine was too
busy for, say so and count as not met.
"""
TASK = """\
## {name}

{what}: server model {server:.2%} of {n:,} test samples right; {chosen}.
Accuracy is paired, sample by sample, with a 95 % interval; latency is that of the `.tflite` on LiteRT, one thread, run in turn
with the other.

| what | recipe | accuracy drop | bar | the figure | is | bar | met |
|---|---|---|---|---|---|---|---|
"""
TITLES = {
    "fashion-mnist": "Fashion-MNIST, 25,500 training images",
    "motion": "Smart-watch exercises, subjects never seen",
}


def write(found: Mapping[str, Any], path: Path) -> None:
    """Write the page from the parts that there are."""
    described = machine.describe_machine()
    told = f"{described['cpu']}, {described['cores']} cores, {described['system']}, Python {described['python']}"
    text = HEAD.format(day=date.today().isoformat(), machine=told)
    for name in tasks.CLIENTS:
        if name in found:
            text += "\n" + _task(name, found[name])
        if f"seeds-{name}" in found:
            text += _seeds(found[f"seeds-{name}"])
    if "auto" in found:
        text += "\n" + _auto(found["auto"])
    if "calibrate-once" in found:
        text += "\n" + _once(found["calibrate-once"])
    sides = {name.removeprefix("quantizers-"): part for name, part in found.items() if name.startswith("quantizers-")}
    if sides:
        text += "\n" + PEERS.format(samples=next(iter(sides.values()))["samples"])
        text += "".join(_side_by_side(name, part) for name, part in sides.items()) + FOREIGN
    path.write_text(text, encoding="utf-8")


SEEDS = """
The pruned model with seeds {seeds}, taught by labels alone (`teacher` = 0) and by the server model's answers alone (1):

| `teacher` | same answers as the server model, validation split | accuracy drop, test split | on average |
|---|---|---|---|
"""


def _task(name: str, part: Mapping[str, Any]) -> str:
    test, tried = part["test"], part["validation"]
    some = test[tasks.FLOAT]
    n = tried[tasks.FLOAT]["n"] if tried else 0
    told = (
        f"recipes chosen on the validation split ({n:,} samples)" if tried else "one recipe a row, nothing was chosen"
    )
    text = TASK.format(name=name, what=TITLES[name], server=some["server"], n=some["n"], chosen=told)
    text += "".join(_row(row, part["chosen"][row.what], test) for row in tasks.rows(name))
    lines = []
    for row in (item for item in tasks.rows(name) if len(item.candidates) > 1):
        for item in row.candidates:
            mark = "chosen" if item == part["chosen"][row.what] else ""
            lines.append(f"| {item} | {_points(tried[item])} | {_shown(tasks.figure(row, item, tried))} | {mark} |")
    if not lines:
        return text + MISSED[name]
    head = "\nCandidates on the validation split:\n\n| candidate | accuracy drop | the row's figure | |\n|---|---|---|---|\n"
    return text + head + "\n".join(lines) + "\n" + MISSED[name]


def _row(row: tasks.Row, chosen: str, test: Mapping[str, Any]) -> str:
    if chosen not in test:
        limits = (f"{row.drop * 100:g} pt", row.figure, "not run", f"{row.limit:g}", "**no**: not run")
        return f"| {row.what} | `{chosen}` | not run | {' | '.join(limits)} |\n"
    item, value = test[chosen], tasks.figure(row, chosen, test)
    shown = _shown(value)
    if row.figure.startswith("latency") and item["latency_ratio"] is not None:
        low, high = item["latency_interval"]
        shown += f" [{low:.3f}, {high:.3f}]"
    cells = (
        row.what,
        f"`{chosen}`",
        _points(item),
        f"{row.drop * 100:g} pt",
        row.figure,
        shown,
        f"{row.limit:g}",
        _met(row, item, value),
    )
    return f"| {' | '.join(cells)} |\n"


def _seeds(part: Sequence[Mapping[str, Any]]) -> str:
    """By teacher: what each seed's pruned model has in common with the server model, and what it drops."""
    lines = []
    for teacher in dict.fromkeys(item["teacher"] for item in part):
        items = [item for item in part if item["teacher"] == teacher]
        drops = [item["evaluation"]["drop"] * 100 for item in items]
        agreed = sum(item["validation"]["agreement"] for item in items) / len(items)
        told = ", ".join(f"{drop:+.2f}" for drop in drops)
        lines.append(f"| {teacher:g} | {agreed:.2%} | {told} pt | {sum(drops) / len(drops):+.2f} pt |\n")
    seeds = ", ".join(str(item["seed"]) for item in part if item["teacher"] == part[0]["teacher"])
    return SEEDS.format(seeds=seeds) + "".join(lines)


def _shown(value: float) -> str:
    return f"{value:.3f}" if value < float("inf") else "not measured: the machine was too busy"


def _points(item: Mapping[str, Any]) -> str:
    return f"{item['drop'] * 100:+.2f} [{item['low'] * 100:+.2f}, {item['high'] * 100:+.2f}] pt"


def _met(row: tasks.Row, item: Mapping[str, Any], value: float) -> str:
    """Both bars; accuracy is shown only where the whole interval is within it."""
    missed = [] if value <= row.limit else ["the figure" if value < float("inf") else "not measured"]
    if item["drop"] > row.drop:
        missed.append("accuracy")
    if missed:
        return f"**no**: {' and '.join(missed)}"
    return "yes" if item["high"] <= row.drop else "yes, though the interval reaches beyond"


# The bars that were missed on 2026-11-23, and why.
MISSED = {
    "fashion-mnist": """
The size: the file keeps 61,400 bytes of weights and biases, a quarter of float32's, 2,900 of scales and zero points per channel,
which LiteRT insists on, and 4,400 of names and structure. Without a single name it would be 0.270: a model of 61,000 parameters
is too small for the bar.
""",
    "motion": """
The size: of 34,600 parameters scales, zero points, names and structure are an even larger part than of the other model's.
The client model: the subjects of the test split are others than those it learned from, and it knows less than the server model.
""",
}


AUTO = """\
## A model that int8 breaks, and `quantize = "auto"`

A net of six depthwise blocks, trained on Fashion-MNIST; in one block all channels but one are 250 times smaller than
that one, which the next layer undoes (`scripts/bench/optimize/mixed_precision.py`). The budget is `mlperf99`.

| artifact | gate | accuracy drop | bytes | latency to float32's |
|---|---|---|---|---|
"""


def _auto(part: Mapping[str, Any]) -> str:
    rows = part["rows"]
    text = AUTO
    for name, item in rows.items():
        latency = "" if name.endswith("float32") else _ratio(item["latency_ratio"])
        text += f"| {name} | {item['verdict']} | {_points(item)} | {item['bytes']:,.0f} | {latency} |\n"
    recipe = part["recipe"]
    names, few = ", ".join(f"`{name}`" for name in recipe["layers"]), len(recipe["layers"]) <= recipe["of"] / 3
    met = rows["tflite/int8"]["verdict"] == "FAIL" and rows["tflite/mended"]["verdict"] == "PASS" and few
    return (
        f"{text}\nIn {recipe['precision']}: {len(recipe['layers'])} of {recipe['of']} layers, {names}. Bar: plain int8 FAILs, "
        f"`auto` passes with at most a third of the layers: {'met' if met else '**not met**'}.\n"
    )


def _ratio(value: float | None) -> str:
    return "not measured: the machine was too busy" if value is None else f"{value:.2f}"


ONCE = """\
## MobileNetV2-224: calibrate once, ten recipes

100 samples, random weights. The ten recipes are the five methods of `calibration_method`, each with int8 and
float32 ends; the seconds are those that `edgeship convert` shows for its steps.

| what | seconds |
|---|---|
"""


def _once(part: Mapping[str, Any]) -> str:
    rows = [f"| edgeship, {step} | {seconds:.1f} |" for step, seconds in part["steps"].items()]
    ours, each = sum(part["steps"].values()), part["mlir"]
    theirs = sum(each) / len(each) * part["stands_for"]
    rows.append(f"| edgeship in all | {ours:.1f} |")
    taken = ", ".join(f"{seconds:.1f}" for seconds in each)
    rows.append(f"| TFLite's converter (MLIR), its own calibration each time: {len(each)} conversions took | {taken} |")
    share = ours / theirs
    told = f"{part['stands_for']} such conversions, calculated from those {len(each)}: {theirs:.0f} s"
    verdict = "met" if share <= 1 / 12 else "**not met**"
    return (
        ONCE
        + "\n".join(rows)
        + f"\n\n{told}; edgeship took {share:.3f} of that (bar: at most 1/12 = 0.083): {verdict}.\n"
    )


PEERS = """\
## Quantizers side by side

Int8 of the same float model from the same {samples} calibration samples, measured in one run. SQNR and top-1 agreement
compare with the server model's outputs on the evaluation data (MobileNetV2 has random weights and no labels: its calibration
samples). Latency is to the float32 file of the same format, in turn. Seconds are those of calibrating and quantizing, without
imports; TFLite's converter converts as well in that time. `edgeship` is what `edgeship convert` makes by default: LiteRT's
quantizer on min-max ranges for `.tflite`, ONNX Runtime's for `.onnx`, with weights that overflow on no processor.
"""
NAMES = {
    "edgeship.tflite": "edgeship, `.tflite`",
    "mlir.tflite": "TFLite converter (MLIR)",
    "litert.tflite": "LiteRT's quantizer alone",
    "edgeship.onnx": "edgeship, `.onnx`",
    "ort.onnx": "ONNX Runtime's `quantize_static`",
    "nncf.onnx": "NNCF for ONNX",
    "neural-compressor.onnx": "Neural Compressor for ONNX",
}


FOREIGN = """
NNCF and Neural Compressor need environments of their own (`scripts/bench/optimize/foreign.py` says which), given as
`--foreign nncf=PYTHON`; a table that lacks them was made without.
"""


# What was seen in the tables of 2026-11-23, and where others win.
SEEN = {
    "motion": """
LiteRT's quantizer alone wins here, and so does NNCF: both leave the layer `normalize` in float32, which `edgeship debug` names
as most of what edgeship's own file loses with these 100 samples. With all 226 calibration samples plain int8 loses nothing (first
table of this task). `quantize = "auto"` ships nothing with the 100: on 1,200 test samples the gate is not sure of its margin.
""",
    "mobilenetv2": """
With random weights this model answers 0.001 for every class, whatever the picture: SQNR and agreement mean nothing here.
""",
}


def _side_by_side(name: str, part: Mapping[str, Any]) -> str:
    head = (
        "quantizer",
        "accuracy drop",
        "SQNR dB",
        "agreement",
        "bytes",
        "brotli",
        "latency",
        "int8 ops",
        "float ops",
        "seconds",
    )
    lines = [f"\n### {name}\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for peer, title in NAMES.items():
        if peer in part["failed"]:
            lines.append(f"| {title} | failed: {part['failed'][peer]}" + " |" * (len(head) - 1))
        elif peer in part["figures"]:
            lines.append(_peer(title, part["figures"][peer], part["seconds"][peer]))
    return "\n".join(lines) + "\n" + SEEN.get(name, "")


def _peer(title: str, item: Mapping[str, Any], seconds: float) -> str:
    values = {metric["name"]: metric["value"] for metric in item["metrics"]}
    accuracy, ratio = item["details"].get("accuracy"), item["details"].get("latency_ratio") or {}
    drop = _points(accuracy) if accuracy else "no labels"
    latency = (
        f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio.get("value") else "machine too busy"
    )
    figures = (
        *(title, drop, f"{values['sqnr_db']:.1f}", f"{values['agreement']:.2%}", f"{values['size_disk_bytes']:,}"),
        *(
            f"{values['size_brotli_bytes']:,}",
            latency,
            f"{item['int8_ops']:.0%}",
            str(item["islands"]),
            f"{seconds:.1f}",
        ),
    )
    return f"| {' | '.join(figures)} |"

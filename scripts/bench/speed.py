"""`make bench`: edgeship's own speed as ratios, each pair taken in one run, written to docs/results/benchmarks.md.

Absolute times stand beside the ratios to show their scale; they are this machine's and this moment's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from scripts import RESULTS, ROOT
from scripts.bench import goldens, parts, same_file
from scripts.bench.parts import EDGESHIP

BARE = [sys.executable, "-m", "scripts.bench.bare"]


def timed(command: list[str], **env: str) -> tuple[float, str]:
    """Seconds that a command took, and its standard output; its failure is ours."""
    start = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    # Exit code 1 is a gate's verdict, not a failure to run.
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def conversion(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """MobileNetV2-224 in three formats, float32 and 8-bit, 100 samples: edgeship against the converters' own calls."""
    model, data = folder / "mobilenetv2.keras", folder / "calibration.npz"
    timed([*BARE, "prepare", str(model), str(data)])
    bare, ours, rerun = [], [], []
    parts: Mapping[str, float] = {}
    for number in range(rounds):
        seconds, out = timed([*BARE, "convert", str(model), str(data), str(folder / f"bare{number}")])
        bare.append(seconds)
        parts = json.loads(out.splitlines()[-1])
        cache, bundle = {"EDGESHIP_CACHE": str(folder / f"cache{number}")}, folder / f"bundle{number}"
        command = [*EDGESHIP, "convert", str(model), "--out", str(bundle), "--data", str(data), "--samples", "100"]
        ours.append(timed(command, **cache)[0])
        rerun.append(timed(command, **cache)[0])
    told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())
    return [
        row(
            "`convert` of MobileNetV2-224: 3 formats, float32 and 8-bit, 100 samples, receipts and goldens included",
            f"the converters' own calls in one process ({told} s)",
            ours,
            bare,
            "at most 0.55",
        ),
        row("the same `convert` again, nothing changed", "its first run", rerun, ours, "at most 3 s"),
        *shipped(folder, model, data, bare[-1]),
    ]


def shipped(folder: Path, model: Path, data: Path, bare: float) -> list[dict[str, Any]]:
    """`ship` of the same, which also measures every artifact: most of its time is LoadGen's, which no converter spends."""
    config, cache = folder / "edgeship.toml", {"EDGESHIP_CACHE": str(folder / "ship-large")}
    # The weights are random and there are no labels: parity is what can be judged.
    config.write_text(
        f'[data]\nevaluation = "{data}"\n[budget]\naccuracy = "none"\nmin_sqnr_db = 0\n', encoding="utf-8"
    )
    command = [*EDGESHIP, "ship", str(model), "--out", str(folder / "shipped"), "--config", str(config)]
    command += ["--data", str(data), "--samples", "100"]
    first, again = timed(command, **cache)[0], timed(command, **cache)[0]
    return [
        row(
            "`ship` of the same: converted, measured, judged, with a report",
            "the converters' calls",
            [first],
            [bare],
            "",
        ),
        row("the same `ship` again, nothing changed", "its first run", [again], [first], "at most 3 s"),
    ]


def shipping(folder: Path) -> list[dict[str, Any]]:
    """`ship` of a small trained model, then the same again."""
    cache = {"EDGESHIP_CACHE": str(folder / "ship-cache")}
    timed([*EDGESHIP, "train", "motion", "--out", str(folder / "motion"), "--epochs", "2"])
    command = [*EDGESHIP, "ship", str(folder / "motion" / "server.keras"), "--out", str(folder / "motion-bundle")]
    data = [
        "--data",
        str(folder / "motion" / "calibration.npz"),
        "--evaluation",
        str(folder / "motion" / "evaluation.npz"),
    ]
    first, second = timed(command + data, **cache)[0], timed(command + data, **cache)[0]
    return [row("`ship` of the motion model again, nothing changed", "its first run", [second], [first], "at most 3 s")]


def throughput(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Samples per second through a session against a bare loop over the same interpreter with the same batch."""
    model, data, bundle = folder / "small.keras", folder / "small.npz", folder / "small"
    timed([*BARE, "small", str(model), str(data)])
    timed([*EDGESHIP, "convert", str(model), "--out", str(bundle), "--data", str(data), "--to", "tflite"])
    rows = []
    for name in ("float32", "int8"):
        out = timed([*BARE, "throughput", str(bundle / "tflite" / f"{name}.tflite"), str(rounds)])[1]
        figures = json.loads(out.splitlines()[-1])
        what = f"evaluation of 10,000 28x28 images, {name}: samples per second"
        rows.append(
            row(
                what,
                "a bare loop over the same interpreter",
                figures["session"],
                figures["bare"],
                "at least 0.80",
                "/s",
            )
        )
    return rows


def own_copies(folder: Path) -> list[dict[str, Any]]:
    """Whether the instrument itself tells the truth: files against their own copies."""
    model, data, bundle = folder / "same.keras", folder / "same.npz", folder / "same"
    timed([*BARE, "small", str(model), str(data)])
    timed([*EDGESHIP, "convert", str(model), "--out", str(bundle), "--data", str(data), "--to", "tflite,onnx"])
    files = {"litert": bundle / "tflite" / "int8.tflite", "onnxruntime": bundle / "onnx" / "int8.onnx"}
    return [same_file.row(file, folder, runtime) for runtime, file in files.items()]


def replayed(folder: Path) -> list[dict[str, Any]]:
    """Whether a right device passes the goldens."""
    home, bundle = folder / "fashion-mnist", folder / "fashion-mnist-bundle"
    timed([*EDGESHIP, "train", "fashion-mnist", "--out", str(home), "--epochs", "2"])
    command = [*EDGESHIP, "convert", str(home / "server.keras"), "--out", str(bundle), "--to", "tflite"]
    timed([*command, "--data", str(home / "calibration.npz")])
    return [goldens.row(bundle, home / "evaluation.npz")]


def start_up(rounds: int) -> list[dict[str, Any]]:
    """`edgeship --help` against an interpreter that does nothing."""
    ours = [timed([*EDGESHIP, "--help"])[0] for _ in range(rounds)]
    nothing = [timed([sys.executable, "-c", "pass"])[0] for _ in range(rounds)]
    return [row("`edgeship --help`", "`python -c pass`", ours, nothing, "at most 0.25 s")]


def row(what: str, against: str, ours: list[float], theirs: list[float], bar: str, unit: str = "s") -> dict[str, Any]:
    """One line of the table; ratios are taken pairwise, then their median."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "what": what,
        "against": against,
        "ours": f"{statistics.median(ours):,.3g} {unit}" if unit == "s" else f"{statistics.median(ours):,.0f}{unit}",
        "theirs": f"{statistics.median(theirs):,.3g} {unit}"
        if unit == "s"
        else f"{statistics.median(theirs):,.0f}{unit}",
        "ratio": statistics.median(ratios),
        "spread": f"{min(ratios):.2f} to {max(ratios):.2f}" if len(ratios) > 1 else "one run",
        "bar": bar,
    }


def machine_line() -> str:
    """The machine in one line."""
    from edgeship.devices import machine

    found = machine.describe_machine()
    return f"{found['cpu']}, {found['cores']} cores, {found['system']}, Python {found['python']}"


MORE = """

Further figures, each by a command of its own: [optimizing](optimize.md) (`make bench-optimize`), [the browser](browser.md)
(`make bench-browser`), [devices](devices.md) (`make bench-devices`), [the gate's own test](mutants.md) (`make mutants`).
"""


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """The Markdown table."""
    lines = [
        "# Benchmarks of edgeship itself",
        "",
        f"Written by `make bench` on {date.today().isoformat()}: {machine_line()}. Each line compares two things in one run;",
        "the ratio is the median over its rounds. Absolute times are this machine's and vary with what else it does.",
        "",
        "| what | edgeship | against | that | ratio | rounds | bar |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in rows:
        cells = (
            item["what"],
            item["ours"],
            item["against"],
            item["theirs"],
            f"{item['ratio']:.2f}",
            item["spread"],
            item["bar"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    path.write_text("\n".join(lines) + MORE, encoding="utf-8")


def main() -> None:
    """Take what was asked for (all by default), and write the table of all parts that there are."""
    names = ["conversion", "shipping", "throughput", "start_up", "same_file", "replayed"]
    parser = parts.parser(__doc__, names, ROOT / "runs" / "bench", RESULTS / "benchmarks.md")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edgeship-bench-") as name:
        folder = Path(name)
        kinds: dict[str, Callable[[], list[dict[str, Any]]]] = {
            "conversion": lambda: conversion(folder, given.rounds),
            "shipping": lambda: shipping(folder),
            "throughput": lambda: throughput(folder, given.rounds),
            "start_up": lambda: start_up(10),
            "same_file": lambda: own_copies(folder),
            "replayed": lambda: replayed(folder),
        }
        found = parts.take(kinds, given.only, given.work)
    rows = [item for part in found.values() for item in part]
    print("\n".join(f"{item['what']}: {item['ours']} / {item['theirs']} = {item['ratio']:.3f}" for item in rows))
    write(rows, given.out)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()

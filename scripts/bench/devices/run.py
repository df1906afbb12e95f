"""`make bench-devices`: what emulated and estimated devices say of a few models, written to docs/results/devices.md.

Everything but the sparse files goes through the command line. Each part keeps what it found in the work folder, so that one
can be taken again alone (`--only`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgeship.benchmarks.measure import instructions
from edgeship.devices.profiles import find_device, profile_names, profile_path
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.launchers.launcher import InstructionCounter, devices_home
from edgeship.types import to_json
from scripts import RESULTS, ROOT
from scripts.bench import parts
from scripts.bench.devices.page import write
from scripts.bench.parts import EDGESHIP

MODELS = [sys.executable, "-m", "scripts.bench.devices.models"]
CORES = ("cortex-a53", "cortex-a72", "cortex-a76")
NPUS = ("ethos-u55-128", "ethos-u65-256", "ethos-u85-256")
MATRIX = ("host", *CORES, "field-litert-1.4", "field-ort-1.17", "cortex-m", NPUS[0])
RUNS = 5
IMAGES = 2000
SPARSITY = "0.8"
DEFAULT, BARE, LARGE, ONE, THREE = (
    "fashion-mnist",
    "fashion-mnist-logits",
    "mobilenetv2",
    "mobilenetv1-96x96x1",
    "mobilenetv1-96x96x3",
)
Json = dict[str, Any]


def call(command: list[str], **env: str) -> str:
    """Standard output of a command; its failure is ours, but for exit code 1: a gate's verdict."""
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout.startswith("{")):
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def prepare(work: Path) -> None:
    """The models, each in a folder without evaluation data, and their bundles."""
    default = work / DEFAULT
    if not (default / "server.keras").exists():
        call([*EDGESHIP, "train", DEFAULT, "--out", str(default)])
        (default / "evaluation.npz").rename(default / "labelled.npz")  # not found by itself: counting needs none
    if not all((work / name).exists() for name in (LARGE, ONE, THREE)):
        call([*MODELS, "applications", str(work)])
    if not (work / BARE).exists():
        (work / BARE).mkdir()
        call([*MODELS, "logits", str(default / "server.keras"), str(work / BARE / "server.keras")])
        shutil.copy(default / "calibration.npz", work / BARE)
    for name in (DEFAULT, BARE, LARGE, ONE, THREE):
        converted(work / name, "bundle", "float32,int8")
    call([*EDGESHIP, "devices", "install", *CORES, *NPUS, "cortex-m"])


def converted(folder: Path, name: str, variants: str, formats: str = "tflite") -> Path:
    """A bundle of the folder's model."""
    bundle = folder / name
    if not bundle.exists():
        command = [*EDGESHIP, "convert", str(folder / "server.keras"), "--out", str(bundle), "--to", formats]
        call([*command, "--variant", variants, "--data", str(folder / "calibration.npz")])
    return bundle


def benchmark(bundle: Path, devices: str, *options: str, **env: str) -> list[Json]:
    """The measurements that the command gives."""
    told = call([*EDGESHIP, "benchmark", str(bundle), "--device", devices, "--json", "-", *options], **env)
    found: list[Json] = json.loads(told)["measurements"]
    return found


def parity(work: Path) -> Json:
    """The default task's int8 file on the cores against this machine, on its first test images; also without softmax."""
    profiles = work / "profiles"
    profiles.mkdir(exist_ok=True)
    for name in CORES:  # the built-in profiles with time enough, and without the count of instructions
        text = re.sub(r"(?m)^seconds = .*", "seconds = 3600", profile_path(name).read_text(encoding="utf-8"))
        (profiles / f"{name}.toml").write_text(text.replace('"quality", "instructions"', '"quality"'), encoding="utf-8")
    devices, data = ",".join(str(profiles / f"{name}.toml") for name in CORES), str(work / "images.npz")
    with np.load(work / DEFAULT / "labelled.npz") as whole:
        np.savez(data, **{name: whole[name][:IMAGES] for name in whole.files})
    rows = {}
    for model in (DEFAULT, BARE):
        bundle = converted(work / model, "int8", "int8")
        for item in benchmark(bundle, devices, "--data", data):
            details = item["details"]
            keys = ("values", "differ", "steps", "max_abs_error", "agreement")
            rows[f"{model} {item['artifact']} {item['device']}"] = {
                "n": details["samples"]["n"],
                "accuracy": details["accuracy"]["value"],
                "against": details["bit_exactness"]["against"],
                **{key: details["bit_exactness"][key] for key in keys},
            }
    return rows


def counts(work: Path) -> Json:
    """Instructions of both models on the cores, each run from an empty cache; the Cortex-A72 in all of them."""
    rows: Json = {}
    for run in range(RUNS):
        cache = fresh(work, run)
        for name in (DEFAULT, LARGE):
            devices = ",".join(CORES if run == 0 else ("cortex-a72",))
            for item in benchmark(work / name / "bundle", devices, EDGESHIP_CACHE=str(cache)):
                found = item["details"]["instructions"]
                row = rows.setdefault(f"{name} {item['artifact']} {item['device']}", {**found, "runs": []})
                row["runs"].append(found["total"])
        parts.keep(work, "counts", dated(rows))  # the runs so far
    return rows


def dated(rows: Json) -> Json:
    """What a part has found, with the day."""
    return {"date": date.today().isoformat(), "rows": rows}


def fresh(work: Path, run: int) -> Path:
    """A cache without results, with the installed devices."""
    cache = work / f"cache{run}"
    cache.mkdir(exist_ok=True)
    if not (cache / "devices").exists():
        (cache / "devices").symlink_to(devices_home())
    for result in ("instructions", "doctor"):
        shutil.rmtree(cache / result, ignore_errors=True)
    return cache


def zeros(work: Path) -> Json:
    """Float models with zeros, stored as they are and in TFLite's sparse encoding, counted alike; not trained again."""
    rows: Json = {}
    counter = cast(InstructionCounter, find_launcher(find_device("cortex-a72")))
    for name in (DEFAULT, LARGE):
        out = work / name / "sparse"
        if not out.exists():
            out.mkdir()
            call([*MODELS, "sparse", str(work / name / "server.keras"), str(out), SPARSITY])
        for kind in ("dense", "sparse"):
            path = out / f"{kind}.tflite"
            found = instructions.count_instructions(counter, "litert", path, {})
            rows[f"{name} {kind} cortex-a72"] = {**to_json(found), "bytes": path.stat().st_size}
    return rows


def micro(work: Path) -> Json:
    """Arena, operators and estimated cycles of the int8 files."""
    rows: Json = {}
    for name in (DEFAULT, ONE, THREE):
        data = work / name / ("labelled.npz" if name == DEFAULT else "random.npz")
        for item in benchmark(work / name / "bundle", ",".join(("cortex-m", *NPUS)), "--data", str(data)):
            if item["artifact"] != "tflite/int8":
                continue
            cell, details = item["details"]["cell"], item["details"]
            rows[f"{name} {item['device']}"] = {
                "cell": cell["text"],
                "bytes": details["size"]["disk"],
                **(details.get("compiler") or {}),
                **{key: value for key, value in (details.get("engine") or {}).items() if key.startswith("arena")},
            }
    return rows


def field(work: Path) -> Json:
    """The default task's artifacts on the older runtimes, each set up anew from the package cache (the seconds say so)."""
    default = work / DEFAULT
    bundle = converted(default, "field", "float32,float16,int8,dynamic_w8", "tflite,onnx")
    fields = [name for name in profile_names() if name.startswith("field-")]
    call([*EDGESHIP, "devices", "install", *fields])  # now the package cache is warm
    rows: Json = {"seconds": {}}
    for name in fields:
        shutil.rmtree(work / "anew", ignore_errors=True)
        start = time.perf_counter()
        call([*EDGESHIP, "devices", "install", name], EDGESHIP_CACHE=str(work / "anew"))
        rows["seconds"][name] = time.perf_counter() - start
    for item in benchmark(bundle, ",".join(fields), "--data", str(default / "labelled.npz")):
        cell = item["details"]["cell"]
        if cell["state"] != "refused":
            why = cell.get("why") or cell["reason"]
            rows[f"{item['artifact']} {item['device']}"] = {"text": cell["text"], "why": why, "said": cell["reason"]}
    return rows


def matrix(work: Path) -> Json:
    """Seconds that the default task's four artifacts take on eight installed devices, from an empty cache and twice again."""
    default = work / DEFAULT
    bundle = converted(default, "matrix", "float32,int8", "tflite,onnx")
    call([*EDGESHIP, "devices", "install", *MATRIX[1:]])
    cache = work / "matrix-cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    (cache / "devices").symlink_to(devices_home())
    seconds: list[float] = []
    cells: Json = {}
    for _ in range(3):
        start = time.perf_counter()
        found = benchmark(bundle, ",".join(MATRIX), "--data", str(default / "labelled.npz"), EDGESHIP_CACHE=str(cache))
        seconds.append(time.perf_counter() - start)
        cells = {
            f"{item['artifact']} {item['device']}": item["details"].get("cell", {}).get("text", "") for item in found
        }
    return {"seconds": seconds, "cells": cells}


PARTS: dict[str, Callable[[Path], Json]] = {
    "parity": parity,
    "counts": counts,
    "zeros": zeros,
    "micro": micro,
    "field": field,
    "matrix": matrix,
}


def main() -> None:
    """Take the parts asked for; write the page with all that was taken so far."""
    given = parts.parser(__doc__, PARTS, ROOT / "runs" / "devices", RESULTS / "devices.md").parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    prepare(work)
    taken = {name: lambda part=part: dated(part(work)) for name, part in PARTS.items()}
    write(parts.take(taken, given.only, work), given.out)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()

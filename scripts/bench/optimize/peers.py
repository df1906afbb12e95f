"""Parts of `make bench-optimize`: quantizers side by side, and calibrating once for ten recipes."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgeship.processes.child import FunctionProcess
from edgeship.recipes import quantization
from scripts import ROOT
from scripts.bench.optimize import quantizers
from scripts.bench.parts import EDGESHIP

MOBILENET = "mobilenetv2"
CONVERSIONS, RECIPES = 2, 10  # conversions that are timed, and how many they stand for
FOREIGN: dict[str, str] = {}  # quantizers of other projects, each with the Python of an environment that has it
STEP = re.compile(r"done (tflite|onnx): (calibrate.*|quantize to \S+) ([\d.]+) s( \(cached\))?$")


def model(name: str, work: Path) -> tuple[Path, Path, Path]:
    """The server model with calibration and evaluation data: a trained task's, or MobileNetV2-224 with random weights."""
    home = work / name
    if name != MOBILENET:
        return home / "server.keras", home / "calibration.npz", home / "evaluation.npz"
    home.mkdir(exist_ok=True)
    made, data = home / "server.keras", home / "calibration.npz"
    if not made.is_file():
        bare = [sys.executable, "-m", "scripts.bench.bare", "prepare", str(made), str(data)]
        subprocess.run(bare, check=True, stderr=subprocess.DEVNULL)
    return made, data, data


def steps(*arguments: object, cache: Path) -> dict[str, float]:
    """Run `edgeship convert` in a fresh cache; the seconds of its calibrations and quantizations."""
    shutil.rmtree(cache, ignore_errors=True)
    command = [*EDGESHIP, "convert", *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, "EDGESHIP_CACHE": str(cache)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found = (STEP.search(line) for line in done.stderr.splitlines())
    return {f"{item[1]}: {item[2]}": float(item[3]) for item in found if item and not item[4]}


def once(name: str, work: Path) -> dict[str, Any]:
    """One calibration, ten recipes, against conversions that calibrate each time."""
    server, data, _ = model(MOBILENET, work)
    home = server.parent
    kinds = itertools.product(quantization.CALIBRATION_METHODS, quantization.IO_TYPES)
    names = {f"{kind}-{io}": (kind, io) for kind, io in kinds}
    if len(names) != RECIPES:
        sys.exit(f"{len(names)} recipes, the page says {RECIPES}")
    tables = [
        f'[variants.{key}]\nquantize = "static_w8a8"\nformats = ["tflite"]\ncalibration_method = "{kind}"\nio = "{io}"\n'
        for key, (kind, io) in names.items()
    ]
    (home / "ten.toml").write_text('[data]\ncalibration = "calibration.npz"\n' + "".join(tables), encoding="utf-8")
    given = ["--config", home / "ten.toml", "--samples", quantizers.COUNT, "--to", "tflite"]
    seconds = steps(server, "--out", home / "ten", *given, cache=home / "ten-cache")
    with FunctionProcess(env={"PYTHONPATH": str(ROOT)}) as process:
        mlir = process.call(
            "scripts.bench.optimize.quantizers:conversions",
            model=str(server),
            data=str(data),
            out=str(home / "mlir"),
            count=CONVERSIONS,
        )
    return {"steps": seconds, "mlir": mlir, "stands_for": RECIPES}


def side_by_side(name: str, work: Path) -> dict[str, Any]:
    """Every quantizer on one model, with the same calibration samples."""
    server, calibration, evaluation = model(name, work)
    out = server.parent / "peers"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    bundle = out / "bundle"
    given = ["--data", calibration, "--samples", quantizers.COUNT, "--to", "tflite,onnx"]
    own = steps(
        server, "--out", bundle, *given, "--variant", "float32,int8", "--config", _empty(out), cache=out / "cache"
    )
    floats = {form: str(bundle / form / f"float32.{form}") for form in ("tflite", "onnx")}
    with FunctionProcess(env={"PYTHONPATH": str(ROOT)}) as process:
        peers = process.call(
            "scripts.bench.optimize.quantizers:run",
            model=str(server),
            float_tflite=floats["tflite"],
            float_onnx=floats["onnx"],
            data=str(calibration),
            out=str(out),
        )
        answers = out / "answers.npz"
        process.call(
            "edgeship.server_model.server_model:predict_file",
            model=str(server),
            data=str(evaluation),
            out_npz=str(answers),
        )
    peers |= {f"{tool}.onnx": _foreign(tool, floats["onnx"], calibration, out / f"{tool}.onnx") for tool in FOREIGN}
    made = {f"edgeship.{form}": str(bundle / form / f"int8.{form}") for form in floats}
    made |= {peer: str(out / peer) for peer, told in peers.items() if "failed" not in told}
    figures = quantizers.judge(made, floats, str(server), str(evaluation), str(answers), None)
    seconds = {f"edgeship.{form}": sum(took for step, took in own.items() if step.startswith(form)) for form in floats}
    seconds |= {peer: told["seconds"] for peer, told in peers.items() if "seconds" in told}
    failed = {peer: told["failed"] for peer, told in peers.items() if "failed" in told}
    return {"figures": figures, "seconds": seconds, "failed": failed, "samples": quantizers.COUNT}


def _foreign(tool: str, model: str, data: Path, out: Path) -> dict[str, Any]:
    """Run another project's quantizer in its own environment."""
    command = [FOREIGN[tool], str(Path(__file__).with_name("foreign.py")), tool, model, str(data), str(out)]
    done = subprocess.run([*command, str(quantizers.COUNT)], capture_output=True, text=True, check=False)
    if done.returncode or not out.is_file():
        return {"failed": (done.stderr.strip().splitlines() or ["no file"])[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _empty(folder: Path) -> Path:
    path = folder / "empty.toml"
    path.write_text("", encoding="utf-8")
    return path

"""`python -m edgeship_client.selftest [DEVICE]`: the goldens on this device, as JSON; exit code 0 where all passed."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import contract
from .core import Array, Case, Edge, Input, preprocess, quantize, top
from .predict import MODEL, Predictor

GOLDENS = Path(__file__).parents[1] / "goldens"
RAW_DTYPES = {"image": "<u1", "audio": "<i2"}
# Goldens may hold no halves: numbers that do, with the integers that they must become.
ROUNDED = Edge(0, "int8", (8,), 0.5, 3)
HALVES = {0.25: 3, 0.75: 5, 1.25: 5, -0.25: 3, -0.75: 1, 1e9: 127, -1e9: -128, 61.75: 127}


@dataclass
class _Run:
    predictor: Predictor | None
    failures: list[dict[str, str]] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)

    def fail(self, case: str, what: str, detail: object) -> None:
        self.failures.append({"case": case, "what": what, "detail": str(detail)})


def run_selftest(model: Path = MODEL, goldens: Path = GOLDENS, device: str = "this device") -> dict[str, Any]:
    """Replay every golden through the model; the result is what `edgeship report --add` takes."""
    run = _Run(None)
    try:
        if contract.MODEL_DIGEST and hashlib.sha256(model.read_bytes()).hexdigest() != contract.MODEL_DIGEST:
            run.fail("model", "model", "another file than this client was generated for")
        run.predictor = Predictor(model)
    except (OSError, RuntimeError, ValueError) as error:
        run.fail("model", "model", error)
    if not np.array_equal(quantize(ROUNDED, np.array(list(HALVES), np.float32)), list(HALVES.values())):
        run.fail(
            "rounding", "tensor", "quantize does not round halves to even, add the zero point, or keep to the range"
        )
    for case in contract.CASES:
        _replay(run, goldens, case)
    return {
        "schema": 1,
        "kind": "edgeship-selftest",
        "client": "python",
        "bundle": contract.BUNDLE,
        "artifact": contract.ARTIFACT,
        "artifactDigest": contract.MODEL_DIGEST,
        "engine": run.predictor.engine.name if run.predictor else "none",
        "device": device,
        "samples": len(contract.CASES),
        "failures": run.failures,
        "outputs": {item.name: _judge_output(run.errors.get(item.name), item.tolerance) for item in contract.OUTPUTS},
        "preprocessing": not any(failure["what"] in ("tensor", "raw") for failure in run.failures),
        "passed": not run.failures,
    }


def _judge_output(error: float | None, tolerance: float) -> dict[str, Any]:
    known = error if error is not None and math.isfinite(error) else None
    return {"maxAbsError": known, "tolerance": tolerance, "passed": known is not None and known <= tolerance}


def _replay(run: _Run, goldens: Path, case: Case) -> None:
    before, tensors = len(run.failures), []
    for position, given in enumerate(contract.INPUTS):
        try:
            wanted = np.fromfile(goldens / f"{case.name}.{given.name}.tensor", "<f4")
            tensor = preprocess(
                given, _read_raw(goldens, case, position, given), orientation=case.raws[position].orientation
            )
        except OSError as error:
            run.fail(case.name, "raw", error)
            continue
        except ValueError as error:
            run.fail(case.name, "tensor", error)
            continue
        if tensor.astype("<f4").tobytes() != wanted.tobytes():
            run.fail(case.name, "tensor", f"'{given.name}' has other values than the golden")
        tensors.append(tensor)
    if len(run.failures) > before or not run.predictor:
        return  # the model would not be given what it should be
    for output, values in zip(contract.OUTPUTS, run.predictor.answer(tensors), strict=True):
        _compare(run, goldens, case, output.name, values.ravel())


def _read_raw(goldens: Path, case: Case, position: int, given: Input) -> Array | list[str | float]:
    if given.kind == "table":
        return list((goldens / f"{case.name}.{given.name}.raw").read_text(encoding="utf-8").split("\n")[:-1])
    raw = np.fromfile(goldens / f"{case.name}.{given.name}.raw", RAW_DTYPES.get(given.kind, "<f4"))
    form = case.raws[position]
    return raw.reshape(form.height, form.width, form.channels) if given.kind == "image" else raw


def _compare(run: _Run, goldens: Path, case: Case, name: str, values: Array) -> None:
    output = next(item for item in contract.OUTPUTS if item.name == name)
    try:
        wanted = np.fromfile(goldens / f"{case.name}.{name}.{contract.ARTIFACT.replace('/', '-')}", "<f4")
    except OSError as error:
        run.fail(case.name, "raw", error)
        return
    same = (values == wanted) | (np.isnan(values) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(values.astype(float) - wanted))
    worst = float(np.where(np.isnan(apart), np.inf, apart).max(initial=0.0))
    run.errors[name] = max(worst, run.errors.get(name, 0.0))
    if not worst <= output.tolerance:
        run.fail(case.name, "output", f"'{name}' is off by {worst:.3g}, allowed are {output.tolerance:.3g}")
    if case.clear and case.label and output.labels:
        best = top(values, 1, output.labels)[0][1]
        if best != case.label:
            run.fail(case.name, "label", f"{best}, not {case.label}")


if __name__ == "__main__":
    result = run_selftest(device=sys.argv[1] if len(sys.argv) > 1 else "this device")
    print(json.dumps(result, indent=1, allow_nan=False))
    sys.exit(0 if result["passed"] else 1)

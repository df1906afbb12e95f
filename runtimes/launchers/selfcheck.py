"""Known models with known outputs: an emulator or a runtime that computes wrongly is found before anybody believes it.

`known.npz` holds, per runtime, a model's file (`<runtime>_model`), inputs and the outputs that it must give, as the artifact
stores them. They were made by this machine's runtimes; scripts/maintain/known_models.py makes them again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import load
from edgeship.errors import EdgeshipError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.runtimes.launchers.launcher import Launcher
from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker_pool import Pool

FILE = Path(__file__).parent / "known.npz"
KNOWN = ("tflite", "onnx")
# Right kernels differ from each other by a few quantization steps of 256 (or hundredths, where outputs are float): reference
# kernels and XNNPACK by up to 9 here. A wrong one is off by a large part of the scale.
STEPS, REAL = 16, 0.07


@dataclass(frozen=True)
class Finding:
    """What a runtime of a device computed: `wrong` says how it failed, empty where it is right."""

    device: str
    runtime: str
    largest: float | None
    unit: str
    wrong: str = ""


def known_model(runtime: str) -> str | None:
    """The format of the known model that a runtime runs; None where there is none for it."""
    described = registry.find(runtime)
    return next((kind for kind in described.formats if kind in KNOWN), None) if described.distribution else None


def examine_runtime(place: Launcher, runtime: str, pool: Pool | None = None) -> Finding:
    """Run the known model of a runtime on a device and compare with what it must give."""
    name = place.device.name
    arrays = load(FILE)
    kind = known_model(runtime)
    if kind is None:
        raise InputError(f"there is no known model for {runtime}")
    reference = arrays[f"{kind}_outputs"]
    unit = "steps" if reference.dtype.kind in "iu" else "of full scale"
    limit = STEPS if unit == "steps" else REAL
    try:
        outputs = _run_known_model(place, runtime, kind, arrays, pool)
    except EdgeshipError as error:
        return Finding(name, runtime, None, unit, f"it does not run: {error}")
    if outputs.shape != reference.shape or outputs.dtype != reference.dtype:
        return Finding(name, runtime, None, unit, f"it gives {outputs.dtype} {outputs.shape}")
    largest = float(np.abs(outputs.astype(np.float64) - reference.astype(np.float64)).max())
    if not largest <= limit:  # NaN is wrong too
        share = float((outputs != reference).mean())
        wrong = f"it computes wrongly: off by up to {largest:g} {unit} ({share:.0%} of the values differ)"
        return Finding(name, runtime, largest, unit, wrong)
    return Finding(name, runtime, largest, unit)


def _run_known_model(place: Launcher, runtime: str, kind: str, arrays: dict[str, Any], pool: Pool | None) -> Any:
    with tempfile.TemporaryDirectory(prefix="edgeship-doctor-") as folder:
        path = Path(folder) / f"known.{kind}"
        path.write_bytes(arrays[f"{kind}_model"].tobytes())
        with open_session(runtime, path, launch=place.launch(runtime), pool=pool, timeout=120) as session:
            feeds = {session.inputs[0].name: arrays[f"{kind}_inputs"]}
            return next(iter(session.evaluate_stored(iter([feeds]), len(arrays[f"{kind}_inputs"]), raw=True).values()))

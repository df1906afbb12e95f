"""How often a right device fails goldens: with the tolerance that was measured, and with the one that was assumed before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle import goldens
from edgeship.bundle.bundle import open_bundle
from edgeship.bundle.goldens import KernelSpread
from edgeship.data import Array, RepresentativeDataset
from edgeship.pipeline.golden_run import SPREAD_SAMPLES
from edgeship.runtimes.session import open_session
from edgeship.types import TensorSpec

DRAWS = 4000
BATCH = 250


def row(bundle: Path, data: Path, artifact: str = "tflite/int8") -> dict[str, Any]:
    """Draw goldens and the samples that their tolerance is measured on, over and over, from a test split.

    The device that replays them stands for one whose kernels are as far off as TFLite's built-in ones, at other samples
    than those that were measured: the tolerance is taken from `SPREAD_SAMPLES` others, never from the goldens.
    """
    found = open_bundle(bundle)
    (chosen,) = (item for item in found.artifacts if item.id == artifact)
    specs = found.manifest.server.inputs
    own, device = (_outputs(chosen.path, data, specs, kernels) for kernels in ("default", "without-delegates"))
    (name,) = own
    errors = np.abs(own[name].astype(np.float64) - device[name]).reshape(len(own[name]), -1).max(axis=1)
    random = np.random.default_rng(0)
    failed = {"measured": 0, "assumed": 0}
    for _ in range(DRAWS):
        picked = random.permutation(len(errors))[: SPREAD_SAMPLES + goldens.SAMPLES]
        replayed, others = picked[: goldens.SAMPLES], picked[goldens.SAMPLES :]
        drawn = {name: own[name][replayed]}
        spread = KernelSpread("without-delegates", SPREAD_SAMPLES, {name: float(errors[others].max())})
        for kind, spreads in (("measured", [spread]), ("assumed", [])):
            failed[kind] += bool(errors[replayed].max() > goldens.output_tolerances(chosen, drawn, spreads)[name])
    return {
        "what": f"{goldens.SAMPLES} goldens of {artifact} (Fashion-MNIST) replayed on TFLite's built-in kernels, {DRAWS:,} draws "
        "from the test images: share that fails",
        "ours": f"{failed['measured'] / DRAWS:.2%}",
        "against": "two steps or 2 % of the range, as was assumed before",
        "theirs": f"{failed['assumed'] / DRAWS:.1%}",
        "ratio": failed["measured"] / max(failed["assumed"], 1),
        "spread": f"{np.mean(errors > 0):.1%} of images differ, by {json.dumps(round(float(errors.max()), 3))} at most",
        "bar": "at most 1 %",
    }


def _outputs(path: Path, data: Path, specs: tuple[TensorSpec, ...], kernels: str) -> dict[str, Array]:
    with open_session("litert", path, options={"kernels": kernels}) as session:
        return session.evaluate(RepresentativeDataset(data).feeds(specs, BATCH), BATCH)

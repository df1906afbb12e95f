"""A bundle that learns, with heads of every kind, and its clients."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle, seal_bundle
from edgeship.client.learning.arithmetic import compute_scores, safe_rate
from edgeship.client.learning.package import open_package
from edgeship.storage import digest
from edgeship.types import to_json
from tests.deploy.codegen.conftest import edgeship
from tests.learning.head.conftest import Made, made  # noqa: F401
from tests.monitoring.golden_profile import add_profile

ACTIVATIONS = ("softmax", "sigmoid", "linear")


def change_head(bundle: Path, activation: str) -> Path:
    """Make the head of a bundle one of another kind, on the same base and features."""
    folder = bundle / "learning"
    manifest, package = open_bundle(bundle).manifest, open_package(folder)
    assert manifest.learning
    with np.load(folder / "replay.npz") as arrays:
        stored = dict(arrays)
    for part, samples in (("replay", package.replay), ("guard", package.guard)):
        scores = compute_scores(samples.features, package.head)
        both = samples.target + np.roll(samples.target, 1, axis=1)  # a sample has its class and the next
        ways = {
            "softmax": samples.target,
            "sigmoid": both,
            "linear": scores + np.sin(np.arange(scores.size)).reshape(scores.shape),
        }
        stored[f"{part}_target"] = ways[activation].astype(np.float32)
    np.savez(folder / "replay.npz", **stored)
    learning = replace(
        manifest.learning,
        activation=activation,  # type: ignore[arg-type]  # one of ACTIVATIONS
        rate=float(f"{safe_rate(package.replay.features, activation):.3g}"),
        files={**manifest.learning.files, "replay.npz": digest.of_path(folder / "replay.npz")},
    )
    (folder / "learning.json").write_text(json.dumps(to_json(learning)))
    seal_bundle(bundle, replace(manifest, learning=learning))
    return bundle


@pytest.fixture(scope="session")
def bundle_of(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:  # noqa: F811
    """The bundle whose head has that activation."""
    known: dict[str, Path] = {}

    def find(activation: str) -> Path:
        if activation not in known:
            copy = shutil.copytree(made.bundle, tmp_path_factory.mktemp(activation) / "bundle")
            add_profile(copy)  # its clients count, too
            known[activation] = copy if activation == "softmax" else change_head(copy, activation)
        return known[activation]

    return find


@pytest.fixture(scope="session")
def learning_clients(bundle_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """C and Python."""
    out = tmp_path_factory.mktemp("learning-clients")
    edgeship("deploy", "codegen", bundle_of("softmax"), "--for", "c,python", "--out", out, "--artifact", "tflite/int8")
    return out

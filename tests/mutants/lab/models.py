"""The trained models that mutants are made of, and the stale ones: real data, fixed seeds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgeship.train import launch
from tests.mutants.lab.bench import Lab

# model: epochs, then those of the one "at an earlier epoch" (None: the task's own number).
TASKS = {"motion": (None, 3), "fashion-mnist": (2, 1)}
# Of the models that tests train: `make test-seeds` shows that no test hangs on what the training with one seed gives.
SEED = int(os.environ.get("EDGESHIP_TEST_SEED", "0"))


def train(folder: Path, name: str, **options: Any) -> None:
    """A built-in task, where it has not been trained in that folder yet."""
    if not (folder / "server.keras").exists():
        launch.train(name, folder, **options)


def prepare(lab: Lab, root: Path, name: str) -> None:
    """Train a model and its stale brothers below `root`, as `matrix.run` expects them."""
    if name == "pair":
        pair(lab, root)
        return
    epochs, fewer = TASKS[name]
    train(root / name, name, epochs=epochs)
    train(root / f"{name}-other-seed", name, epochs=epochs, seed=1)
    train(root / f"{name}-earlier-epoch", name, epochs=fewer)


def prepare_small(lab: Lab, root: Path, name: str) -> None:
    """The same models, trained shorter, without stale ones (tests/e2e splices one into a bundle)."""
    if name == "pair":
        pair(lab, root, SEED)
    elif name == "motion":
        train(root / name, name, epochs=5, seed=SEED)
    else:
        train(root / name, name, epochs=1, seed=SEED)


def pair(lab: Lab, root: Path, seed: int = 0) -> None:
    """The model with two inputs and two outputs."""
    folder = root / "pair"
    if not (folder / "server.keras").exists():
        folder.mkdir(parents=True, exist_ok=True)
        lab.executors.export.call("tests.mutants.lab.keras_side:tabular", out=str(folder), seed=seed)

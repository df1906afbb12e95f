"""Tests that need a real Chromium and the built page: skipped with the reason where one is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeship.data import Batch
from edgeship.runtimes.browser import found


@pytest.fixture(scope="session")
def chromium() -> None:
    reason = found.unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def images(tiny_models: Path) -> Batch:
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"image": arrays["cnn/inputs/image"]}


@pytest.fixture(scope="session")
def expected(tiny_models: Path) -> Batch:
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"probs": arrays["cnn/outputs/probs"]}

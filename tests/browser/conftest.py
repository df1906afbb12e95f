"""Tests that need a real Chromium: skipped with the reason where it is not there, failing in CI."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgeship.data import Batch
from edgeship.runtimes.browser import found


@pytest.fixture(scope="session")
def chromium() -> None:
    reason = found.unavailable()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)
    assert not reason


@pytest.fixture(scope="session")
def images(tiny_models: Path) -> Batch:
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"image": arrays["cnn/inputs/image"]}


@pytest.fixture(scope="session")
def expected(tiny_models: Path) -> Batch:
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"probs": arrays["cnn/outputs/probs"]}

"""Tests that need a real Chromium and the built page: skipped with the reason where one is not there, but in CI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from edgeship.data import Batch
from edgeship.runtimes.browser import requirements


@pytest.fixture(scope="session")
def chromium(missing: Callable[[str], NoReturn]) -> None:
    if reason := requirements.unavailable_reason():
        missing(reason)


@pytest.fixture(scope="session")
def images(tiny_models: Path) -> Batch:
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"image": arrays["cnn/inputs/image"]}


@pytest.fixture(scope="session")
def expected(tiny_models: Path) -> Batch:
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"probs": arrays["cnn/outputs/probs"]}

"""What the tests of permissions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.permissions.stranger import Stranger


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)

from __future__ import annotations

import pytest

from tests.monitoring.drift.small_field import SmallField, make_field


@pytest.fixture(scope="session")
def field() -> SmallField:
    return make_field()

from __future__ import annotations

import numpy as np
import pytest

from scripts.bench.monitoring.simulated_drift import EXPOSURES, Answers, sort_answers
from tests.monitoring.drift.small_field import SmallField, make_field


@pytest.fixture(scope="session")
def field() -> SmallField:
    return make_field()


@pytest.fixture(scope="session")
def answers(field) -> Answers:
    rng = np.random.default_rng(1)
    conditions = {name: field.images for name in EXPOSURES}
    conditions["noise"] = field.images + rng.normal(0, 5, field.images.shape).astype(np.float32)
    scores = {name: field.scores(images) for name, images in conditions.items()}
    return sort_answers(field.profile, conditions, scores, field.digits)

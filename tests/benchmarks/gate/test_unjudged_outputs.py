"""An output that nothing judges is no pass: without labels beside others that have some, or of values beside classes."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate import quality_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import JudgedMeasurement
from edgeship.bundle.measurement import Measurement, MeasurementDetails
from edgeship.types import Verdict

N = 400


def judge(recipe, *, labelled=("kind",), **budget):
    """The verdicts on outputs `kind` (classes) and `price` (values, all of them lost) of an artifact."""
    rng = np.random.default_rng(0)
    server = {"kind": np.eye(3)[rng.integers(0, 3, N)], "price": rng.normal(2000, 500, (N, 1))}
    artifact = {"kind": server["kind"], "price": server["price"] * 0}
    truths = {"y_kind": server["kind"].argmax(axis=1), "y_price": server["price"]}
    labels = {f"y_{name}": truths[f"y_{name}"] for name in labelled}
    details = MeasurementDetails(
        accuracy=accuracy.measure(labels, server, artifact) if labels else None, parity=parity.compare(server, artifact)
    )
    item = Measurement("tflite/x", "litert", "host", (), details)
    subject = JudgedMeasurement(item, Budget.parse(budget), recipe, ("kind", "price"))
    return {check.check: check.verdict for check in quality_checks.check_unjudged_outputs(subject)}


@pytest.mark.parametrize("recipe", [None, "static_w8a8", "dynamic_w8"])
def test_an_output_without_labels_beside_one_with_is_undecided(recipe):
    assert judge(recipe) == {"accuracy:price": Verdict.INCONCLUSIVE}
    assert not judge(recipe, labelled=("kind", "price"))


def test_an_agreement_judges_classes_only():
    budget = {"accuracy": "none", "min_agreement": 0.98}
    assert judge(None, labelled=(), **budget) == {"accuracy:price": Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("limit", [{"max_abs_error": 1.0}, {"min_sqnr_db": 20.0}])
def test_a_limit_that_speaks_of_it_or_a_floor_that_tells_is_enough(limit):
    assert not judge(None, **limit)
    assert not judge("float32")
    assert not judge("float16")


def test_without_any_labels_the_missing_accuracy_fails_already():
    assert not judge("static_w8a8", labelled=())

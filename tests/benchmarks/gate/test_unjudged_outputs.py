"""An output that nothing judges is no pass: without labels beside others that have some, or of values beside classes."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate import quality_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import JudgedMeasurement
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.types import Verdict

N = 400


def find_unjudged(recipe, *, labelled=("kind",), **budget):
    """Checks of outputs `kind` (classes, unless labelled all other ones) and `price` (values, all lost) of an artifact."""
    rng = np.random.default_rng(0)
    server = {"kind": np.eye(3)[rng.integers(0, 3, N)], "price": rng.normal(2000, 500, (N, 1))}
    kinds = server["kind"] if "kind" in labelled else np.roll(server["kind"], 1, axis=1)
    artifact = {"kind": kinds, "price": server["price"] * 0}
    truths = {"y_kind": server["kind"].argmax(axis=1), "y_price": server["price"]}
    labels = {f"y_{name}": truths[f"y_{name}"] for name in labelled}
    details = MeasurementDetails(
        accuracy=accuracy.measure(labels, server, artifact) if labels else None, parity=parity.compare(server, artifact)
    )
    item = Measurement("tflite/x", "litert", "host", (), details)
    subject = JudgedMeasurement(item, Budget.parse(budget).for_artifact(item.artifact), recipe, ("kind", "price"))
    return [*quality_checks.check_unjudged_outputs(subject)]


def judge(recipe, **options):
    return {check.check: check.verdict for check in find_unjudged(recipe, **options)}


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


@pytest.mark.parametrize("limit", [0.5, 1.0, 500])
def test_a_largest_error_in_the_unit_of_another_output_judges_no_classes(limit):
    """Before, `max_abs_error = 500` of a price let all classes be permuted; always 0.5 errs by 0.5 of a probability."""
    (found,) = find_unjudged("static_w8a8", labelled=("price",), max_abs_error=limit)
    assert (found.check, found.verdict) == ("accuracy:kind", Verdict.INCONCLUSIVE)
    assert f"max_abs_error = {limit:g} tells nothing: its values span 1" in found.reason
    assert found.reason.endswith("add labels y_kind, or set min_agreement in [budget]")
    assert not judge("static_w8a8", labelled=("price",), max_abs_error=0.4)
    assert not judge("static_w8a8", labelled=("price",), max_abs_error=limit, min_agreement=0.9)
    (found,) = find_unjudged(None, labelled=(), accuracy="none", max_abs_error=limit)
    assert found.check == "accuracy:kind", "of a price it says something"


def test_noise_that_always_the_mean_has_judges_nothing():
    """The prices are 2000, give or take 500: a file that knows only that has 12 dB, which 10 dB let pass."""
    (found,) = find_unjudged(None, labelled=(), accuracy="none", min_sqnr_db=10)
    assert (found.check, found.verdict) == ("accuracy:price", Verdict.INCONCLUSIVE)
    assert "10 dB tell nothing: always its mean has 12." in found.reason
    assert not judge(None, labelled=(), accuracy="none", min_sqnr_db=13)
    for recipe in ("float32", "float16"):
        assert not judge(recipe, min_sqnr_db=5), "where the recipe alone is enough"
    assert judge("float32", **{"tflite/x": {"min_sqnr_db": 5}}) == {"accuracy:price": Verdict.INCONCLUSIVE}


def test_labels_that_are_there_are_not_asked_for():
    found = find_unjudged("static_w8a8", labelled=("kind", "price"), accuracy="none", max_abs_error=1e9)
    assert {check.check for check in found} == {"accuracy:kind", "accuracy:price"}
    assert all("it has labels, so set max_drop or accuracy in [budget]" in check.reason for check in found)


def test_a_limit_that_everything_keeps_to_is_none():
    for limit in ({"min_sqnr_db": 1.0}, {"min_agreement": 0.0}):
        assert judge(None, labelled=(), accuracy="none", **limit).keys() == {"accuracy:kind", "accuracy:price"}


def test_without_any_labels_the_missing_accuracy_fails_already():
    assert not judge("static_w8a8", labelled=())


def test_an_agreement_that_always_the_same_answer_reaches_judges_nothing():
    """98 % of the answers are no, so that `min_agreement = 0.98` lets a file pass that never says yes."""
    server = {"fraud": np.where(np.arange(N) % 50 == 0, 0.9, 0.1)[:, None].astype(np.float32)}
    details = MeasurementDetails(parity=parity.compare(server, {"fraud": np.full((N, 1), 0.1, np.float32)}))
    item = Measurement("tflite/x", "litert", "host", (), details)
    for limit, open_checks in ((0.9, 1), (0.98, 1), (0.99, 0)):
        budget = Budget.parse({"accuracy": "none", "min_agreement": limit}).for_artifact(item.artifact)
        subject = JudgedMeasurement(item, budget, None, ("fraud",))
        found = [*quality_checks.check_unjudged_outputs(subject)]
        assert len(found) == open_checks
        assert all("tells nothing: always its commonest answer agrees in 98.00%" in check.reason for check in found)


def test_values_whose_largest_is_always_the_same_one_are_not_judged_by_agreement():
    """Of four values the second is always the largest: so it is of garbage with that order, too."""
    server = np.random.default_rng(0).normal([0, 900, 3, 5], 10, (N, 4))
    garbage = np.tile(server.mean(axis=0), (N, 1))
    details = MeasurementDetails(parity=parity.compare({"box": server}, {"box": garbage}))
    item = Measurement("tflite/x", "litert", "host", (), details)
    budget = Budget.parse({"accuracy": "none", "min_agreement": 0.98}).for_artifact(item.artifact)
    (found,) = quality_checks.check_unjudged_outputs(JudgedMeasurement(item, budget, None, ("box",)))
    assert found.verdict is Verdict.INCONCLUSIVE and "min_agreement = 0.98 tells nothing" in found.reason

"""The tolerance of goldens, and the answers that must survive it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeship.bundle import goldens
from edgeship.bundle.goldens import KernelSpread
from edgeship.types import Artifact, Quantization, TensorSpec


def artifact(variant="int8", quantization=None):
    return Artifact(
        Path("model.tflite"), "tflite", variant, (), (TensorSpec("y", (None, 3), "int8", quantization),), ()
    )


OWN = {"y": np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]], np.float32)}
SPAN = 0.7


def test_measured_kernels_widen_the_tolerance_by_their_margin():
    spreads = [KernelSpread("a", 256, {"y": 0.03}), KernelSpread("b", 16, {"y": 0.05})]
    assert goldens.output_tolerances(artifact(), OWN, spreads)["y"] == pytest.approx(0.05 * goldens.SPREAD_MARGIN)


def test_kernels_that_agree_or_do_not_run_leave_what_rounding_may_do():
    spreads = [KernelSpread("a", 256, {"y": 0.0}), KernelSpread("b", 16, None, "does not load")]
    assert goldens.output_tolerances(artifact("float32"), OWN, spreads)["y"] == pytest.approx(1e-3 * SPAN)
    step = Quantization((1 / 64,), (0,), None)
    assert goldens.output_tolerances(artifact(quantization=step), OWN, spreads)["y"] == pytest.approx(2 / 64)


@pytest.mark.parametrize("wild", [3.0, np.inf, np.nan])
def test_kernels_that_lie_far_apart_do_not_make_everything_right(wild):
    allowed = goldens.output_tolerances(artifact(), OWN, [KernelSpread("a", 256, {"y": wild})])["y"]
    assert allowed <= goldens.LARGEST_TOLERANCE * SPAN


def test_float32_stays_strict_whatever_kernels_do():
    allowed = goldens.output_tolerances(artifact("float32"), OWN, [KernelSpread("a", 16, {"y": 0.5})])["y"]
    assert allowed == pytest.approx(goldens.LARGEST_FLOAT32_TOLERANCE * SPAN)


def test_infinite_outputs_leave_a_finite_tolerance():
    own = {"y": np.array([[-np.inf, 0.5, 0.25]], np.float32)}
    assert goldens.output_tolerances(artifact("float32"), own)["y"] == pytest.approx(1e-3 * 0.5)


def test_an_answer_is_clear_where_both_give_it_by_more_than_the_tolerance():
    server = {"y": np.array([[0.9, 0.1, 0.0], [0.5, 0.45, 0.05], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]])}
    own = {"y": np.array([[0.8, 0.2, 0.0], [0.6, 0.30, 0.10], [0.8, 0.1, 0.1], [0.4, 0.35, 0.25]])}
    assert goldens.clear_answers(own, server, {"y": 0.1}) == {"y": [0]}
    assert goldens.clear_answers(own, server, {"y": 0.04}) == {"y": [0, 1, 3]}


def test_outputs_that_are_no_rows_of_scores_have_no_clear_answers():
    for array in (np.zeros((4, 1), np.float32), np.zeros(4, np.float32), np.zeros((4, 3), np.int64)):
        assert goldens.clear_answers({"y": array}, {"y": array}, {"y": 0.1}) == {}


SCORES = arrays.arrays(np.float64, (6, 4), elements=st.floats(0, 1))


@given(SCORES, arrays.arrays(np.float64, (6, 4), elements=st.floats(-1, 1)))
def test_what_differs_as_kernels_do_never_changes_a_clear_answer(scores, noise):
    """Kernels differ by half the tolerance at most, or less where a floor sets it."""
    allowed = 0.1
    clear = goldens.clear_answers({"y": scores}, {"y": scores}, {"y": allowed})["y"]
    replayed = scores + noise * (allowed / goldens.SPREAD_MARGIN) * (1 - 1e-9)
    assert (replayed[clear].argmax(1) == scores[clear].argmax(1)).all()


def test_distance():
    nan, inf = np.nan, np.inf
    assert goldens.largest_error(np.array([1.0, nan, inf]), np.array([1.5, nan, inf])) == 0.5
    assert goldens.largest_error(np.zeros(0), np.zeros(0)) == 0
    assert not goldens.largest_error(np.array([nan]), np.array([1.0])) <= 1e9
    assert goldens.largest_error(np.array([inf]), np.array([-inf])) == inf


def test_outputs_beyond_all_numbers_allow_no_tolerance():
    assert goldens.largest_tolerance(np.array([[-1.7e308, 1.7e308]])) == 0

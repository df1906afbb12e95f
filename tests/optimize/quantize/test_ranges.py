"""The calibration methods: what each makes of the same values, and that both formats and both ways to watch agree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeship.errors import InputError
from edgeship.optimize.quantize.ranges import BINS, Histogram, ObservedTensor
from edgeship.recipes import quantization

KINDS = [kind for kind in quantization.CALIBRATION_METHODS if kind != quantization.MIN_MAX]


def observe(samples):
    observer = ObservedTensor()
    for sample in samples:
        observer.add({"t": np.asarray(sample, np.float32)})
    return {kind: ranges["t"] for kind, ranges in observer.ranges().items()}


def normal(count=200, size=500, outlier=0.0):
    samples = np.random.default_rng(0).standard_normal((count, size))
    samples[count // 2, 0] = outlier or samples[count // 2, 0]
    return samples


def test_all_kinds_are_there():
    assert set(observe(normal(3))) == set(quantization.CALIBRATION_METHODS)


@pytest.mark.parametrize("kind", ["moving-average", "percentile", "entropy"])
def test_one_outlier_does_not_decide(kind):
    low, high = observe(normal(outlier=1000.0))[kind]
    assert -6 < low < -2
    assert 2 < high < 63, "1000 was seen once in 100,000 values"


def test_the_least_mean_square_error_weighs_an_outlier():
    """20 once in 100,000 values: (20 - high)^2 for clipping it against the rounding of all others."""
    _, high = observe(normal(outlier=20.0))["mse"]
    steps = np.linspace(4, 20, 200)
    expected = steps[np.argmin((20 - steps) ** 2 + 100_000 * ((steps + 4.5) / 255) ** 2 / 12)]
    assert high == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("kind", KINDS)
def test_ranges_stay_within_what_was_seen_and_hold_zero(kind):
    for samples in (np.abs(normal(20)), normal(20) - 0.5, np.full((3, 4), 2.0), np.zeros((3, 4))):
        low, high = observe(samples)[kind]
        assert samples.min() - 1e-6 <= low <= high <= samples.max() + 1e-6


def test_uniform_values_are_not_clipped():
    """Nothing is rare: every kind that weighs clipping against rounding keeps nearly all of the range."""
    ranges = observe(np.random.default_rng(1).uniform(-1, 1, (50, 1000)))
    for kind in ("percentile", "entropy", "mse"):
        assert ranges[kind] == pytest.approx([-1, 1], abs=0.03)


def test_the_least_mean_square_error_of_a_normal_distribution():
    """256 levels of a normal distribution: clipping at about 3.9 standard deviations (Hubara et al., Banner et al. 2019)."""
    low, high = observe(normal(400, 2000))["mse"]
    assert (low, high) == pytest.approx((-3.9, 3.9), abs=0.4)


def test_the_moving_average_is_that_of_litert():
    from litert_quantizer.utils.qsv_utils import moving_average_update

    samples = normal(30, 8)
    expected = None
    for sample in samples:
        new = {"min": sample.min(), "max": sample.max()}
        expected = moving_average_update(expected, new) if expected else new
    assert expected
    assert observe(samples)["moving-average"] == pytest.approx([expected["min"], expected["max"]], rel=1e-5)


def test_both_formats_get_the_same_ranges_at_their_ends(lab):
    for calibrate in (lab.calibrate, lab.calibrate_onnx):
        calibrate("photo", closely=True)
    tflite, onnx = (json.loads((lab.out / name).read_text()) for name in ("photo.json", "photo.onnx.json"))
    (input_tensor,) = [name for name in tflite["ranges"] if "image" in name]
    for kind in KINDS:
        assert tflite["kinds"][kind][input_tensor] == pytest.approx(onnx["kinds"][kind]["image"], rel=1e-5)
    assert tflite["ranges"][input_tensor] == pytest.approx(onnx["ranges"]["image"], rel=1e-5)


@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_a_close_look_sees_the_same_extremes(form, lab):
    """So that a variant is the same whether or not another one beside it needs the close look."""
    calibrate = lab.calibrate if form == "tflite" else lab.calibrate_onnx
    places = [lab.out / f"photo-{closely}.json" for closely in (False, True)]
    for place, closely in zip(places, (False, True), strict=True):
        calibrate("photo", closely=closely, out=str(place))
    plain, close = (json.loads(place.read_text())["ranges"] for place in places)
    assert plain.keys() == close.keys()
    for name, extremes in plain.items():
        assert close[name] == pytest.approx(extremes, rel=1e-6, abs=1e-6)


@given(
    st.lists(arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=6)
)
def test_a_histogram_grows_with_what_it_sees(samples):
    first = samples[0]
    histogram = Histogram(float(first.min()), float(first.max()))
    for values in samples:
        histogram.add(values, float(values.min()), float(values.max()))
    every = np.sort(np.concatenate(samples))
    assert histogram.counts.sum() == len(every)
    upper = histogram.low + (np.arange(BINS) + 1) * histogram.width
    # A value at a bin's edge may lie on either side of it by rounding.
    cumulated = np.cumsum(histogram.counts)
    room = 1e-3 * histogram.width
    assert np.all(cumulated >= np.searchsorted(every, upper - room))
    assert np.all(cumulated <= np.searchsorted(every, upper + room, side="right"))


@pytest.mark.parametrize("form", ["tflite", "onnx"])
@pytest.mark.parametrize("kind", quantization.CALIBRATION_METHODS)
def test_every_kind_makes_an_artifact_that_answers_as_float_does(form, kind, lab):
    (lab.calibrate if form == "tflite" else lab.calibrate_onnx)("photo", closely=True)
    path, _ = getattr(lab, form)("photo", calibration_method=kind)
    feeds = lab.feeds("photo")
    assert lab.sqnr(lab.run(lab.model(f"photo.{form}"), feeds), lab.run(path, feeds)) > 15


def test_statistics_without_that_kind_say_so(lab):
    lab.calibrate("table")
    with pytest.raises(InputError, match="hold no ranges by entropy"):
        lab.tflite("table", calibration_method="entropy")
    with pytest.raises(InputError, match=r"unknown calibration method 'max'.*entropy"):
        lab.tflite("table", calibration_method="max")


def test_a_value_that_is_frequent_by_itself_does_not_clip_the_others():
    """As a picture's background gives one after every convolution: 70 % of all values are the same number."""
    random = np.random.default_rng(3)
    values = np.abs(random.standard_normal((100, 2000)))
    values[random.random(values.shape) < 0.7] = 0.3
    _, high = observe(values)["entropy"]
    assert high > 2.5, "2 % of the values lie beyond"

"""What is said of a gain on an audit."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, statistics
from edgeship.learning.retraining.compare import _describe_gain, judge_gain
from edgeship.learning.retraining.record import AuditGain


def gain_of(gained, lost, same, uses=1):
    """The gain of a second model with so many samples that it alone, or the first alone, has right."""
    truth = np.zeros(gained + lost + same, np.int64)
    first, second = (np.tile([0.9, 0.1], (len(truth), 1)) for _ in range(2))
    first[:gained], second[gained : gained + lost] = [0.1, 0.9], [0.1, 0.9]
    figures = accuracy.compare(truth, first, second)
    return _describe_gain(figures, truth, (first, second), uses)


def test_a_sure_gain_is_better():
    gain = gain_of(60, 20, 420)
    assert (gain.gained, gain.lost, gain.n) == (60, 20, 500) and gain.gain == pytest.approx(0.08)
    interval = statistics.paired_difference(60, 20, 500)  # the gate's own
    assert gain.low == pytest.approx(interval.low, abs=1e-6) and gain.high == pytest.approx(interval.high, abs=1e-6)
    finding = judge_gain(gain, 1)
    assert finding.holds and "top1 +8.00 points" in finding.reason and finding.reason.endswith(": better")


def test_luck_is_said_to_be_that_with_how_many_labels_would_tell():
    finding = judge_gain(gain_of(8, 4, 88), 1)
    assert not finding.holds and "may be luck" in finding.reason and "audit labels would tell" in finding.reason
    assert "worse" in judge_gain(gain_of(10, 60, 430), 1).reason
    assert not judge_gain(gain_of(5, 0, 0), 1).holds  # of five samples nothing is decided


def test_an_audit_that_was_asked_often_needs_more():
    assert judge_gain(gain_of(30, 14, 456), 1).holds
    often = gain_of(30, 14, 456, uses=10)
    assert often.low < 0 < often.gain and often.p > 0.05
    finding = judge_gain(often, 10)
    assert not finding.holds and "corrected for the 10 challengers" in finding.reason


def test_what_has_no_figures_is_no_gain():
    assert judge_gain(AuditGain(n=10, reason="the runtime is not here"), 1).reason.endswith("the runtime is not here")

"""Whether evaluation data is too little for the margin is told before any work."""

import numpy as np
import pytest

from edgeship.benchmarks.compare import statistics
from edgeship.benchmarks.gate.budget import Budget
from edgeship.pipeline.data_checks import note_thin_evaluation
from scripts.maintain.evaluation_samples import pass_probability

LABELS = np.arange(500) % 10
RARE = (np.arange(5000) % 100 == 0).astype(int)


@pytest.mark.parametrize("margin", [0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("disagreement", [0.005, 0.01, 0.05])
def test_the_samples_for_a_margin_let_an_equal_artifact_pass_as_often_as_promised(margin, disagreement):
    needed = statistics.samples_for_margin(margin, disagreement)
    assert statistics.POWER <= pass_probability(needed, disagreement, margin) <= 0.97


@pytest.mark.parametrize(
    ("labels", "budget", "told"),
    [
        (LABELS, Budget(), "only 500 evaluation samples: a margin of 1.00% takes about 1,500"),
        (LABELS, Budget(max_drop=0.5), "a margin of 0.50% takes about 4,500"),
        (LABELS, Budget(accuracy="mlperf95"), ""),
        (LABELS, Budget(accuracy="none", min_agreement=0.9), ""),
        (np.tile(LABELS, 4), Budget(), ""),
        (np.zeros((500, 1)), Budget(), "only 500 evaluation samples"),
        (RARE, Budget(), "only 50 evaluation samples with a yes in them: a margin of 1.00% takes about 730"),
    ],
)
def test_data_that_is_too_little_for_the_margin_is_told(labels, budget, told):
    notes = note_thin_evaluation(labels, None, budget)
    assert len(notes) == bool(told)
    assert all(told in note for note in notes)


def test_rare_positives_count_only_for_metrics_that_see_them():
    assert note_thin_evaluation(RARE, "binary_accuracy", Budget()) == []

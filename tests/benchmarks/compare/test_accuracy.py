import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeship.benchmarks.compare import accuracy
from edgeship.benchmarks.compare.statistics import paired_difference
from edgeship.bundle.figures.comparisons import OutputAccuracy
from edgeship.errors import CheckError, InputError
from edgeship.typed_json import convert
from edgeship.types import to_json
from tests.present import present

RNG = np.random.default_rng(0)


def scores_of(answers, classes=4):
    """Probabilities that are 70 % sure of the given answers."""
    scores = np.full((len(answers), classes), 0.3 / (classes - 1))
    scores[np.arange(len(answers)), answers] = 0.7
    return scores


def interval_of(compared: OutputAccuracy) -> tuple[float, float, float]:
    """The drop between the ends of its interval, all of which must be known."""
    return present(compared.low), present(compared.drop), present(compared.high)


TRUTH = RNG.integers(4, size=300)
SERVER = scores_of(np.where(RNG.random(300) < 0.9, TRUTH, (TRUTH + 1) % 4))


def test_an_untouched_model_loses_nothing():
    comparison = accuracy.compare(TRUTH, SERVER, SERVER.copy())
    assert (comparison.drop, comparison.flips_total, comparison.disagreement) == (0, 0, 0)
    low, _, high = interval_of(comparison)
    assert low < 0 < high
    assert comparison.ece == comparison.ece_server
    assert not any(row.significant for row in comparison.per_class)


def test_the_drop_is_paired_and_its_interval_tangos():
    answers = SERVER.argmax(axis=1)
    answers[:30] = (answers[:30] + 2) % 4
    comparison = accuracy.compare(TRUTH, SERVER, scores_of(answers))
    right, kept = SERVER.argmax(axis=1) == TRUTH, answers == TRUTH
    lost, gained = int((right & ~kept).sum()), int((kept & ~right).sum())
    interval = paired_difference(lost, gained, 300)
    assert comparison.drop == pytest.approx((lost - gained) / 300)
    assert (comparison.low, comparison.high) == (interval.low, interval.high)
    assert comparison.flips_total == 30
    flip = comparison.flips[0]
    assert (flip.index, flip.label, flip.artifact) == (0, TRUTH[0], answers[0])
    assert flip.server_confidence == flip.artifact_confidence == pytest.approx(0.7)


def test_a_dropped_class_is_significant_and_the_others_are_not():
    answers = SERVER.argmax(axis=1)
    answers[answers == 2] = 3
    rows = {row.label: row for row in accuracy.compare(TRUTH, SERVER, scores_of(answers)).per_class}
    assert rows[2].significant
    assert rows[2].low > 0.5
    assert not rows[0].significant
    assert sum(row.n for row in rows.values()) == 300


@pytest.mark.parametrize("whose", ["artifact", "server model"])
def test_nan_gives_no_figure_and_says_so(whose):
    bad = SERVER.copy()
    bad[7, 1] = np.nan
    pair = (SERVER, bad) if whose == "artifact" else (bad, SERVER)
    comparison = accuracy.compare(TRUTH, *pair)
    assert comparison.value is comparison.drop is comparison.low is comparison.high is None
    assert comparison.reason == f"1 of 1200 output values of the {whose} are NaN or infinite"


def test_logits_get_a_softmax_and_say_so():
    logits = RNG.normal(size=(300, 4)) * 4
    comparison = accuracy.compare(TRUTH, logits, logits + 0.01)
    assert "softmax was applied" in comparison.notes[0]
    assert accuracy.compare(TRUTH, SERVER, SERVER).notes == ()


def test_int8_softmax_outputs_are_probabilities():
    steps = np.round(SERVER * 256) / 256 - 0.001 * (SERVER > 1)
    assert not accuracy.to_probabilities(steps)[1]


def test_binary_logits_and_probabilities_take_their_thresholds():
    labels = np.array([0, 1] * 50)
    logits = np.where(labels, 2.0, -2.0)[:, None]
    comparison = accuracy.compare(labels, logits, logits * 0.1)
    assert (comparison.metric, comparison.value, comparison.flips_total) == ("binary_accuracy", 1.0, 0)
    shares = np.where(labels, 0.8, 0.2)[:, None]
    assert accuracy.compare(labels, shares, shares).value == 1.0


def test_a_logit_model_whose_artifact_stays_within_0_and_1_is_judged_by_the_servers_threshold():
    labels = np.array([0, 1] * 50)
    server = np.where(labels, 2.0, -2.0)[:, None]
    artifact = np.where(labels, 0.4, 0.1)[:, None]
    assert accuracy.compare(labels, server, artifact).value == 0.5


def test_a_regression_is_bootstrapped_and_lower_is_better():
    truth = RNG.normal(size=(500, 1))
    server = truth + RNG.normal(size=(500, 1)) * 0.1
    comparison = accuracy.compare(truth, server, server + 0.2)
    assert comparison.metric == "mae"
    low, drop, high = interval_of(comparison)
    assert 0 < low < drop < high
    assert (comparison.flips, comparison.per_class) == ((), ())


def test_sequences_are_resampled_whole():
    truth = RNG.integers(3, size=(80, 12))
    server = np.eye(3)[truth] + RNG.random((80, 12, 3)) * 0.9
    comparison = accuracy.compare(truth, server, server + RNG.normal(size=server.shape) * 0.3)
    assert comparison.method.startswith("bootstrap with an unseen sample")
    low, drop, high = interval_of(comparison)
    assert low <= drop <= high
    assert comparison.flips == ()


def test_answers_to_one_sample_are_no_independent_evidence():
    """Of 40 sequences 4 lose a class everywhere: 80 answers of one kind, and 4 samples."""
    truth = np.tile(np.arange(4), (40, 20))
    answers = truth.copy()
    answers[:4][truth[:4] == 2] = 3
    row = accuracy.compare(truth, np.eye(4)[truth], np.eye(4)[answers]).per_class[2]
    assert (row.n, row.drop, row.p) == (800, 0.1, 0.125)
    assert row.low < 0.04


def test_no_disagreement_keeps_a_width_for_every_share():
    comparison = accuracy.compare(TRUTH, SERVER, SERVER.copy(), "macro_f1")
    low, _, high = interval_of(comparison)
    assert low < 0 < high


def test_class_numbers_that_the_model_gives_itself_are_matched():
    server = TRUTH.copy()
    server[:10] = 8
    artifact = server.copy()
    artifact[10:15] = 9
    comparison = accuracy.compare(TRUTH, server, artifact)
    assert (comparison.metric, comparison.share, comparison.method) == (
        "exact_match",
        True,
        "Tango 1998 score interval",
    )
    assert comparison.drop == pytest.approx(5 / len(TRUTH))
    low, drop, high = interval_of(comparison)
    assert low < drop < high
    text = json.dumps(to_json(comparison), allow_nan=False)
    assert convert(OutputAccuracy, json.loads(text)) == comparison


def test_one_sample_of_a_regression_has_a_wide_interval():
    comparison = accuracy.compare(np.array([0.5]), np.array([[0.4]]), np.array([[0.3]]))
    low, drop, high = interval_of(comparison)
    assert low < 0 < drop < high


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(20, 200), st.floats(0, 3))
def test_everything_is_json_and_adds_up(seed, classes, n, noise):
    rng = np.random.default_rng(seed)
    truth, server = rng.integers(classes, size=n), rng.normal(size=(n, classes)).astype(np.float32)
    artifact = (server + noise * rng.normal(size=server.shape)).astype(np.float32)
    comparison = accuracy.compare(truth, server, artifact)
    text = json.dumps(to_json(comparison), allow_nan=False)
    assert convert(OutputAccuracy, json.loads(text)) == comparison
    assert comparison.drop == pytest.approx(present(comparison.server) - present(comparison.value))
    assert sum(row.drop * row.n for row in comparison.per_class) / n == pytest.approx(comparison.drop)
    assert 0 <= present(comparison.ece) <= 1
    # argmax in float32 as the runtime gave it: flips are exactly the answers that differ
    assert comparison.flips_total == (server.argmax(1) != artifact.argmax(1)).sum()


def test_ece_of_known_values():
    # Ten answers at 95 % of which eight are right, ten at 55 % of which six are: (0.15 * 10 + 0.05 * 10) / 20.
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    right = np.array([True] * 8 + [False] * 2 + [True] * 6 + [False] * 4)
    assert accuracy.expected_calibration_error(confidence, right) == pytest.approx(0.1)
    assert accuracy.expected_calibration_error(np.ones(5), np.ones(5, bool)) == 0


def test_labels_find_their_outputs():
    labels = {"y": TRUTH}
    assert accuracy.match_labels(labels, ("out",))["out"] is TRUTH
    assert list(accuracy.match_labels({"y_b": TRUTH}, ("a", "b"))) == ["b"]
    with pytest.raises(InputError, match="has no labels"):
        accuracy.match_labels({}, ("out",))
    with pytest.raises(InputError, match="y_a, y_b instead of y"):
        accuracy.match_labels(labels, ("a", "b"))
    with pytest.raises(InputError, match="'y_c' belong to no output"):
        accuracy.match_labels({"y_c": TRUTH}, ("a", "b"))


def test_the_output_that_lost_most_is_shown_and_all_are_kept():
    truth = RNG.normal(size=(300, 1))
    labels = {"y_kind": TRUTH, "y_size": truth}
    server = {"kind": SERVER, "size": truth + 0.1}
    broken = {"kind": SERVER, "size": truth + 0.4}
    comparison = accuracy.measure(labels, server, broken)
    assert comparison.output == "size"
    assert set(comparison.outputs) == {"kind", "size"}
    nan = accuracy.measure(labels, server, {"kind": SERVER * np.nan, "size": truth + 0.4})
    assert nan.output == "kind"
    assert nan.value is None


def test_outputs_that_differ_in_shape_or_name_are_errors():
    with pytest.raises(CheckError, match="shape"):
        accuracy.compare(TRUTH, SERVER, SERVER[:, :3])
    with pytest.raises(CheckError, match="no output 'out'"):
        accuracy.measure({"y": TRUTH}, {"out": SERVER}, {"other": SERVER})


def test_sure_flips_count_only_answers_that_lead_by_half():
    server = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.8, 0.2]])
    sure_flips = accuracy.compare(np.zeros(4, np.int64), server, server[:, ::-1].copy()).sure_flips
    assert sure_flips is not None
    assert (sure_flips.n, sure_flips.flips, sure_flips.share) == (3, 3, 1.0)
    assert present(accuracy.compare(np.zeros(4, np.int64), server, server).sure_flips).flips == 0
    logits = np.log(server) * 1.0
    assert present(accuracy.compare(np.zeros(4, np.int64), logits, logits).sure_flips).n == 3


def test_sure_flips_of_single_scores_and_of_padding():
    scores = np.array([0.8, 0.74, 0.1, 0.3])
    sure_flips = accuracy.compare(np.array([1, 1, 0, 0]), scores, 1 - scores).sure_flips
    assert sure_flips is not None
    assert (sure_flips.n, sure_flips.flips) == (2, 2)
    padded = accuracy.compare(
        np.array([[0, -1]]), np.array([[[0.9, 0.1], [0.9, 0.1]]]), np.array([[[0.1, 0.9], [0.1, 0.9]]])
    )
    assert present(padded.sure_flips).n == 1
    assert accuracy.compare(np.zeros(3, np.int64), np.full((3, 2), 0.5), np.full((3, 2), 0.5)).sure_flips is None
    assert accuracy.compare(np.array([0.5, 2.0]), np.array([0.5, 1.0]), np.array([0.5, 1.0])).sure_flips is None

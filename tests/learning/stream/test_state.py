"""What a stream must not forget, how its intervals are asked for, and what sees drift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgeship.errors import InputError
from edgeship.learning.stream.detector import ErrorWatch
from edgeship.learning.stream.request import Interval, StreamRequest, parse_interval
from edgeship.learning.stream.results import count_share
from edgeship.learning.stream.state import AsideRow, LabelledRow, OpenInterval, StreamState


def row(key, label, predicted, value=0.0):
    return LabelledRow(key, label, predicted, 1, {"x": np.full((1, 3), value, np.float32)})


def test_a_commit_is_whole_or_nothing(tmp_path):
    state = StreamState(tmp_path / "state")
    with state.commit():
        assert [state.add_row(row(f"k{n}", n % 2, 0, n), 1) for n in range(4)] == [1, 2, 3, 4]
        state.write_fact("position", {"a": 4})
        assert state.set_aside(AsideRow("a row 5", "k5", "why")) and not state.set_aside(
            AsideRow("a row 5", "k5", "again")
        )

    def fail():
        with state.commit():
            state.add_row(row("k9", 1, 1), 1)
            state.write_fact("position", {"a": 9})
            state.open_interval = OpenInterval(2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    state.close()
    again = StreamState(tmp_path / "state")
    assert again.read_fact("position") == {"a": 4} and again.find_label("k9") is None and again.find_label("k3") == 1
    assert again.count_rows() == (4, 2) == again.count_rows(1) and again.count_rows(2) == (0, 0)
    assert again.open_interval == OpenInterval() and again.list_aside() == [AsideRow("a row 5", "k5", "why")]
    assert list(again.read_errors(2)) == [1, 0, 1] and again.read_bounds(1) == (1, 4)
    inputs, labels = again.read_interval(1)
    assert (
        inputs["x"].dtype == np.float32
        and inputs["x"][:, 0].tolist() == [0, 1, 2, 3]
        and labels.tolist() == [0, 1, 0, 1]
    )
    again.close()


def test_another_file_is_no_state(tmp_path):
    (tmp_path / "state.db").write_text("a file of somebody's own, longer than the head of a database " * 4)
    with pytest.raises(InputError, match="is no state of a stream, or damaged"):
        StreamState(tmp_path)
    state = StreamState(tmp_path / "later")
    with state.commit():
        state.write_fact("schema", 2)
    state.close()
    with pytest.raises(InputError, match="a state of schema 2, this edgeship reads 1"):
        StreamState(tmp_path / "later")


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("250", Interval(250)),
        ("32 rows", Interval(32)),
        ("90s", Interval(None, 90)),
        ("1.5h", Interval(None, 5400)),
        ("1d", Interval(None, 86400)),
    ],
)
def test_intervals_are_rows_or_a_time(text, interval):
    assert parse_interval(text) == interval


@pytest.mark.parametrize("text", ["31", "40.5", "0s", "-3", "soon", "1 week", ""])
def test_other_intervals_are_refused(text):
    with pytest.raises(InputError, match="--interval"):
        parse_interval(text)


def test_old_samples_are_eight_for_each_row(tmp_path):
    request = StreamRequest(None, "", "", tmp_path)
    assert request.count_replay(250, 60_000) == 2000 and request.count_replay(250, 900) == 900


def test_shares_have_wilsons_interval():
    share = count_share(9, 10)
    expected = stats.binomtest(9, 10).proportion_ci(method="wilson")
    assert (share.accuracy, share.low, share.high) == (0.9, expected.low, expected.high)
    assert count_share(0, 0).accuracy is None


def test_a_watch_that_was_made_again_sees_what_the_first_saw():
    rng = np.random.default_rng(2)
    errors = np.concatenate([rng.random(400) < 0.05, rng.random(200) < 0.5]).astype(int).tolist()
    watch, found = ErrorWatch(), None
    for number, wrong in enumerate(errors):
        again = ErrorWatch(errors[:number]) if number % 50 == 17 else watch
        if (change := again.update(wrong)) is not None:
            found = number, change
            break
        watch = again
    assert found is not None and 400 < found[0] < 480 and found[1][1] > found[1][0]
    quiet = ErrorWatch()
    assert not any(quiet.update(int(wrong)) for wrong in rng.random(2000) < 0.1)

"""When an interval ends: after so many rows, after a time, or where answers get worse."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
import time_machine

from edgeship.learning.retraining.champion import LabelForm
from edgeship.learning.stream.intake import Intake
from edgeship.learning.stream.request import Interval
from edgeship.learning.stream.row_reader import ReadRow
from edgeship.learning.stream.sources.source import FetchedRows, TableSource
from edgeship.learning.stream.state import StreamState

FORM = LabelForm(("no", "yes"), "<i8", ())
BEGIN = datetime.fromisoformat("2026-11-29T10:00:00+00:00")


class ReadAlready:
    """A reader of rows that were read."""

    def read(self, rows, faults):
        return rows


def make_intake(state, interval):
    def nobody():
        raise AssertionError("rows were answered before")

    return Intake(state, interval, FORM, (), nobody)


def take(intake, first, right, wrong=0):
    """Rows that were answered right, and then wrong; the position after those that were taken."""
    rows = [
        ReadRow(f"k{first + n}", "yes", {"x": np.full((1, 1), first + n, np.float32)}) for n in range(right + wrong)
    ]
    answers = [(1, 1)] * right + [(0, 1)] * wrong
    fetched = FetchedRows(rows, ["place"] * len(rows), [""] * len(rows), lambda done: first + done, answers)
    intake.take(TableSource(), ReadAlready(), fetched)
    return intake.state.read_fact("position")


@pytest.fixture
def state(tmp_path):
    opened = StreamState(tmp_path)
    yield opened
    opened.close()


def test_an_interval_takes_no_more_rows_than_it_has(state):
    intake = make_intake(state, Interval(40))
    assert intake.count_room() == 40 and take(intake, 0, 30) == 30 and intake.find_end() == ""
    assert intake.count_room() == 10 and take(intake, 30, 30) == 40 and intake.find_end() == "rows"
    assert make_intake(state, Interval(40)).find_end() == "rows"  # after a crash, too


def test_a_time_begins_with_the_first_row_and_waits_for_32(state):
    with time_machine.travel(BEGIN, tick=False) as clock:
        intake = make_intake(state, Interval(None, 3600))
        assert take(intake, 0, 20) == 20
        clock.shift(3599)
        assert take(intake, 20, 20) == 40 and intake.find_end() == ""
        clock.shift(1)
        assert intake.find_end() == "time" == make_intake(state, Interval(None, 3600)).find_end()
    with time_machine.travel(BEGIN, tick=False) as clock:
        again = StreamState(state.folder / "few")
        few = make_intake(again, Interval(None, 60))
        take(few, 0, 31)
        clock.shift(600)
        assert few.find_end() == "" and take(few, 31, 1) == 32 and few.find_end() == "time"
        again.close()


def test_an_interval_ends_where_answers_get_worse(state):
    intake, position = make_intake(state, Interval(1000)), 0
    for _ in range(6):
        position = take(intake, position, 60)
    assert state.open_interval.drift_row is None
    for _ in range(4):
        if intake.find_end():
            break
        intake = make_intake(state, Interval(1000))  # as after a crash: what was seen is known
        position = take(intake, position, 0, 60)
    interval = state.open_interval
    assert intake.find_end() == "drift" and interval.drift_row is not None and 360 < interval.drift_row <= 500
    assert position == interval.drift_row == state.count_rows()[0]  # later rows are for the next interval
    assert interval.drift_before < 0.05 < interval.drift_now

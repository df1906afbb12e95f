from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from edgeship.processes import progress_events

EPOCH = {
    "event": "epoch",
    "epoch": 3,
    "epochs": 6,
    "loss": 0.25,
    "accuracy": 0.9,
    "validation_accuracy": 0.88,
    "seconds": 9,
}


def test_every_event_arrives_in_order_also_the_last_ones(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    events: list[dict[str, Any]] = []
    with progress_events.follow_events(path, events.append):
        for number in range(50):
            progress_events.append_event(path, event="batch", done=number, total=50)
    assert [event["done"] for event in events] == list(range(50))


def test_an_event_is_shown_while_the_work_goes_on(tmp_path: Path) -> None:
    path, arrival = tmp_path / "progress", threading.Event()
    with progress_events.follow_events(path, lambda event: arrival.set()):
        progress_events.append_event(path, event="stage", text="loading")
        assert arrival.wait(20)


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    events: list[dict[str, Any]] = []
    with progress_events.follow_events(path, events.append), path.open("a") as stream:
        stream.write('{"event": "st')
        stream.flush()
        stream.write('age", "text": "x"}\n')
    assert events == [{"event": "stage", "text": "x"}]


def test_without_a_terminal_there_is_one_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_events.display_events() as show:
        show({"event": "stage", "text": "loading"})
        show({"event": "batch", "done": 1, "total": 10})
        show(EPOCH)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["loading", "epoch  3/6  loss 0.250  accuracy 90.0%  validation 88.0%  (9 s)"]

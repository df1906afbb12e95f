"""In what order a worker begins and answers the requests that have already arrived."""

from __future__ import annotations

import queue

from edgeship.runtimes.worker.request_loop import Message, _answer_messages


def answers(handlers, *requests):
    arrived: queue.Queue[Message | None] = queue.Queue()
    for number, name in enumerate(requests):
        arrived.put(({"do": name, "number": number}, {}))
    arrived.put(None)
    return [header for header, _ in _answer_messages(handlers, arrived)]


def overlapping(log, failing=()):
    """A handler that begins and finishes in two steps, and fails where it is told to: ("begun", 1) or ("taken", 1)."""

    def step(what, number):
        log.append((what, number))
        if (what, number) in failing:
            raise ValueError(f"{what} {number}")

    def begin(header, _):
        number = header["number"]
        step("begun", number)

        def take():
            step("taken", number)
            return {"number": number}, {}

        return take

    return begin


def test_the_next_request_is_begun_before_an_answer_is_waited_for():
    log: list[tuple[str, int]] = []
    headers = answers({"run": overlapping(log)}, "run", "run", "run")
    assert [header["number"] for header in headers] == [0, 1, 2]
    steps = [("begun", 0), ("begun", 1), ("taken", 0), ("begun", 2), ("taken", 1), ("taken", 2)]
    assert log == steps


def test_a_failure_is_an_answer_in_its_turn_and_the_rest_goes_on():
    headers = answers({"run": overlapping([], {("taken", 0), ("begun", 2)})}, "run", "run", "run", "run")
    assert [header.get("number", header.get("error", {}).get("message")) for header in headers] == [
        "taken 0",
        1,
        "begun 2",
        3,
    ]


def test_an_answer_that_is_there_is_given_at_once():
    log: list[int] = []

    def now(header, _):
        log.append(header["number"])
        return {"number": header["number"]}, {}

    arrived: queue.Queue[Message | None] = queue.Queue()
    for number in range(2):
        arrived.put(({"do": "now", "number": number}, {}))
    assert next(_answer_messages({"now": now}, arrived))[0] == {"number": 0}
    assert log == [0]


def test_a_request_that_nobody_knows_is_answered():
    (header,) = answers({}, "dance")
    assert header["error"] == {"type": "KeyError", "message": "'dance'"}


def test_the_last_answer_is_not_kept_back_until_another_request_comes():
    arrived: queue.Queue[Message | None] = queue.Queue()
    arrived.put(({"do": "run", "number": 0}, {}))
    assert next(_answer_messages({"run": overlapping([])}, arrived))[0] == {"number": 0}

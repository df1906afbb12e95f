"""The rules of the decision: what rules a side out, and what only the cost tells."""

from dataclasses import replace

import pytest

from edgeship.serving.worth.costs import Costs
from edgeship.serving.worth.decision import Case, Choice, decide
from edgeship.serving.worth.prices import Range


def costs(low, usual, high):
    some = Range(1, 1, 1)
    return Costs(some, some, Range(low, usual, high), (), ())


BOTH = Case(100, "server-lan", 4.0, 20.0, 2.0, client_passes=True, server_passes=True, costs=costs(10, 20, 30))


@pytest.mark.parametrize(
    ("changes", "choice"),
    [
        ({}, Choice.CLIENT),
        ({"costs": costs(-30, -20, -10)}, Choice.SERVER),
        ({"costs": costs(-10, 5, 30)}, Choice.EITHER),
        ({"costs": None}, Choice.UNDECIDED),
        ({"costs": costs(-30, -20, -10), "server_p99_ms": 101.0}, Choice.CLIENT),
        ({"costs": costs(-30, -20, -10), "offline": True}, Choice.CLIENT),
        ({"client_p99_ms": 101.0}, Choice.SERVER),
        ({"client_passes": False}, Choice.SERVER),
        ({"client_passes": False, "offline": True}, Choice.NEITHER),
        ({"client_passes": None}, Choice.UNDECIDED),
        ({"server_passes": False}, Choice.CLIENT),
        ({"server_passes": False, "client_passes": False}, Choice.NEITHER),
        ({"server_passes": None, "client_passes": None}, Choice.UNDECIDED),
        ({"client_p99_ms": 101.0, "server_p99_ms": 101.0}, Choice.NEITHER),
        ({"client_p99_ms": None}, Choice.UNDECIDED),
        ({"server_p99_ms": None}, Choice.UNDECIDED),
        ({"client_p99_ms": None, "server_p99_ms": 101.0}, Choice.UNDECIDED),
        ({"server_p99_ms": None, "client_p99_ms": 101.0}, Choice.UNDECIDED),
        ({"server_p99_ms": None, "network_p99_ms": 120.0}, Choice.CLIENT),
        ({"server_p99_ms": None, "network_p99_ms": 120.0, "client_p99_ms": 101.0}, Choice.NEITHER),
        ({"server_p99_ms": 100.0, "client_p99_ms": 100.0}, Choice.CLIENT),
    ],
)
def test_each_rule(changes, choice):
    decision = decide(replace(BOTH, **changes))
    assert decision.choice is choice
    assert all(decision.reasons)


def test_the_deciding_reason_stands_first():
    assert "not within the limit of 100 ms" in decide(replace(BOTH, server_p99_ms=101.0)).reasons[0]
    assert "not within" in decide(replace(BOTH, client_p99_ms=101.0)).reasons[0]
    unknown = decide(replace(BOTH, server_p99_ms=None, server_reason="nobody looked"))
    assert unknown.reasons[0] == "the server's time is not known: nobody looked"
    assert "cheaper by 10 to 30" in decide(BOTH).reasons[0]

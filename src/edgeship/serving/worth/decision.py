"""Client or server: the rules, and what would have to change for another answer. Nothing here measures."""

from __future__ import annotations

from enum import StrEnum

from edgeship.bundle.metric import number_text
from edgeship.light_dataclass import dataclass
from edgeship.serving.worth.costs import Costs, Side


class Choice(StrEnum):
    """What is decided. EITHER: both will do, and prices do not tell; UNDECIDED: a figure is missing that would decide."""

    CLIENT = "client"
    SERVER = "server"
    EITHER = "either"
    NEITHER = "neither"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Case:
    """What a decision is made of.

    `client_p99_ms` and `server_p99_ms` are None where they are not known, for the `..._reason`; `network_p99_ms` is what the
    network takes alone, so that a server's answer takes no less. `client_passes`, `server_passes`: one of that side passes the
    gate; None where nothing was judged. `costs`: None where the server's rate is not known.
    """

    limit_ms: float
    network: str
    client_p99_ms: float | None
    server_p99_ms: float | None
    network_p99_ms: float
    client_passes: bool | None
    server_passes: bool | None
    offline: bool = False
    costs: Costs | None = None
    client_reason: str = ""
    server_reason: str = ""


@dataclass(frozen=True)
class Decision:
    """The choice and its reasons, the deciding ones first."""

    choice: Choice
    reasons: tuple[str, ...]


NOT_JUDGED = "whether an artifact may ship is not known: the bundle has not been judged yet"
Judgement = tuple[bool | None, str]  # whether a side will do, None where that is not known, and why


def decide(case: Case) -> Decision:
    """First what rules a side out (the gate, the latency limit, no network), then the cost, where its range leaves no doubt."""
    judged = _judge_client(case), _judge_server(case)
    fits = judged[0][0], judged[1][0]
    choices = {(False, False): Choice.NEITHER, (True, False): Choice.CLIENT, (False, True): Choice.SERVER}
    if fits in choices:
        return Decision(choices[fits], _first(judged, False))
    if None in fits:
        return Decision(Choice.UNDECIDED, _first(judged, None))
    return _decide_by_cost(case, (judged[0][1], judged[1][1]))


def _first(judged: tuple[Judgement, Judgement], deciding: bool | None) -> tuple[str, ...]:
    """The reasons, of sides that are so first."""
    return tuple(text for _, text in sorted(judged, key=lambda item: item[0] is not deciding))


def _decide_by_cost(case: Case, reasons: tuple[str, ...]) -> Decision:
    if case.costs is None:
        return Decision(Choice.UNDECIDED, ("what the server costs is not known, as its rate is not", *reasons))
    difference = case.costs.difference
    if case.costs.cheaper is Side.CLIENT:
        text = f"the client is cheaper by {difference.low:,.0f} to {difference.high:,.0f} a month"
        return Decision(Choice.CLIENT, (text, *reasons))
    if case.costs.cheaper is Side.SERVER:
        text = f"the server is cheaper by {-difference.high:,.0f} to {-difference.low:,.0f} a month"
        return Decision(Choice.SERVER, (text, *reasons))
    usual = "client" if difference.usual > 0 else "server"
    return Decision(Choice.EITHER, (f"which is cheaper depends on prices: the {usual} at usual ones", *reasons))


def _judge_client(case: Case) -> Judgement:
    if case.client_passes is None:
        return None, NOT_JUDGED
    if not case.client_passes:
        return False, "no artifact for apps or pages passes the gate"
    if case.client_p99_ms is None:
        return None, f"the client's time is not known: {case.client_reason}"
    return _within("the client answers within", case.client_p99_ms, case.limit_ms)


def _judge_server(case: Case) -> Judgement:
    if case.offline:
        return False, "it has to work without a network, and a server does not"
    if case.server_passes is None:
        return None, NOT_JUDGED
    if not case.server_passes:
        return (
            False,
            "no artifact for servers passes the gate, and the server model itself was not measured as a server",
        )
    if case.server_p99_ms is None and case.network_p99_ms > case.limit_ms:
        return _within(f"{case.network} alone takes", case.network_p99_ms, case.limit_ms)
    if case.server_p99_ms is None:
        return None, f"the server's time is not known: {case.server_reason}"
    return _within(f"the server over {case.network} answers within", case.server_p99_ms, case.limit_ms)


def _within(what: str, p99_ms: float, limit_ms: float) -> tuple[bool, str]:
    fits = p99_ms <= limit_ms
    p99 = number_text(float(f"{p99_ms:.3g}"))
    return fits, f"{what} {p99} ms (p99), {'within' if fits else 'not within'} the limit of {limit_ms:g} ms"

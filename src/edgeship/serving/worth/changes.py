"""What would have to change for another decision: each cause alone, all else as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from edgeship.bundle.metric import number_text
from edgeship.devices.network import Network
from edgeship.serving.worth import networks
from edgeship.serving.worth.costs import Load, compare_costs
from edgeship.serving.worth.decision import Case, Choice, decide
from edgeship.serving.worth.figures import ServerTimes
from edgeship.serving.worth.prices import Prices
from edgeship.serving.worth.result import Change

BESIDE = 1.001  # how far beside a limit is surely beyond it
COSTS = {"users": "users", "inferences_a_day": "inferences a day"}


def find_changes(
    cases: Mapping[str, Case],
    wanted: str,
    load: Load | None,
    prices: Prices,
    path: Sequence[Network],
    times: ServerTimes,
) -> tuple[Change, ...]:
    """The changes, of network, load, limit, device and needs. `cases` by network; `wanted` is the one that is decided on."""
    case = cases[wanted]
    now = decide(case).choice
    found = [
        *_by_network(cases, wanted, now),
        *_by_quality(case, path, times, now),
        *_by_load(case, load, prices, now),
        *_by_limit(case, now),
        *_by_device(case, now),
    ]
    offline = decide(replace(case, offline=True)).choice
    if offline is not now:
        found.append(Change("offline", offline, f"it has to work without a network: {offline}"))
    return tuple(found)


def _by_network(cases: Mapping[str, Case], wanted: str, now: Choice) -> Iterator[Change]:
    for name, case in cases.items():
        choice = decide(case).choice
        if name != wanted and choice is not now:
            yield Change("network", choice, f"over {name}: {choice}")


def _by_quality(case: Case, path: Sequence[Network], times: ServerTimes, now: Choice) -> Iterator[Change]:
    """Where on the way from the best network to the worst the server's answers become too late."""
    known = sorted((item for item in path if not item.is_none), key=lambda item: item.rtt_ms)
    if not times.samples_ms or len(known) < 2:
        return

    def over(place: float) -> Case:
        return replace(case, server_p99_ms=networks.rough_percentiles(networks.network_between(known, place), times)[1])

    place = networks.find_limit(lambda at: (over(at).server_p99_ms or 0.0) > case.limit_ms, 0.0, len(known) - 1.0)
    if place is None:
        return
    # What a side does on either side of the limit follows from it, and not from few draws near to it.
    better, worse = (decide(replace(case, server_p99_ms=case.limit_ms * by)).choice for by in (1.0, BESIDE))
    network = networks.network_between(known, place)
    for side, choice in (("better", better), ("worse", worse)):
        if choice is not now:
            text = f"on a {side} network than about {network.text}: {choice}"
            yield Change("network quality", choice, text, value=network.rtt_ms)


def _by_load(case: Case, load: Load | None, prices: Prices, now: Choice) -> Iterator[Change]:
    if load is None or case.costs is None:
        return
    for what, words in COSTS.items():
        flips = case.costs.users if what == "users" else case.costs.inferences
        for flip in flips:
            for side, value in (("below", flip.low), ("above", flip.high)):
                if not value:
                    continue
                at = value / BESIDE if side == "below" else value * BESIDE
                costs = compare_costs(replace(load, **{what: at}), prices)
                choice = decide(replace(case, costs=costs)).choice
                if choice is not now:
                    text = f"{side} {_round(value)} {words}: {choice}"
                    yield Change(what, choice, text, flip.value, flip.low, flip.high)


def _round(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def _by_limit(case: Case, now: Choice) -> Iterator[Change]:
    """Limits just above and just below what either side takes."""
    seen = {now}
    for p99 in sorted(value for value in (case.client_p99_ms, case.server_p99_ms) if value):
        for limit, words in ((p99 / BESIDE, "less than"), (p99 * BESIDE, "at least")):
            choice = decide(replace(case, limit_ms=limit)).choice
            is_near = (limit < case.limit_ms) == (words == "less than")
            if choice not in seen and is_near:
                seen.add(choice)
                yield Change(
                    "limit",
                    choice,
                    f"with a limit of {words} {number_text(float(f'{p99:.3g}'))} ms: {choice}",
                    value=p99,
                )


def _by_device(case: Case, now: Choice) -> Iterator[Change]:
    """How many times slower a device may be than the one that was looked at."""
    if case.client_p99_ms is None or case.client_p99_ms > case.limit_ms:
        return
    times = case.limit_ms / case.client_p99_ms
    choice = decide(replace(case, client_p99_ms=case.limit_ms * BESIDE)).choice
    if choice is not now:
        yield Change("device", choice, f"on devices more than {_round(times)} times slower: {choice}", value=times)

"""What client and server cost a month, and at how many users or inferences a day the cheaper one is the other.

Each price has a range, and costs grow with every price: so the ends of a cost, and of a difference of costs, are had with all
prices at the ends of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from edgeship.light_dataclass import dataclass
from edgeship.serving.worth.prices import Prices, Range

HOURS, DAYS = 730.0, 365.0 / 12.0  # of a month
GIGABYTE = 1e9
DAY_SECONDS = 86_400.0


class Side(StrEnum):
    """Where a model runs."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True)
class Load:
    """What costs follow from: users, inferences of each a day, bytes of an inference up and down, and of the model downloaded.

    `vcpu_rate`: inferences a second that one virtual processor answers.
    """

    users: float
    inferences_a_day: float
    bytes_up: float
    bytes_down: float
    download: float
    vcpu_rate: float


@dataclass(frozen=True)
class FlipPoint:
    """Where the cheaper side changes: `cheaper_below` it and `cheaper_above` it.

    `value` is at the usual prices; `low` and `high` are the ends over all prices: None where the side never changes, 0 where the
    other one is never cheaper.
    """

    value: float | None
    low: float | None
    high: float | None
    cheaper_below: Side
    cheaper_above: Side


@dataclass(frozen=True)
class Costs:
    """A month of both sides; `difference` is the server's less the client's; and where the cheaper side changes."""

    client: Range
    server: Range
    difference: Range
    users: tuple[FlipPoint, ...]
    inferences: tuple[FlipPoint, ...]

    @property
    def cheaper(self) -> Side | None:
        """The side that is cheaper whatever the prices within their ranges; None where that depends on them."""
        if self.difference.low > 0:
            return Side.CLIENT
        return Side.SERVER if self.difference.high < 0 else None


def compare_costs(load: Load, prices: Prices) -> Costs:
    """A month's costs of both sides, and the flip points around that load."""
    ends = [
        (pick(prices, cheap), pick(prices, dear))
        for cheap, dear in (("low", "high"), ("usual", "usual"), ("high", "low"))
    ]
    differences = [_server_cost(load, server) - _client_cost(load, client) for server, client in ends]
    client, server = (
        Range(*(cost(load, pick(prices, end)) for end in ("low", "usual", "high")))
        for cost in (_client_cost, _server_cost)
    )
    users, inferences = (_find_flips(load, ends, what) for what in ("users", "inferences_a_day"))
    return Costs(client, server, Range(*differences), users, inferences)


def pick(prices: Prices, end: str) -> Prices:
    """Prices without ranges: all at their low, usual or high ends."""

    def fix(value: Range) -> Range:
        return Range(*[getattr(value, end)] * 3)

    server = {name: fix(getattr(prices.server, name)) for name in prices.server.__dataclass_fields__}
    client = {name: fix(getattr(prices.client, name)) for name in prices.client.__dataclass_fields__}
    return replace(prices, server=replace(prices.server, **server), client=replace(prices.client, **client))


def _server_cost(load: Load, prices: Prices) -> float:
    price, inferences = prices.server, load.users * load.inferences_a_day * DAYS
    vcpus = max(price.least_vcpus.usual, _busy_vcpus(load, prices))
    traffic = (price.gb_out.usual * load.bytes_down + price.gb_in.usual * load.bytes_up) / GIGABYTE
    return price.a_month.usual + vcpus * price.vcpu_hour.usual * HOURS + inferences * traffic


def _busy_vcpus(load: Load, prices: Prices) -> float:
    return load.users * load.inferences_a_day / DAY_SECONDS * prices.server.peak.usual / load.vcpu_rate


def _client_cost(load: Load, prices: Prices) -> float:
    price = prices.client
    each = price.per_client_a_month.usual + price.releases_a_month.usual * load.download / GIGABYTE * price.gb_out.usual
    return price.a_month.usual + load.users * each


def _find_flips(load: Load, ends: list[tuple[Prices, Prices]], what: str) -> tuple[FlipPoint, ...]:
    """The flip points along `users` or `inferences_a_day`, all else as it is; `ends`: prices of server and client, cheap to dear.

    With the server's prices higher, and the client's lower, the client is the cheaper one from fewer users on.
    """
    found = []
    for server, client in ends:

        def difference(value: float, server: Prices = server, client: Prices = client) -> float:
            at = replace(load, **{what: value})
            return _server_cost(at, server) - _client_cost(at, client)

        one = _busy_vcpus(replace(load, **{what: 1.0}), server)
        kink = server.server.least_vcpus.usual / one if one else 0.0
        found.append((difference(0.0), find_roots(difference, kink)))
    flips = []
    for rises, sides in ((False, (Side.CLIENT, Side.SERVER)), (True, (Side.SERVER, Side.CLIENT))):
        low, usual, high = (_crossing(item, rises=rises) for item in found)
        if {low, usual, high} - {0.0, None}:
            first, last = (high, low) if rises else (low, high)
            flips.append(FlipPoint(usual, first, last, *sides))
    return tuple(flips)


def _crossing(item: tuple[float, list[tuple[float, bool]]], *, rises: bool) -> float | None:
    """Where a difference crosses 0 that way: 0 where it is beyond it all along, None where it never is."""
    start, roots = item
    if roots:
        return next((root for root, up in roots if up is rises), None)
    return 0.0 if (start > 0) is rises else None


def find_roots(difference: Callable[[float], float], kink: float) -> list[tuple[float, bool]]:
    """Where a function that is linear from 0 to `kink`, and from there on, crosses 0, each with whether it rises there."""
    width = kink or 1.0
    start, middle, after = difference(0.0), difference(kink), difference(kink + width)
    roots = []
    if kink and (start < 0 < middle or middle < 0 < start):
        roots.append((kink * start / (start - middle), start < 0))
    slope = (after - middle) / width
    touches = middle == 0 and bool(start) and (start > 0) is (slope > 0)
    if slope and not touches and (middle == 0 or (slope > 0) is (middle < 0)):
        roots.append((kink - middle / slope, slope > 0))
    return roots

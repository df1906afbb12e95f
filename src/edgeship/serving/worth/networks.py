"""How late a server's answers are over networks, declared ones and those between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from edgeship.devices import profiles
from edgeship.devices.network import Network, draw_answers, parse_network
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.serving.worth.figures import ServerTimes
from edgeship.types import Kind

# From the best to the worst; what lies between two is had by interpolation.
NAMES = ("server-local", "server-lan", "server-4g", "server-3g-bad")
LEAST = Network(rtt_ms=0.01, jitter_ms=0.001, up_mbit=1e-3, down_mbit=1e-3, loss=1e-6)  # what logarithms need
FASTEST = Network(up_mbit=1e5, down_mbit=1e5)
DRAWS, FEWER_DRAWS = 2000, 500  # of a figure, and where only a curve or a limit is looked for


@dataclass(frozen=True)
class NetworkLatency:
    """A server's answers over a network, in ms: on a connection that is there, and on a new one.

    `network_p99_ms`: what the network alone takes. `late`: the share of answers after the limit. Without a server's times there
    is only what the network takes, and the `reason`.
    """

    name: str
    network: Network
    kind: Kind | None
    network_p99_ms: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    new_p50_ms: float | None = None
    new_p99_ms: float | None = None
    late: float | None = None
    reason: str = ""


def find_networks(wanted: str) -> Mapping[str, Network]:
    """The networks of the built-in profiles, and the `wanted` one: of those, or a profile of somebody's own.

    Raises InputError for a device that is no server's.
    """
    names = dict.fromkeys([*NAMES, wanted])
    if wanted not in NAMES and not profiles.in_file(wanted):
        raise unknown_name_error("network", wanted, NAMES)
    found = {}
    for name in names:
        device = profiles.find_device(name)
        if device.how != "server":
            raise InputError(f'{name}: no profile of a server ([launch] how = "server")')
        found[device.name] = parse_network(device.launch, f"device {device.name}, [launch]")
    return found


def latency_over(name: str, network: Network, times: ServerTimes, limit_ms: float) -> NetworkLatency:
    """What a server's users have of it over a network."""
    kind = times.kind if network.is_none else Kind.SIMULATED
    alone = _draw(network, times, (0.0,), FEWER_DRAWS)
    if not times.samples_ms:
        return NetworkLatency(name, network, kind, percentile(alone, 0.99), reason=times.reason)
    kept = _draw(network, times, times.samples_ms, DRAWS)
    new = _draw(network, times, times.samples_ms, DRAWS, connects=True)
    return NetworkLatency(
        name,
        network,
        kind,
        percentile(alone, 0.99),
        percentile(kept, 0.5),
        percentile(kept, 0.99),
        percentile(new, 0.5),
        percentile(new, 0.99),
        sum(time > limit_ms for time in kept) / len(kept),
    )


def rough_percentiles(network: Network, times: ServerTimes) -> tuple[float, float]:
    """p50 and p99 of answers over a network in ms, by few draws."""
    drawn = _draw(network, times, times.samples_ms, FEWER_DRAWS)
    return percentile(drawn, 0.5), percentile(drawn, 0.99)


def _draw(
    network: Network, times: ServerTimes, server_ms: Sequence[float], draws: int, *, connects: bool = False
) -> list[float]:
    return draw_answers(network, server_ms, times.bytes_up, times.bytes_down, draws=draws, connects=connects)


def percentile(ordered: Sequence[float], share: float) -> float:
    """A percentile of sorted values, by straight lines between (as numpy's)."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def network_between(networks: Sequence[Network], place: float) -> Network:
    """The network at a place on the way through these, 0 the first; between two, conditions are interpolated by logarithms."""
    index = min(int(place), len(networks) - 2)
    share = place - index
    if share in (0.0, 1.0):
        return networks[index + int(share)]
    first, second = networks[index : index + 2]

    def mix(name: str) -> float:
        ends = [max(getattr(end, name) or getattr(FASTEST, name), getattr(LEAST, name)) for end in (first, second)]
        return float(ends[0] ** (1 - share) * ends[1] ** share)

    return replace(first, **{name: mix(name) for name in ("rtt_ms", "jitter_ms", "up_mbit", "down_mbit", "loss")})


def find_limit(late: Callable[[float], bool], first: float, last: float, steps: int = 10) -> float | None:
    """The place from `first` to `last` from which on answers are too `late`; None where they are all along, or nowhere."""
    if late(first) or not late(last):
        return None
    for _ in range(steps):
        middle = (first + last) / 2
        first, last = (first, middle) if late(middle) else (middle, last)
    return (first + last) / 2

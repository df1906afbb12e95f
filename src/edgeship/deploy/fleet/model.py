"""What a simulated fleet is, and what is told of it. Hours and shares; bytes as a content delivery network counts them."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass

# Of one exchange over TLS 1.3: the server's side of a full handshake, and the head of an answer. Assumed, for any web server.
HANDSHAKE_BYTES, HEAD_BYTES = 4_000, 350


@dataclass(frozen=True)
class Fleet:
    """How devices behave. All of it is assumed, and stands beside every figure.

    `poll_hours`: from one poll to the next, evenly spread by `jitter` of it to either side, anew each time. `offline`: the share
    of devices that are off at any moment; they stay off `offline_hours` on average (exponential), and poll when they come back
    where a poll was due. `failures`: the share of polls and of downloads that fail, which wait for the next poll.
    `selftest_failures`: the share of devices on which the new version fails its self-test. The timestamp is signed anew each
    `refresh_hours`.
    """

    clients: int = 100_000
    hours: int = 96
    poll_hours: float = 6.0
    jitter: float = 0.25
    offline: float = 0.2
    offline_hours: float = 8.0
    failures: float = 0.02
    selftest_failures: float = 0.001
    refresh_hours: float = 24.0
    seed: int = 0


@dataclass(frozen=True)
class Rollout:
    """When which percentage is published, as (hour, percent), and when it is rolled back; None: it is not."""

    steps: tuple[tuple[float, float], ...] = ((0.0, 5.0), (12.0, 25.0), (24.0, 100.0))
    rollback_hour: float | None = 48.0


@dataclass(frozen=True)
class Traffic:
    """Bytes of what a client downloads. `poll`: root (of none) and timestamp; `change`: new metadata and rules.

    `version`: all files of a new version that the one before does not share; `delta`: the same with differences; `source`: where
    the sizes come from.
    """

    poll: int
    change: int
    version: int
    delta: int
    source: str


@dataclass(frozen=True)
class AdoptionPoint:
    """The share of all devices that run the new version at an hour, and the percentage that is published then."""

    hour: float
    share: float
    percent: float


@dataclass(frozen=True)
class DayTraffic:
    """What the web server gave in one day, 0 the first: polls, and bytes of polls and of versions, whole and with differences.

    A poll that finds a new timestamp asks twice: by its bytes, and then by TUF.
    """

    day: int
    polls: int
    poll_bytes: int
    whole_bytes: int
    delta_bytes: int


@dataclass(frozen=True)
class ReachTime:
    """Hours until that share of the devices was reached; None: not within the simulation."""

    share: float
    hours: float | None


@dataclass(frozen=True)
class PollingCost:
    """Polling alone, scaled to so many clients: requests a second, on average and in the busiest quarter of an hour."""

    clients: int
    requests_per_second: float
    peak_requests_per_second: float
    bytes_per_day: float
    bytes_per_month: float


@dataclass(frozen=True)
class FleetResult:
    """What became of a fleet. Every figure is `simulated`.

    `adopted`: from the first publication until so many of all devices run the new version; `rollback`: from the rollback until so
    many of those that ran it have left it.
    """

    fleet: Fleet
    rollout: Rollout
    traffic: Traffic
    adoption: tuple[AdoptionPoint, ...]
    days: tuple[DayTraffic, ...]
    adopted: tuple[ReachTime, ...]
    rollback: tuple[ReachTime, ...]
    polling: PollingCost
    selftest_failures: int
    decisions: int
    kind: str = "simulated"

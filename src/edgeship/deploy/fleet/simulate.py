"""The simulation: time in steps, devices as arrays, and each decision by the clients' own `choose_version`.

A device decides when the rules have changed since it looked last; else its client would find nothing new. Devices in one bucket
and arm that run the same version decide alike, so that one of them is asked for all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeship.client.rules import Arm, Channel, Device, bucket, choose_arm, choose_version
from edgeship.deploy.fleet.model import (
    AdoptionPoint,
    DayTraffic,
    Fleet,
    FleetResult,
    PollingCost,
    ReachTime,
    Rollout,
    Traffic,
)

LARGE_FLEET = 10_000_000
SHARES = (0.5, 0.95, 0.99)
POINTS = 96  # of a curve of adoption
Array = NDArray[Any]


def simulate_fleet(fleet: Fleet, rollout: Rollout, traffic: Traffic, rules: Channel) -> FleetResult:
    """Let a fleet follow a channel. `rules`: those of the new version, which has a previous one that all devices run at first."""
    return _Simulation(fleet, rollout, traffic, rules).run()


def published_rules(rollout: Rollout, rules: Channel) -> list[tuple[float, Channel]]:
    """The rules of each moment, as (hour, rules), in the order of time; a rollback is last."""
    published = [(hour, replace(rules, percent=percent)) for hour, percent in rollout.steps]
    if rollout.rollback_hour is not None and rules.previous is not None:
        withdrawn = replace(
            rules, version=rules.previous, previous=None, percent=100.0, withdrawn=(*rules.withdrawn, rules.version)
        )
        published.append((rollout.rollback_hour, withdrawn))
    return sorted(published, key=lambda item: item[0])


class _Simulation:
    def __init__(self, fleet: Fleet, rollout: Rollout, traffic: Traffic, rules: Channel) -> None:
        self._fleet, self._rollout, self._traffic, self._rules = fleet, rollout, traffic, rules
        self._published = published_rules(rollout, rules)
        self._random = np.random.default_rng(fleet.seed)
        count, random = fleet.clients, self._random
        self._ids = [f"device-{number}" for number in range(count)]
        self._places = [(bucket(rules.salt, name), choose_arm(rules, name)) for name in self._ids]
        self._running = np.full(count, rules.previous or 0)
        self._seen = np.full(count, -1)  # which of the published rules a device knows
        self._stamp = np.zeros(count, int)  # which timestamp a device knows
        self._failed = np.zeros(count, bool)
        self._fails = random.random(count) < fleet.selftest_failures
        self._next = random.random(count) * fleet.poll_hours
        self._online = random.random(count) >= fleet.offline
        self._toggle = random.exponential(self._mean_hours(self._online))
        self._step = max(fleet.poll_hours / 120, fleet.hours / 20_000)
        self._memory: dict[tuple[int, tuple[int, Arm | None], int, bool], int] = {}
        steps = int(np.ceil(fleet.hours / self._step))
        self._polls, self._asked, self._whole, self._delta = (np.zeros(steps) for _ in range(4))
        self._share = np.zeros(steps)
        self._left = np.full(count, np.inf)  # the hour at which a device left the withdrawn version

    def _mean_hours(self, online: Array) -> Array:
        """How long devices stay as they are, on average, so that the share that is off stays what it is."""
        fleet = self._fleet
        on = fleet.offline_hours * (1 - fleet.offline) / fleet.offline if fleet.offline else np.inf
        return np.where(online, on, fleet.offline_hours)

    def run(self) -> FleetResult:
        affected = np.zeros(self._fleet.clients, bool)
        withdrawn_at = self._rollout.rollback_hour
        for number in range(len(self._polls)):
            hour = number * self._step
            if withdrawn_at is not None and hour >= withdrawn_at and not affected.any():
                affected = self._running == self._rules.version
            self._move(number, hour)
            self._share[number] = float(np.mean(self._running == self._rules.version))
        return self._tell(affected)

    def _move(self, number: int, hour: float) -> None:
        """One step: devices go on and off, and those whose poll is due ask."""
        turned = np.flatnonzero(self._toggle <= hour)
        self._online[turned] = ~self._online[turned]
        self._toggle[turned] = hour + self._random.exponential(self._mean_hours(self._online[turned]))
        due = np.flatnonzero(self._online & (self._next <= hour))
        spread = 1 + self._fleet.jitter * (2 * self._random.random(len(due)) - 1)
        self._next[due] = hour + self._fleet.poll_hours * spread
        self._polls[number] = len(due)
        current = sum(start <= hour for start, _ in self._published) - 1
        reached = due[self._random.random(len(due)) >= self._fleet.failures]
        stamp = int(hour // self._fleet.refresh_hours) + current + 1
        self._asked[number] = len(due) + int((self._stamp[reached] < stamp).sum())
        self._stamp[reached] = stamp
        behind = reached[self._seen[reached] < current]
        if len(behind):
            self._decide(behind, current, number, hour)

    def _decide(self, devices: Array, current: int, number: int, hour: float) -> None:
        self._count(number, len(devices) * self._traffic.change, len(devices) * self._traffic.change)
        wanted = self._choose(devices, current)
        new, old = self._rules.version, self._rules.previous or 0
        taking = devices[(wanted == new) & (self._running[devices] != new)]
        loaded = self._random.random(len(taking)) >= self._fleet.failures
        self._count(number, int(loaded.sum()) * self._traffic.version, int(loaded.sum()) * self._traffic.delta)
        broken = taking[loaded & self._fails[taking]]
        self._failed[broken] = True
        self._running[taking[loaded & ~self._fails[taking]]] = new
        leaving = devices[(wanted == old) & (self._running[devices] == new)]
        self._running[leaving] = old  # its files are still there
        self._left[leaving] = hour
        self._seen[np.setdiff1d(devices, taking[~loaded], assume_unique=True)] = current

    def _choose(self, devices: Array, current: int) -> Array:
        """What each device is to run by its client's own decision."""
        rules, wanted = self._published[current][1], np.zeros(len(devices), int)
        for place, device in enumerate(devices.tolist()):
            running, failed = int(self._running[device]), bool(self._failed[device])
            key = current, self._places[device], running, failed
            if key not in self._memory:
                known = (self._rules.version,) if failed else ()
                self._memory[key] = choose_version(rules, Device(self._ids[device]), running, known) or running
            wanted[place] = self._memory[key]
        return wanted

    def _count(self, number: int, whole: float, delta: float) -> None:
        self._whole[number] += whole
        self._delta[number] += delta

    def _tell(self, affected: Array) -> FleetResult:
        return FleetResult(
            self._fleet,
            self._rollout,
            self._traffic,
            self._adoption(),
            tuple(self._days()),
            tuple(self._adopted()),
            tuple(self._rollback(affected)),
            self._polling(),
            int(self._failed.sum()),
            len(self._memory),
        )

    def _adoption(self) -> tuple[AdoptionPoint, ...]:
        places = np.unique(np.linspace(0, len(self._share) - 1, POINTS + 1).astype(int))
        return tuple(
            AdoptionPoint(round(place * self._step, 3), float(self._share[place]), self._percent(place * self._step))
            for place in places.tolist()
        )

    def _percent(self, hour: float) -> float:
        rules = [rules for start, rules in self._published if start <= hour]
        return rules[-1].percent if rules and rules[-1].version == self._rules.version else 0.0

    def _days(self) -> list[DayTraffic]:
        day = (np.arange(len(self._polls)) * self._step // 24).astype(int)
        sums = [np.bincount(day, values) for values in (self._polls, self._asked, self._whole, self._delta)]
        polls, asked, whole, delta = sums
        poll_bytes = asked * self._traffic.poll
        return [
            DayTraffic(number, int(polls[number]), int(poll_bytes[number]), int(whole[number]), int(delta[number]))
            for number in range(len(polls))
        ]

    def _adopted(self) -> list[ReachTime]:
        first = self._published[0][0]
        places = [np.flatnonzero(self._share >= share) for share in SHARES]
        hours = [float(place[0]) * self._step - first if len(place) else None for place in places]
        return [ReachTime(*item) for item in zip(SHARES, hours, strict=True)]

    def _rollback(self, affected: Array) -> list[ReachTime]:
        hour = self._rollout.rollback_hour
        if hour is None or not affected.any():
            return []
        waited = np.sort(self._left[affected] - hour)
        times = [(share, waited[int(np.ceil(share * len(waited))) - 1]) for share in SHARES]
        return [ReachTime(share, float(time) if np.isfinite(time) else None) for share, time in times]

    def _polling(self) -> PollingCost:
        scale, width = LARGE_FLEET / self._fleet.clients, max(round(0.25 / self._step), 1)
        per_hour = float(self._asked.sum() / (len(self._asked) * self._step)) * scale
        peak = float(np.convolve(self._asked, np.ones(width), "valid").max() / (width * self._step)) * scale
        a_day = 24 * per_hour * self._traffic.poll
        return PollingCost(LARGE_FLEET, 2 * per_hour / 3600, 2 * peak / 3600, a_day, 30 * a_day)

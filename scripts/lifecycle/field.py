"""Installations of an app in the weeks of a calendar: they use it on Wednesdays, and send what they counted on Tuesdays after."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeship.client.reports.sending import SendResult
from edgeship.client.samples.sending import SampleSendResult
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.reports.windows import find_window
from scripts.lifecycle.calendar import Calendar
from scripts.lifecycle.clients import SimulatedClient, run_beside
from scripts.lifecycle.users import User, meet_samples

Array = NDArray[Any]
Change = Callable[[Mapping[str, Array], np.random.Generator], Mapping[str, Array]]
CLOSED_AFTER = timedelta(weeks=2)  # of a window's Monday


@dataclass(frozen=True)
class Evaluation:
    """Samples that users meet: inputs (n, ...) by name, and the right classes (n,)."""

    inputs: Mapping[str, Array]
    labels: Array


def read_evaluation(path: Path) -> Evaluation:
    """Of an `evaluation.npz`."""
    with np.load(path) as data:
        inputs = {name: data[name].astype(np.float32) for name in data.files if name != "y"}
        return Evaluation(inputs, data["y"])


class SimulatedField:
    """Clients with their users. `monday`: the first day of week 1 (UTC); `feedback`: of how many inferences users tell."""

    def __init__(
        self, calendar: Calendar, clients: Sequence[SimulatedClient], users: Sequence[User], data: Evaluation, *,
        monday: datetime, feedback: float = 0.2,
    ) -> None:  # fmt: skip
        self.calendar, self.clients, self.users, self.data = calendar, clients, users, data
        self.feedback, self._monday = feedback, monday.astimezone(UTC)

    def monday_of(self, week: int) -> datetime:
        """When a week begins; the first is week 1."""
        return self._monday + timedelta(weeks=week - 1)

    def window_of(self, week: int) -> str:
        """The window of a week, as reports name it."""
        return find_window(self.monday_of(week).date())

    def live(self, week: int, change: Change | None = None, share: float = 1.0) -> Tally[str]:
        """On that week's Wednesday each user meets samples; what all clients counted, of the raw answers.

        `change`: of the inputs of a `share` of the users, always the same ones.
        """
        self.calendar.turn(self.monday_of(week) + timedelta(days=2, hours=12))

        def spend_day(item: tuple[int, tuple[SimulatedClient, User]]) -> Tally[str]:
            place, (client, user) = item
            inputs, truth = meet_samples(user, self.data.inputs, self.data.labels, client.chance)
            if change is not None and place < share * len(self.users):
                inputs = dict(change(inputs, client.chance))
            client.used.clear()
            client.use(inputs, truth, self.feedback)
            return client.used

        total: Tally[str] = Tally()
        for used in run_beside(spend_day, enumerate(zip(self.clients, self.users, strict=True))):
            total += used
        return total

    def send(self, week: int, url: str) -> list[SendResult]:
        """On the Tuesday after that week all clients send to the collector at `url`."""
        self.calendar.turn(self.monday_of(week + 1) + timedelta(days=1, hours=9))
        return run_beside(lambda client: client.counter.send(f"{url}/reports"), self.clients)

    def send_samples(self, url: str) -> list[SampleSendResult]:
        """Those whose users agreed ask the collector at `url` for how many samples it wants, and send them."""
        stores = [client.samples for client in self.clients if client.samples]
        return run_beside(lambda store: store.send(f"{url}/samples"), stores)

    def close(self, week: int) -> None:
        """Turn the calendar to the moment after that week's window is closed."""
        self.calendar.turn(self.monday_of(week) + CLOSED_AFTER + timedelta(hours=1))

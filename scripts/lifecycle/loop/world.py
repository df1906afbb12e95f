"""What the stations share: folders, the calendar, devices and their users, and what they did week by week."""

from __future__ import annotations

import csv
import json
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeship.client import Client, UpdateResult
from edgeship.light_dataclass import dataclass
from scripts.lifecycle.calendar import Calendar
from scripts.lifecycle.clients import SimulatedClient, update_all
from scripts.lifecycle.field import Evaluation, SimulatedField
from scripts.lifecycle.loop.record import CommandRecord, Recorder
from scripts.lifecycle.users import User, darken_and_tilt

Array = NDArray[Any]
MODEL, CHANNEL, ARTIFACT = "garments", "garments/stable", "tflite/int8"
STORE = "sqlite:///registry.db"
JUDGED = 3000  # of the 10,000 test images: what the gate judges by; users meet the others
SHARE = 0.8  # of the users, whose pictures get darker and tilted
TURN = partial(darken_and_tilt, brightness=0.6, degrees=25.0)
FEEDBACK = 0.6  # of the inferences, after which users tell whether it was right
HABIT = 40.0  # inferences of a user in a week, on average


@dataclass(frozen=True)
class Week:
    """What devices counted in a week. `right`: by the truth, which they do not know; `installs` that used the model.

    `versions`: how many devices ran each.
    """

    number: int
    window: str
    installs: int
    inferences: int
    right: int
    turned: bool
    versions: Mapping[int, int]

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.inferences


class World:
    """A run of the loop. `folder`: where commands run, so that they read as a user would type them."""

    def __init__(self, folder: Path, calendar: Calendar, recorder: Recorder, clients: int, seed: int) -> None:
        self.folder, self.calendar, self.recorder, self.seed = folder, calendar, recorder, seed
        self.count, self.users = clients, list[User]()
        self.devices: list[Client] = []
        self.clients: dict[int, SimulatedClient] = {}
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.monday = today - timedelta(days=today.weekday())  # of week 1, in which all begins
        self.data: Evaluation | None = None
        self.challenger: dict[str, Any] = {}
        self.weeks: list[Week] = []
        self.stack = ExitStack()
        self.site = self.collector = ""
        self.tab: Any = None

    def run(self, *words: object, codes: Sequence[int] = (0,)) -> dict[str, Any]:
        """Run a command of edgeship that tells JSON, note it, and return that."""
        file = self.folder / "answer.json"
        file.unlink(missing_ok=True)
        self.recorder.run(*words, "--json", file.name, codes=codes, show=words)
        result: dict[str, Any] = json.loads(file.read_text())
        return result

    def say(self, *words: object, codes: Sequence[int] = (0,)) -> CommandRecord:
        """Run a command of edgeship and note it."""
        return self.recorder.run(*words, codes=codes)

    @property
    def keys(self) -> tuple[object, ...]:
        """The words that every command of the channel takes."""
        return ("--channel", "channel", "--name", CHANNEL, "--key", "keys")

    def monday_of(self, week: int) -> datetime:
        """When a week begins."""
        return self.monday + timedelta(weeks=week - 1)

    def turn(self, week: int, *, days: int = 0, hours: int = 10) -> None:
        """Go to a day of a week."""
        self.calendar.turn(self.monday_of(week) + timedelta(days=days, hours=hours))

    def refresh(self) -> None:
        """Sign the channel's timestamp anew, as a cron job does every few hours; not noted."""
        self.calendar.run("deploy", "refresh", "--channel", "channel", "--key", "keys")

    def ask_channel(self) -> list[UpdateResult]:
        """All devices ask the channel; those that have a model from now on use it."""
        results = update_all(self.devices)
        for number, device in enumerate(self.devices):
            if device.version is not None and number not in self.clients:
                place = self.folder / "devices" / f"client-{number}"
                self.clients[number] = SimulatedClient(place, device, artifact=ARTIFACT, seed=number)
        return results

    def count_versions(self) -> dict[int, int]:
        """How many devices run each version."""
        tally = Tally(device.version for device in self.devices)
        return {number: count for number, count in sorted(tally.items(), key=str) if number is not None}

    def field(self) -> SimulatedField:
        """The devices that have a model, with their users."""
        if self.data is None:
            raise ValueError("there is no data that users could meet yet")
        numbers = sorted(self.clients)
        return SimulatedField(
            self.calendar, [self.clients[number] for number in numbers], [self.users[number] for number in numbers],
            self.data, monday=self.monday, feedback=FEEDBACK,
        )  # fmt: skip

    def live(self, number: int, *, turned: bool) -> Week:
        """A week of all users: on its Wednesday they use the model, on the Tuesday after their devices report."""
        field = self.field()
        versions = self.count_versions()
        change: Callable[..., Any] | None = TURN if turned else None
        counted = field.live(number, change, SHARE)
        results = field.send(number, self.collector)
        self.recorder.station.check(
            {(result.sent, result.refused, result.waiting) for result in results} <= {(1, 0, 0)},
            f"week {number}: each of {len(results)} devices sent one report, and the collector took it",
        )
        week = Week(
            number, field.window_of(number), len(results), counted["inferences"], counted["right"], turned, versions
        )
        self.weeks.append(week)
        return week

    def window_of(self, week: int) -> str:
        """As reports name it."""
        return self.field().window_of(week)

    def write_users(self, week: int, experiment: str | None, out: str) -> int:
        """The reports of a week as a table of users, from what `monitor export` writes; how many users it has.

        With `experiment`: those that take part, with their arm.
        """
        import pyarrow.parquet

        part = f"reports-{week}.parquet"
        window = self.window_of(week)
        self.say("monitor", "export", "--store", "inbox", "--to", "parquet", "--window", window, "--out", part)
        names = ["install", "arms", "n", "outcomes", "errors"]
        rows = pyarrow.parquet.read_table(self.folder / part, columns=names).to_pylist()
        users = []
        for row in rows:
            arm = dict(row["arms"]).get(experiment, "") if experiment else ""
            if arm or not experiment:
                told = {name: sum(pairs[1::2]) for name, pairs in row["outcomes"]}
                found = [*(told.get(name, 0) for name in ("accepted", "corrected")), sum(dict(row["errors"]).values())]
                users.append([row["install"], *([arm] if experiment else []), row["n"], *found])
        with (self.folder / out).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            head = ["user", *(["arm"] if experiment else []), "inferences", "accepted", "corrected", "errors"]
            writer.writerows([head, *users])
        return len(users)


def split_test_images(trained: Path, seed: int) -> None:
    """Part the test images: `judged.npz` for the gate, `field.npz` for users; no image is in both."""
    with np.load(trained / "evaluation.npz") as data:
        images, labels = data["image"], data["y"]
    order = np.random.default_rng((seed, 17)).permutation(len(labels))
    for name, rows in (("judged", order[:JUDGED]), ("field", order[JUDGED:])):
        np.savez(trained / f"{name}.npz", image=images[rows], y=labels[rows])

"""What a device keeps of its counts: those of the week that is not over, and reports that wait to be sent. Standard library only.

One file, `reports.json`, is replaced whole under a lock, so that several processes may count and a killed one loses only what
it had not saved.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from edgeship.client.reports.counts import add_counts, count_cells, is_empty
from edgeship.client.reports.state_file import StateFile

Json = dict[str, Any]
SCHEMA, FILE = 1, "reports.json"
MOST_WAITING = 8  # reports: older ones are dropped
MOST_CELLS, MOST_INFERENCES = 2000, 50_000_000  # of one report; what comes then begins the next
WEEK, FIRST_MONDAY = 604_800, 345_600  # seconds; of time.time()


def week_of(seconds: float) -> int:
    """Which week since 1970 a time of `time.time` is in; weeks begin on Mondays, UTC."""
    return int((seconds - FIRST_MONDAY) // WEEK)


def name_window(week: int) -> str:
    """The window of a week, as `2026-W48`."""
    year, number, _ = datetime.fromtimestamp(week * WEEK + FIRST_MONDAY, UTC).isocalendar()
    return f"{year:04}-W{number:02}"


def name_install(secret: str, window: str) -> str:
    """The pseudonym of a window: HMAC-SHA256 with the device's secret (hexadecimal) of the month of its Thursday, 128 bits."""
    monday = date.fromisocalendar(int(window[:4]), int(window[6:]), 1)
    month = f"{monday + timedelta(days=3):%Y-%m}"
    return hmac.new(bytes.fromhex(secret), month.encode(), hashlib.sha256).hexdigest()[:32]


class Outbox:
    """The folder in which counts and reports lie. Raises ClientError where it cannot be one."""

    def __init__(self, folder: Path) -> None:
        self._file = StateFile(folder, FILE, "counts")
        self._file.make_folder()

    def add(self, identity: Json, counts: Json, week: int) -> None:
        """Add counts of an artifact, of which `identity` has the fields of a report that are the same for all of them."""
        if is_empty(counts):
            return
        with self._change() as state:
            open_report = next(
                (item for item in state["open"] if (item["identity"], item["week"]) == (identity, week)), None
            )
            if open_report is None:
                state["open"].append({"identity": identity, "week": week, "counts": counts})
                return
            total = open_report["counts"] = add_counts(open_report["counts"], counts)
            if count_cells(total) > MOST_CELLS or total["n"] > MOST_INFERENCES:
                _seal(state, lambda item: item is open_report)

    def seal(self, week: int | None) -> None:
        """Make reports of what was counted before that week; None: of everything."""
        with self._change() as state:
            _seal(state, lambda item: week is None or item["week"] < week)

    def waiting(self) -> list[Json]:
        """The reports that wait to be sent, oldest first: their `key`, and their `body`, JSON as text."""
        found: list[Json] = self._read()["waiting"]
        return found

    def preview(self) -> list[Json]:
        """What would be sent now, of weeks that are over and of this one, as JSON values; nothing is changed."""
        state = self._read()
        _seal(state, lambda _: True)
        return [json.loads(item["body"]) for item in state["waiting"]]

    def remove(self, key: str) -> None:
        """Forget a report that the server has taken, or will never take."""
        with self._change() as state:
            state["waiting"] = [item for item in state["waiting"] if item["key"] != key]

    def read_retry(self) -> tuple[int, float]:
        """How often sending failed since it last went well, and until when (`time.time`) nothing is tried."""
        state = self._read()
        return state["failures"], state["quiet_until"]

    def write_retry(self, failures: int, quiet_until: float) -> None:
        """Keep what `read_retry` reads."""
        with self._change() as state:
            state["failures"], state["quiet_until"] = failures, quiet_until

    def _read(self) -> Json:
        return self._file.read(_new_state())

    def _change(self) -> AbstractContextManager[Json]:
        return self._file.change(_new_state())


def _new_state() -> Json:
    return {
        "schema": SCHEMA,
        "secret": os.urandom(32).hex(),
        "sequence": 0,
        "open": [],
        "waiting": [],
        "failures": 0,
        "quiet_until": 0.0,
    }


def _seal(state: Json, chosen: Any) -> None:
    """Make reports of the chosen open counts: each gets the next number and its pseudonym, and stays as it is then."""
    for item in [item for item in state["open"] if chosen(item)]:
        state["open"].remove(item)
        window, sequence = name_window(item["week"]), state["sequence"]
        state["sequence"] = sequence + 1
        install = name_install(state["secret"], window)
        head = {"schema": SCHEMA, "window": window, "sequence": sequence, "install": install}
        body = json.dumps({**head, **item["identity"], **item["counts"]}, separators=(",", ":"))
        key = f"{install}.{window}.{item['identity']['content'][:16]}.{sequence}"
        state["waiting"] = [*state["waiting"], {"key": key, "body": body}][-MOST_WAITING:]

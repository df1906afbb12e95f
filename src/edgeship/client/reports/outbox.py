"""What a device keeps of its counts: those of the week that is not over, and reports that wait to be sent. Standard library only.

One file, `reports.json`, is replaced whole under a lock, so that several processes may count and a killed one loses only what
it had not saved.
"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from edgeship.client.reports.counts import Json, add_counts, count_cells, is_empty, name_report, render_report
from edgeship.client.reports.state_file import StateFile
from edgeship.client.reports.windows import name_install, name_window

SCHEMA, FILE = 1, "reports.json"
MOST_WAITING = 8  # reports: older ones are dropped
MOST_CELLS, MOST_INFERENCES = 2000, 50_000_000  # of one report; what comes then begins the next


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
        body = render_report(window, sequence, install, item["identity"], item["counts"])
        key = name_report(window, sequence, install, item["identity"])
        state["waiting"] = [*state["waiting"], {"key": key, "body": body}][-MOST_WAITING:]

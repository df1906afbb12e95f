"""What is asked of a stream."""

from __future__ import annotations

import re
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|rows)?\s*")
LEAST_ROWS = 32  # of an interval that closes early, or after a time: fewer teach nothing
ROWS, REPLAY_TIMES = 250, 8  # of an interval; old samples beside each of its rows


@dataclass(frozen=True)
class Interval:
    """How much an interval holds: so many labelled `rows`, or what comes in so many `seconds` after its first."""

    rows: int | None = ROWS
    seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.rows} rows" if self.rows else f"{self.seconds:g} s"


def parse_interval(text: str) -> Interval:
    """An interval as `250`, `250 rows`, `90s`, `15m`, `1h` or `1d`.

    Raises InputError for another text, and for fewer than 32 rows.
    """
    found = LENGTH.fullmatch(text)
    if not found:
        raise InputError(f"--interval {printable(text)[:40]}: rows, as 250, or a time, as 15m, 1h or 1d")
    number, unit = float(found[1]), found[2] or "rows"
    if unit == "rows":
        if number < LEAST_ROWS or number != int(number):
            raise InputError(f"--interval {printable(text)[:40]}: at least {LEAST_ROWS} rows, as fewer teach nothing")
        return Interval(int(number))
    if number <= 0:
        raise InputError(f"--interval {printable(text)[:40]}: a time above 0")
    return Interval(None, number * SECONDS[unit])


@dataclass(frozen=True)
class StreamRequest:
    """A stream of labelled rows for the champion of `name`.

    `source`: a CSV or Parquet file, a folder or pattern of them that grows, a database with a `query` that is read by the
    `watermark` column, or `redis://...`. `label` and `key` are columns. `state`: the folder that all is in which the stream must
    not forget. `replay` old samples are learned beside the rows of an interval (None: 8 for each), for `epochs` epochs; rows are
    repeated until they are about a fifth of all, as in a retraining. `head_only`: only the last
    Dense layer learns. `data`: folders in which the champion's own data is found by its digest, `train`: its training data by
    name; `config` stands in for what the champion was made with. `promote`: staging points to each accepted version; `channel`:
    where each that is surely not worse is published, as `channel_name` with `keys`. `once`: end where nothing new is there; else
    look again each `poll` seconds. `claim_after`: seconds after which what a dead consumer of Redis had taken is taken over.
    """

    name: str | None
    store: str
    source: str
    state: Path
    label: str = "label"
    key: str = "id"
    query: str | None = None
    watermark: str | None = None
    interval: Interval = Interval()
    replay: int | None = None
    epochs: int = 3
    learning_rate: float = 3e-4
    batch: int = 32
    seed: int = 0
    head_only: bool = False
    data: tuple[Path, ...] = ()
    train: str | None = None
    config: Path | None = None
    promote: bool = False
    channel: Path | None = None
    channel_name: str = ""
    keys: tuple[Path, ...] = ()
    once: bool = False
    poll: float = 2.0
    claim_after: float = 60.0

    def count_replay(self, rows: int, old: int) -> int:
        """How many of so many old samples are learned beside so many rows."""
        return min(REPLAY_TIMES * rows if self.replay is None else self.replay, old)

"""What a run is asked for, and what it did."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.sinks.sink import Current


@dataclass(frozen=True)
class Options:
    """What a run is asked for; see `edgeship predict --help`. `current`: what the view shows in the end, None for this run's."""

    table: str = "predictions"
    artifact: str | None = None
    key: str = "id"
    query: str | None = None
    version: str | None = None
    batch: int | None = None
    since: str | None = None
    current: Current | None = None
    engine: str = "local"


@dataclass(frozen=True)
class BatchRun:
    """What a run did: `written` of `rows` in this run, the others were there. `shown`: the version that the view shows now.

    `shown` is empty where the view is as it was before, or there is none. `rows_per_second` of those that were written. `counts`:
    the table or file that the run's drift counters are in; empty where there are none, for the reason `no_counts`.
    """

    source: str
    sink: str
    table: str
    artifact: str
    model_version: str
    job: str
    rows: int
    written: int
    chunks: int
    batch: int
    seconds: float
    rows_per_second: float
    shown: str = ""
    watermark: str = ""
    counts: str = ""
    no_counts: str = ""

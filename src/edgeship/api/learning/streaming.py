"""Streams: rows as they come are predicted, then learned, and each interval ends in a version that was judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.api.files import check_outside_of_bundles, optional_path
from edgeship.errors import InputError, MissingDependencyError, unknown_name_error
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.learning.stream.results import StreamResult
    from edgeship.monitoring.drift.tables import Section

STORE = "sqlite:///registry.db"
EXTRA = "pip install 'edgeship[stream]'"


def stream_rows(
    source: str,
    state: AnyPath,
    *,
    name: str | None = None,
    store: str = STORE,
    label: str = "label",
    key: str = "id",
    query: str | None = None,
    watermark: str | None = None,
    interval: str | int = 250,
    replay: int | None = None,
    epochs: int = 3,
    learning_rate: float = 3e-4,
    batch: int = 32,
    seed: int = 0,
    head_only: bool = False,
    data: Sequence[AnyPath] = (),
    train: str | None = None,
    config: AnyPath | None = None,
    promote: str | None = None,
    channel: AnyPath | None = None,
    channel_name: str | None = None,
    keys: Sequence[AnyPath] = (),
    once: bool = True,
    poll: float = 2.0,
    claim_after: float = 60.0,
    progress: bool = False,
) -> StreamResult:
    """Answer each labelled row of `source` with the champion of `name`, or what became of it, and learn it afterwards.

    `source`: a CSV or Parquet file, a folder or pattern of them that grows, a database with a `query` that is read by the column
    `watermark`, or `redis://...`. `state`: a folder; called again with it the stream goes on at the next row. `interval`: rows,
    or a time as "15m". `replay` old samples are learned beside its rows (None: 8 for each). `promote`: "staging" moves to each
    accepted version; `channel`: where it is published if it is surely not worse, as `channel_name` with `keys`. Not
    `once`: wait for more rows, and look each `poll` seconds.

    Raises InputError for what cannot be used; what was learned until then stays.
    """
    try:
        from edgeship.learning.stream.request import StreamRequest, parse_interval
        from edgeship.learning.stream.run import run_stream
    except ImportError as error:
        raise MissingDependencyError(f"streams need pyarrow ({error}): {EXTRA}") from error
    if promote not in (None, "staging"):
        raise unknown_name_error("alias to promote to", str(promote), ["staging"])
    if channel is not None and not (channel_name and keys):
        raise InputError("a channel needs the name that devices ask for (--channel-name) and its keys (--signing-key)")
    check_outside_of_bundles(Path(state) / "state.db")
    request = StreamRequest(
        name=name, store=store, source=source, state=Path(state), label=label, key=key, query=query, watermark=watermark,
        interval=parse_interval(str(interval)), replay=replay, epochs=epochs, learning_rate=learning_rate, batch=batch, seed=seed,
        head_only=head_only, data=tuple(map(Path, data)), train=train, config=optional_path(config),
        promote=promote is not None, channel=optional_path(channel), channel_name=channel_name or "",
        keys=tuple(map(Path, keys)), once=once, poll=poll, claim_after=claim_after,
    )  # fmt: skip
    with set_visibility(progress):
        return run_stream(request)


def describe_stream(result: StreamResult) -> tuple[Section, ...]:
    """A result as tables for people."""
    from edgeship.learning.stream.page import describe_stream as describe

    return describe(result)

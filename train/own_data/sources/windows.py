"""Windows of sensor values as samples, out of a long table: one row a moment, one column a channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.storage import digest
from edgeship.tables.schema import TableSchema
from edgeship.train.dataset import Array
from edgeship.train.own_data.networks import WINDOW_SIZES, window_network
from edgeship.train.own_data.samples import OwnData, Prepared
from edgeship.train.own_data.sources.arrays import spread_features
from edgeship.train.own_data.sources.columns import UNFIT, as_spelled, check_complete, read_columns, read_target
from edgeship.train.own_data.sources.sample_pictures import draw_window
from edgeship.untrusted import printable

SHOWN = 12  # channels of a window that a card shows
NAME = "window"
STRETCHES = "unbroken stretches"  # what windows are split by where no column says it
LEAST_ROWS = 8  # of a window


def read_windows(
    path: Path, schema: TableSchema, label: str, length: int, *, group: str | None, time: str | None
) -> OwnData:
    """Windows of `length` rows, float32 (n, length, channels), half of each in the next one; channels are all columns of numbers.

    Rows are in the order of `time` (of the file without one), and a window holds one label and one value of `group` throughout.
    Overlapping windows stay in one split: all of a group, or without one all of an unbroken stretch. Raises InputError where
    there is no window, or a channel has gaps.
    """
    if length < LEAST_ROWS:
        raise InputError(f"--window {length}: a window has at least {LEAST_ROWS} rows")
    task = schema.find_task(label)
    channels = _find_channels(path, schema, [name for name in (label, group, time) if name])
    texts = [*([label] if task == "classification" else []), *([group] if group else [])]
    special = [name for name in (label, group, time) if name]
    columns = read_columns(path, as_spelled(schema, texts), [*channels, *special], whole=special)
    target, targets = read_target(label, columns[label])
    who = columns[group].array if group else np.zeros(len(targets), np.int32)
    order = np.lexsort((columns[time].array, who)) if time else np.argsort(who, kind="stable")
    starts, stretches = _cut(targets[order], who[order], length)
    if not len(starts):
        raise InputError(
            f"{printable(path)}: no stretch with one {printable(label)} has {length} rows; --window is too long"
        )
    signals = np.stack([columns[name].array[order] for name in channels], 1)
    samples = np.lib.stride_tricks.sliding_window_view(signals, length, axis=0)[starts].transpose(0, 2, 1)
    samples = np.ascontiguousarray(samples)
    groups = columns[group].names[order][starts] if group else np.char.add("stretch ", stretches.astype(str))

    def spans(window: Array) -> list[tuple[str, float, float]]:
        return [*zip(channels, window.min(axis=0), window.max(axis=0), strict=True)][:SHOWN]

    form: dict[str, Any] = {"kind": "window", "multiply": 1.0, "add": 0.0}
    return OwnData(
        kind="windows",
        name=path.name,
        target=target,
        targets=targets[order][starts],
        prepare=lambda _: Prepared({NAME: samples}, {NAME: form}, window_network, WINDOW_SIZES),
        features=lambda rows: spread_features(samples, rows),
        describe_row=lambda row: f"{length} rows from row {int(order[starts[row]]) + 2}",
        show_row=lambda row: ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, low, high in spans(samples[row])),
        draw_row=lambda row: draw_window(samples[row]),
        digest=digest.of_path(path),
        preprocessing=f"windows of {length} rows in their own units; channels: {', '.join(channels)}",
        groups=groups,
        grouped_by=group or STRETCHES,
        notes=(
            f"windows of {length} rows, one every {length // 2}: neighbours share rows, so the real uncertainty is larger than "
            "the intervals, which count windows as independent",
        ),
    )


def _find_channels(path: Path, schema: TableSchema, special: list[str]) -> list[str]:
    for name in special:
        check_complete(path, schema.column(name))
    channels = [item for item in schema.columns if item.kind == "number" and item.name not in special]
    for item in channels:
        check_complete(path, item)
        if item.statistics is not None and not item.statistics.fits_model:
            raise InputError(f"{printable(path)}: column '{printable(item.name)}' {UNFIT}; mend it first")
    if not channels:
        raise InputError(f"{printable(path)}: no column of numbers that could be a channel")
    return [item.name for item in channels]


def _cut(targets: Array, who: Array, length: int) -> tuple[Array, Array]:
    """Where windows begin (int64), and the number of the unbroken stretch that each is of; a value may change within one."""
    breaks = who[1:] != who[:-1]
    if targets.dtype.kind == "i":
        breaks = breaks | (targets[1:] != targets[:-1])
    ends = np.flatnonzero(breaks) + 1
    starts, stretches = list[int](), list[int]()
    for number, (first, last) in enumerate(zip([0, *ends.tolist()], [*ends.tolist(), len(who)], strict=True)):
        places = range(first, last - length + 1, length // 2)
        starts += places
        stretches += [number] * len(places)
    return np.array(starts, np.int64), np.array(stretches, np.int64)

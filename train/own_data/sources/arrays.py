"""An `.npz` as samples: inputs with samples along the first axis, `y` the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeship import data
from edgeship.errors import InputError
from edgeship.settings import config
from edgeship.storage import digest
from edgeship.train.dataset import Array
from edgeship.train.own_data.networks import NUMBERS, tensor_network, tensor_sizes
from edgeship.train.own_data.samples import OwnData, Picture, Prepared, Target
from edgeship.train.own_data.sources.sample_pictures import draw_pixels, draw_window
from edgeship.untrusted import printable

LABELS = "labels.txt"
SHOWN = 12  # numbers of a row that a card shows
MOST_FEATURES = 1024  # that a linear model takes of a sample, evenly spread


def read_npz(path: Path) -> OwnData:
    """One input of rank 2 to 4 and `y`: whole numbers from 0 on are classes, named in a `labels.txt` beside it, others values.

    Raises InputError for anything else.
    """
    arrays = data.load(path)
    where = printable(path)
    names = [name for name in arrays if name != "y"]
    if "y" not in arrays or len(names) != 1:
        raise InputError(f"{where}: holds {', '.join(map(printable, arrays))}; it takes one input and its labels, y")
    inputs, (target, targets) = arrays[names[0]], read_labels(path, arrays["y"])
    if len(inputs) != len(targets) or inputs.ndim not in (2, 3, 4) or inputs.dtype.kind not in "uif":
        raise InputError(
            f"{where}: '{printable(names[0])}' is {inputs.dtype} of shape {inputs.shape} for {len(targets):,} labels; it takes "
            "numbers as (samples, features), (samples, time, channels) or (samples, height, width, channels)"
        )
    name = NUMBERS if inputs.ndim == 2 else names[0]
    if inputs.dtype in (np.int32, np.float64):
        with np.errstate(over="ignore"):
            inputs = inputs.astype(np.float32)
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        raise InputError(
            f"{where}: '{printable(names[0])}' holds NaN or infinity; fill it in first (float32 ends at 3.4e38)"
        )
    return OwnData(
        kind="arrays",
        name=path.name,
        target=target,
        targets=targets,
        prepare=lambda _: Prepared({name: inputs}, {}, tensor_network, tensor_sizes(inputs.shape[1:])),
        features=lambda rows: spread_features(inputs, rows),
        describe_row=lambda row: f"sample {row}",
        show_row=lambda row: _show_numbers(inputs[row]),
        draw_row=lambda row: _draw_sample(inputs[row]),
        digest=digest.of_path(path),
        preprocessing="the tensor itself",
        trees=inputs.ndim == 2,
    )


def _show_numbers(sample: Array) -> str:
    """The first numbers of a row; pictures and windows are drawn."""
    if sample.ndim > 1:
        return ""
    return ", ".join(f"{value:g}" for value in sample[:SHOWN]) + (", ..." if len(sample) > SHOWN else "")


def _draw_sample(sample: Array) -> Picture | None:
    if sample.ndim == 3:
        return draw_pixels(sample)
    return draw_window(sample) if sample.ndim == 2 else None


def read_labels(path: Path, values: Array) -> tuple[Target, Array]:
    """What is predicted, and the int64 classes or float32 values, of the labels `y` of a file or folder.

    A `labels.txt` in the folder, or beside the file, names classes. Raises InputError for what are no labels.
    """
    where = printable(path)
    named = (path if path.is_dir() else path.parent) / LABELS
    flat: Any = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1 or flat.dtype.kind not in "uifb" or not len(flat):
        raise InputError(f"{where}: y is {values.dtype} of shape {values.shape}; it takes one number a sample")
    if flat.dtype.kind == "f":
        with np.errstate(over="ignore"):
            numbers: Array = flat.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise InputError(f"{where}: y holds NaN or infinity; leave these samples out (float32 ends at 3.4e38)")
        return Target("y"), numbers
    found = flat.astype(np.int64)
    count = int(found.max()) + 1
    if count > len(found):  # said before a name is made for each
        raise InputError(
            f"{where}: y runs from {found.min()} to {found.max()} in {len(found):,} samples; classes are numbered from 0 on, "
            "and values that are no classes are float32"
        )
    names = tuple(config.read_labels(named)) if named.is_file() else tuple(map(str, range(count)))
    if found.min() < 0 or count > len(names) or count < 2:
        raise InputError(
            f"{where}: y runs from {found.min()} to {found.max()}; classes are 0 to {max(1, len(names) - 1)}"
        )
    return Target("y", names), found


def spread_features(inputs: Array, rows: Array) -> Array:
    """Numbers of some samples, float32 (rows, features), evenly spread where there are many."""
    flat = inputs[rows].reshape(len(rows), -1)
    step = max(1, -(-flat.shape[1] // MOST_FEATURES))
    features: Array = flat[:, ::step].astype(np.float32)
    return features

"""Any batch on any artifact: as it is where the batch axis is free, piece by piece where it is fixed."""

from __future__ import annotations

import numpy as np

from edgeship.processes.wire import Arrays
from edgeship.runtimes.worker.interface import Model, Spec


def fixed_batch(inputs: list[Spec]) -> int | None:
    """The size of the batch axis that all inputs share, or None where it is free or there is no such axis."""
    sizes = {item["shape"][0] if item["shape"] else None for item in inputs}
    return sizes.pop() if len(sizes) == 1 else None


def run_batch(model: Model, feeds: Arrays) -> Arrays:
    """The outputs of a batch of any size."""
    size = fixed_batch(model.inputs)
    if not size or len(feeds[model.inputs[0]["name"]]) == size:
        return model.run(feeds)
    count = len(feeds[model.inputs[0]["name"]])
    parts = [_take_piece(model, feeds, start, size) for start in range(0, count, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _take_piece(model: Model, feeds: Arrays, start: int, size: int) -> Arrays:
    """Samples `start` to `start + size`; the last piece is filled up with its last sample and cut again."""
    piece = {name: array[start : start + size] for name, array in feeds.items()}
    real = len(next(iter(piece.values())))
    if real < size:
        piece = {name: np.concatenate([array, *[array[-1:]] * (size - real)]) for name, array in piece.items()}
    return {name: array[:real] for name, array in model.run(piece).items()}

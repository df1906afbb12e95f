"""The constants of an artifact: how many numbers, which dtypes, which share of zeros."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import untrusted
from edgeship.bundle.receipt import WeightSummary, WeightTensor
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

# Smaller constants are shapes, axes and biases: not listed one by one.
LISTED_FROM = 64


# What the offsets of a flatbuffer and the lengths of a protobuf reach.
LARGEST = 2 << 30


def content_of(path: Path) -> bytes:
    """The bytes of an artifact that is one file. Raises InputError for what is none, or too large for its format."""
    untrusted.regular_file(path, links=True)
    if path.stat().st_size > LARGEST:
        raise InputError(f"{untrusted.printable(path)}: larger than 2 GB, which such a file cannot be")
    return path.read_bytes()


@dataclass
class Weights:
    """Collects the constants of the file `where`; `summary` is the part of a receipt about them."""

    where: Path
    tensors: list[WeightTensor] = field(default_factory=list)
    dtypes: dict[str, int] = field(default_factory=dict)

    def add(
        self, name: str, shape: list[int], dtype: str, size: int, values: Any = None, zero: Any = 0, left_out: int = 0
    ) -> None:
        """One constant of `size` bytes; `values` (None where they cannot be read) and what stands for 0 give its sparsity.

        `zero` is a number, or an array that broadcasts where channels differ; `left_out` zeros are not stored. Raises
        InputError for a shape that is none, or is too large.
        """
        elements = untrusted.count_elements(shape, 1, f"{self.where}: constant '{name}'")
        self.dtypes[dtype] = self.dtypes.get(dtype, 0) + elements
        sparsity = None
        if values is not None and elements:
            stored = np.asarray(values)
            zeros = int(np.count_nonzero(stored == zero)) + left_out
            sparsity = round(zeros / max(stored.size + left_out, 1), 4)
        self.tensors.append(WeightTensor(name, tuple(shape), dtype, size, elements, sparsity))

    def summary(self) -> WeightSummary:
        """What a receipt says of them: the tensors are the larger ones, the largest first."""
        listed = sorted(
            (item for item in self.tensors if item.elements >= LISTED_FROM), key=lambda item: -item.elements
        )
        known = [(item.sparsity, item.elements) for item in listed if item.sparsity is not None]
        total = sum(elements for _, elements in known)
        return WeightSummary(
            count=len(self.tensors),
            elements=sum(item.elements for item in self.tensors),
            bytes=sum(item.bytes for item in self.tensors),
            dtypes=dict(sorted(self.dtypes.items(), key=lambda item: -item[1])),
            sparsity=round(sum(share * elements for share, elements in known) / total, 4) if total else None,
            tensors=tuple(listed),
        )

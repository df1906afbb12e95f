"""The constants of an artifact: how many numbers, which dtypes, which share of zeros."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import untrusted
from edgeship.errors import InputError

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
    rows: list[dict[str, Any]] = field(default_factory=list)
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
        self.rows.append(
            {"name": name, "shape": shape, "dtype": dtype, "bytes": size, "elements": elements, "sparsity": sparsity}
        )

    def summary(self) -> dict[str, Any]:
        """`{"count", "elements", "bytes", "dtypes", "sparsity", "tensors"}`: tensors are the larger ones, the largest first."""
        listed = sorted((row for row in self.rows if row["elements"] >= LISTED_FROM), key=lambda row: -row["elements"])
        known = [row for row in listed if row["sparsity"] is not None]
        total = sum(row["elements"] for row in known)
        return {
            "count": len(self.rows),
            "elements": sum(row["elements"] for row in self.rows),
            "bytes": sum(row["bytes"] for row in self.rows),
            "dtypes": dict(sorted(self.dtypes.items(), key=lambda item: -item[1])),
            "sparsity": round(sum(row["sparsity"] * row["elements"] for row in known) / total, 4) if total else None,
            "tensors": listed,
        }

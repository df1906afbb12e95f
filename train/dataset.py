"""What a task's data looks like once loaded: named splits of one input with class labels, and its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass

Array = np.ndarray[Any, Any]

SPLITS = ("train", "validation", "calibration", "test")


@dataclass(frozen=True)
class SplitDescription:
    """A split: the number of its samples, the digest of their indices in the source, and its groups, if it was made by some."""

    samples: int
    indices_sha256: str
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DataDescription:
    """Data and where it came from; `sha256` is of the whole source."""

    name: str
    source: str
    sha256: str
    licence: str
    split_method: str
    splits: Mapping[str, SplitDescription]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Samples of one split.

    `inputs` has samples along the first axis, `labels` is int64 of shape (n,), `indices` says which samples of the
    source these are (int64, first axis n), `groups` names the people the samples
    come from where the split was made by them.
    """

    inputs: Array
    labels: Array
    indices: Array
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.inputs) == len(self.labels) == len(self.indices):
            raise ValueError(f"{len(self.inputs)} inputs, {len(self.labels)} labels, {len(self.indices)} indices")

    def describe(self) -> SplitDescription:
        """What the model card records."""
        return SplitDescription(len(self.inputs), digest_of(self.indices.astype("<i8")), self.groups or None)


@dataclass(frozen=True)
class TaskData:
    """All splits of a task, the class names, and where the data came from. `digest` is of the whole source.

    `mirrors`: a picture of a class that is flipped left to right is one of that class, as garments are, and digits are not.
    """

    splits: Mapping[str, Split]
    labels: tuple[str, ...]
    name: str
    source: str
    digest: str
    licence: str
    split_method: str
    preprocessing: str
    notes: tuple[str, ...] = field(default=())
    mirrors: bool = False

    def __post_init__(self) -> None:
        if tuple(self.splits) != SPLITS:
            raise ValueError(f"splits are {SPLITS}, not {tuple(self.splits)}")

    def describe(self) -> DataDescription:
        """The model card's section on data."""
        return DataDescription(
            name=self.name,
            source=self.source,
            sha256=self.digest,
            licence=self.licence,
            split_method=self.split_method,
            splits={name: split.describe() for name, split in self.splits.items()},
            labels=self.labels,
            notes=self.notes,
        )


def digest_of(*arrays: Array) -> str:
    """The sha256 of the arrays' dtypes, shapes and contents, in this order; independent of how they are stored."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def split_stratified(labels: Array, sizes: Sequence[int], seed: int) -> list[Array]:
    """Disjoint index sets of about these sizes with the classes in equal proportion, and last whatever remains.

    Every set is sorted. Each class gives its share, at least one sample where it has enough of them.
    """
    generator = np.random.default_rng(seed)
    parts: list[list[Array]] = [[] for _ in range(len(sizes) + 1)]
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        start = 0
        for part, size in zip(parts, sizes, strict=False):
            count = max(1, round(size * len(members) / len(labels)))
            part.append(members[start : start + count])
            start += count
        parts[-1].append(members[start:])
    return [np.sort(np.concatenate(part)) for part in parts]

"""Which samples are the same: the digest of a sample's inputs in the model's own dtypes, wherever and however they are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from edgeship.data import Batch, RepresentativeDataset
from edgeship.types import TensorSpec

BATCH = 1024


def digest_samples(feeds: Batch) -> list[str]:
    """The digest of each sample of arrays (n, ...) by input name: sha256 of names, shapes and values."""
    names = sorted(feeds)
    arrays = [np.ascontiguousarray(feeds[name]) for name in names]
    head = repr([(name, array.dtype.str, array.shape[1:]) for name, array in zip(names, arrays, strict=True)]).encode()
    digests = []
    for row in range(len(arrays[0])):
        content = hashlib.sha256(head)
        for array in arrays:
            content.update(array[row].tobytes())
        digests.append(content.hexdigest())
    return digests


def digest_dataset(data: RepresentativeDataset, inputs: Sequence[TensorSpec], limit: int | None = None) -> list[str]:
    """The digests of a data source's samples, in its order; `limit` as for `RepresentativeDataset.batches`."""
    return digest_batches(data.feeds(inputs, BATCH, limit))


def digest_batches(batches: Iterable[Batch]) -> list[str]:
    """The digests of a stream of samples."""
    return [item for batch in batches for item in digest_samples(batch)]

"""Answers kept by the digest of what was asked, bounded in number and bytes; the least recently asked for goes first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from edgeship.data import Batch

MOST_BYTES = 256 << 20


class AnswerCache:
    """`most` answers at most; 0 keeps none."""

    def __init__(self, most: int, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._answers: OrderedDict[bytes, tuple[Batch, int]] = OrderedDict()
        self._bytes = 0

    def key(self, model: str, feeds: Batch) -> bytes:
        """The digest of prepared feeds for a model (what it is and where it is from)."""
        digest = hashlib.sha256(model.encode())
        for name, array in sorted(feeds.items()):
            digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            digest.update(array.tobytes())
        return digest.digest()

    def find(self, key: bytes) -> Batch | None:
        """The answer, if it is kept."""
        found = self._answers.get(key)
        if found is None:
            return None
        self._answers.move_to_end(key)
        return found[0]

    def keep(self, key: bytes, answer: Batch) -> None:
        """Keep an answer, which nobody changes any more."""
        size = sum(array.nbytes for array in answer.values())
        if key in self._answers or not self._most or size > self._most_bytes:
            return
        # a part of a batch would hold all of it in memory
        self._answers[key] = ({name: array.copy() for name, array in answer.items()}, size)
        self._bytes += size
        while len(self._answers) > self._most or self._bytes > self._most_bytes:
            _, (_, gone) = self._answers.popitem(last=False)
            self._bytes -= gone

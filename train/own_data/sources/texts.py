"""Columns of texts: their words as ids, by the very step that the contract gives to apps; an input of the model each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgeship.deploy.contract.arithmetic.words import hash_word, split_words
from edgeship.light_dataclass import dataclass
from edgeship.train.dataset import Array
from edgeship.untrusted import printable

PREFIX = "text_"  # of the inputs' names: no column can take the name of another input
BUCKETS = (
    4096  # ids: a few thousand words make up nearly all of what people write, and as many vectors are 64 KiB in int8
)
LEAST_WORDS, MOST_WORDS = 4, 256  # of a text that the model looks at
COVERED = (
    0.95  # of the training rows, whose texts are looked at whole; the longest would make all others wait for zeros
)
PADDED = 1 << 16  # rows at once
LOOKED_AT = 20_000  # rows whose words are counted
OFTEN, LEAST_RECURRING = (
    3,
    0.2,
)  # times that a word recurs; the share of such among the words of texts that tell something
SHOWN = 60  # characters of a text that a card shows


@dataclass(frozen=True)
class TextColumn:
    """A column: the ids (uint16) of all rows' words, one row after the other, of row r from `starts[r]` on (int64, rows + 1).

    `input_name` is what the model calls it, `heads` (an arrow array) are the first characters of each text. `recurring` is the
    share of words that come OFTEN, of all words.
    """

    name: str
    input_name: str
    ids: Array
    starts: Array
    heads: Any
    recurring: float

    def find_exclusion(self) -> str:
        """Why nothing can be learned from it; empty where something can."""
        counts = np.diff(self.starts)
        count = int(counts[0]) if len(counts) else 0
        if (counts == count).all() and (self.ids.reshape(-1, max(count, 1)) == self.ids[:count]).all():
            return "its texts are all alike"
        return (
            "" if self.recurring >= LEAST_RECURRING else "its words hardly ever recur, as those of numbers of customers"
        )

    def choose_words(self, train: Array) -> int:
        """So many words of each text the model looks at, by the lengths of the training rows' texts."""
        lengths = np.diff(self.starts)[train]
        return int(np.clip(np.ceil(np.quantile(lengths, COVERED)), LEAST_WORDS, MOST_WORDS))

    def pad(self, rows: Array, words: int) -> Array:
        """The ids of some rows' first words, zeros after the end: int32 (rows, words)."""
        result = np.zeros((len(rows), words), np.int32)
        places = np.arange(words)
        for first in range(0, len(rows), PADDED):
            part = rows[first : first + PADDED]
            starts, ends = self.starts[part, None], self.starts[part + 1, None]
            inside = places < ends - starts
            result[first : first + PADDED][inside] = self.ids[(starts + places)[inside]]
        return result

    def show(self, row: int) -> str:
        """The beginning of a row's text, for people."""
        text = self.heads[row].as_py()
        return printable(text[:SHOWN]) + ("..." if len(text) > SHOWN else "") if text else "missing"


class TextParts:
    """Columns of texts that grow by batches; no more than a batch is held as text."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names, inputs = tuple(names), name_inputs(names)
        self._columns = {name: (inputs[name], list[Array](), list[Array](), list[Any]()) for name in names}

    def add(self, batch: Any) -> None:
        """Add the rows of a pyarrow RecordBatch; a gap is the empty text."""
        import pyarrow.compute as pc

        for name, (_, hashes, counts, heads) in self._columns.items():
            texts = batch.column(name).fill_null("")
            rows = [_hash_text(text) for text in texts.to_pylist()]
            counts.append(np.array([len(row) for row in rows], np.int64))
            hashes.append(np.array([number for row in rows for number in row], np.uint32))
            heads.append(pc.utf8_slice_codeunits(texts, 0, SHOWN + 1))

    def join(self) -> tuple[TextColumn, ...]:
        """Each column whole."""
        import pyarrow as pa

        found = []
        for name, (input_name, hashes, counts, heads) in self._columns.items():
            starts = np.cumsum(np.concatenate([[0], *counts]), dtype=np.int64)
            words = np.concatenate([np.zeros(0, np.uint32), *hashes])
            recurring = _find_recurring(words[: starts[min(LOOKED_AT, len(starts) - 1)]])
            ids = (1 + words % BUCKETS).astype(np.uint16)
            found.append(TextColumn(name, input_name, ids, starts, pa.chunked_array(heads, pa.string()), recurring))
        return tuple(found)


def _hash_text(text: str) -> list[int]:
    return [hash_word(word) for word in split_words(text)[:MOST_WORDS]]


def _find_recurring(words: Array) -> float:
    """The share of words that come OFTEN, of all words."""
    counts = np.unique(words, return_counts=True)[1]
    return float(counts[counts >= OFTEN].sum() / max(len(words), 1))


def name_inputs(names: Iterable[str]) -> dict[str, str]:
    """What the model calls the input of each column: letters, digits and '_', which every format and language takes."""
    found: dict[str, str] = {}
    for name in names:
        plain = PREFIX + (re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")[:40] or "column")
        numbered = (plain if number == 1 else f"{plain}_{number}" for number in range(1, len(found) + 2))
        found[name] = next(item for item in numbered if item not in found.values())
    return found

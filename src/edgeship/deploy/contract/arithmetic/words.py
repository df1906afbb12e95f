"""From a text to the ids of its words: the step `hash_words`, which is the same bytes in every language.

A word is a longest run of bytes of the text's UTF-8 that are ASCII letters, digits, or 0x80 and above; ASCII letters are made
small. So nobody needs tables of Unicode, which differ from platform to platform. Its id is 1 + hash % buckets, by FNV-1a of
32 bits (Fowler, Noll and Vo, http://www.isthe.com/chongo/tech/comp/fnv/). 0 is no word.
"""

from __future__ import annotations

import functools
import itertools
import re
import string
from collections.abc import Iterator, Sequence

from edgeship.errors import InputError

OFFSET, PRIME = 2166136261, 16777619
WORD = re.compile(rb"[0-9a-z\x80-\xff]+")
MOST_KEPT = 1 << 18  # words whose hashes are kept: those of a language come again and again


def split_words(text: str) -> list[bytes]:
    """The words of a text in their order, as UTF-8. Raises InputError for half of a surrogate pair, which is no text."""
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise InputError("a text holds half of a surrogate pair, which UTF-8 does not know") from error
    return WORD.findall(content.lower())  # of bytes, lower() changes ASCII alone


@functools.lru_cache(MOST_KEPT)
def hash_word(word: bytes) -> int:
    """FNV-1a of 32 bits."""
    result = OFFSET
    for byte in word:
        result = (result ^ byte) * PRIME & 0xFFFFFFFF
    return result


def hash_words(text: str, words: int, buckets: int) -> list[int]:
    """The ids of the first `words` words of a text, each 1 to `buckets`; zeros after the end."""
    ids = [1 + hash_word(word) % buckets for word in split_words(text)[:words]]
    return ids + [0] * (words - len(ids))


def find_text(ids: Sequence[int], buckets: int) -> str:
    """A text that gives these ids (1 to `buckets`), of made-up words: what was hashed does not come back."""
    words = _find_words(buckets)
    return " ".join(words[place] for place in ids)


@functools.lru_cache(2)
def _find_words(buckets: int) -> dict[int, str]:
    """The first word of small letters for each id, the shorter ones first."""
    found: dict[int, str] = {}
    for word in _letter_words():
        found.setdefault(1 + hash_word.__wrapped__(word.encode()) % buckets, word)
        if len(found) == buckets:
            break
    return found


def _letter_words() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))

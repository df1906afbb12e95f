"""Damaged copies of a file, as a transfer, a bad disk or somebody's hand makes them: always the same ones for a seed."""

from __future__ import annotations

import random

ODD = (
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x01\x00\x00\x00",
    b"\x7f",
    b"\x80",
)


def damage(content: bytes, seed: int) -> bytes:
    """The content with one to four changes: bits turned, numbers made odd, a piece cut out, doubled, moved or zeroed."""
    dice = random.Random(seed)
    changed = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(max(len(changed), 1))
        length = min(dice.choice((1, 4, 16, 256, 4096)), max(len(changed) - at, 0))
        kind = dice.randrange(7)
        if kind == 0 and changed:
            changed[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            odd = dice.choice(ODD)
            changed[at : at + len(odd)] = odd
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            changed[at : at + length] = bytes(length)
        elif kind == 5:
            changed[at : at + length] = dice.randbytes(length)
        elif dice.random() < 0.3:
            del changed[at:]
    return bytes(changed)

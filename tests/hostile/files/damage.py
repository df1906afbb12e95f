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
    damaged = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(max(len(damaged), 1))
        length = min(dice.choice((1, 4, 16, 256, 4096)), max(len(damaged) - at, 0))
        kind = dice.randrange(7)
        if kind == 0 and damaged:
            damaged[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            odd = dice.choice(ODD)
            damaged[at : at + len(odd)] = odd
        elif kind == 2:
            del damaged[at : at + length]
        elif kind == 3:
            damaged[at:at] = damaged[at : at + length]
        elif kind == 4:
            damaged[at : at + length] = bytes(length)
        elif kind == 5:
            damaged[at : at + length] = dice.randbytes(length)
        elif dice.random() < 0.3:
            del damaged[at:]
    return bytes(damaged)

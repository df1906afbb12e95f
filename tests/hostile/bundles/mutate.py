"""Changes of the structure of a JSON value: keys gone, types swapped, numbers odd; always the same ones for a seed."""

from __future__ import annotations

import copy
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**70, -1e308, 1e308, 1e-320, 0.5, "", "x", "../x", "/dev/zero", "\x1b[2J", "\u202e",
    "[red]x[/red]", "<b>", [], {}, [[]], [None], [{}], {"": None}, {"x": []}, [1, "a", None], "9" * 5000, [0] * 50,
)  # fmt: skip


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


NUMBERS = (0, -1, 1, 2**70, 10**300, 10**400, -(10**400), 1e308, -1e308, 1e-320, 0.5, -0.0)
TEXTS = (
    "", "x", "a" * 100_000, "\n" * 3000, "| a", "[red]x[/red]", "\u202e", "\u3164", "\x00", "9" * 5000, "tflite/int8", "PASS",
    "..", "a/b/c", "%s{}", "$x$_^", "not run: x", "unstable", "tflite/", " ",
)  # fmt: skip


def swap(value: Any, seed: int) -> Any:
    """A copy with one to three values that are others of their type, or with lists and keys gone or many times there."""
    dice = random.Random(seed)
    mutant = copy.deepcopy(value)
    for _ in range(dice.randint(1, 3)):
        place = mutant[dice.choice([key for key in mutant if isinstance(mutant[key], (dict, list))])]
        depth = dice.randint(0, 9)
        while place:
            key = dice.choice(list(place)) if isinstance(place, dict) else dice.randrange(len(place))
            inner = place[key]
            if depth == 0 or not isinstance(inner, (dict, list)) or not inner:
                place[key] = _other(inner, dice)
                break
            place, depth = inner, depth - 1
    return mutant


def _other(value: Any, dice: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return dice.choice((*NUMBERS, None))
    if isinstance(value, str):
        return dice.choice(TEXTS)
    if isinstance(value, list):
        return dice.choice(([], value * 2, value * 50, None))
    if isinstance(value, dict) and value:
        key = dice.choice(list(value))
        without = {name: item for name, item in value.items() if name != key}
        return dice.choice(({}, None, without, {**without, dice.choice(TEXTS): value[key]}))
    return dice.choice((*NUMBERS, *TEXTS, [], {}, True))


def mutate(value: Any, seed: int) -> Any:
    """A copy with one to three changes at places chosen by chance, deep ones as often as flat ones."""
    dice = random.Random(seed)
    mutant = copy.deepcopy(value)
    for _ in range(dice.randint(1, 3)):
        if not isinstance(mutant, (dict, list)) or not mutant:
            return mutant
        mutant = _change(mutant, dice)
    return mutant


def _change(root: Any, dice: random.Random) -> Any:
    place, depth = root, dice.randint(0, 9)
    while True:
        key = dice.choice(list(place)) if isinstance(place, dict) else dice.randrange(len(place))
        inner = place[key]
        if depth == 0 or not isinstance(inner, (dict, list)) or not inner:
            break
        place, depth = inner, depth - 1
    kind = dice.randrange(8)
    if kind == 0:
        del place[key]
    elif kind == 1:
        place[key] = copy.deepcopy(dice.choice(ODD))
    elif kind == 2:
        place[key] = [inner]
    elif kind == 3:
        place[key] = {"x": inner}
    elif kind == 4:
        place[key] = str(inner)[:200]
    elif kind == 5:
        place[key] = -inner if isinstance(inner, (int, float)) else dice.choice(ODD)
    elif kind == 6 and isinstance(place, dict):
        place[dice.choice(list(place))] = copy.deepcopy(inner)
    elif isinstance(place, list):
        place.append(copy.deepcopy(inner))
    elif dice.random() < 0.1:
        place[key] = deep(dice.choice((100, 300)))
    else:
        place[f"{key}x"] = place.pop(key)
    return root

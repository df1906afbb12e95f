"""Tables that are drawn by a seed: clean ones of several kinds, and faults that are planted in them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Column = list[Any]
Table = dict[str, Column]
ROWS = 900


def draw_numbers(rng: np.random.Generator) -> Table:
    """Numbers only; two classes that overlap."""
    labels = rng.integers(0, 2, ROWS)
    centre = rng.normal(size=8) * 0.5
    values = rng.normal(size=(ROWS, 8)) + np.outer(labels, centre * 2)
    table: Table = {f"n{place}": list(values[:, place].round(4)) for place in range(8)}
    return table | {"y": [("no", "yes")[label] for label in labels]}


def draw_separable(rng: np.random.Generator) -> Table:
    """Numbers only; three classes that nearly all columns together tell."""
    labels = rng.integers(0, 3, ROWS)
    values = rng.normal(size=(ROWS, 10)) + rng.normal(size=(3, 10))[labels] * 1.2
    table: Table = {f"n{place}": list(values[:, place].round(4)) for place in range(10)}
    return table | {"y": [f"class {label}" for label in labels]}


def draw_categories(rng: np.random.Generator) -> Table:
    """Categories only, so that rows are equal by chance; a logistic model tells the class."""
    codes = rng.integers(0, 5, (ROWS, 6))
    weights = rng.normal(size=(6, 5))
    score = weights[np.arange(6), codes].sum(axis=1)
    labels = rng.random(ROWS) < 1 / (1 + np.exp(-1.5 * (score - score.mean())))
    table: Table = {f"c{place}": [f"value {code}" for code in codes[:, place]] for place in range(6)}
    return table | {"y": [str(bool(label)) for label in labels]}


def draw_gaps(rng: np.random.Generator) -> Table:
    """Numbers and categories, a fifth of them missing; missing tells nothing of the class."""
    numbers, categories = draw_numbers(rng), draw_categories(rng)
    table = {name: column for name, column in (numbers | categories).items() if name != "y"}
    table = {
        name: ["" if gap else value for value, gap in zip(column, rng.random(ROWS) < 0.2, strict=True)]
        for name, column in table.items()
    }
    score = [sum(float(numbers[f"n{place}"][row]) for place in range(4)) for row in range(ROWS)]
    noise = rng.normal(size=ROWS)
    return table | {"y": [int(value + extra > 0) for value, extra in zip(score, noise, strict=True)]}


def draw_imbalanced(rng: np.random.Generator) -> Table:
    """A tenth of one class, which overlaps with the other."""
    labels = (rng.random(ROWS) < 0.1).astype(int)
    values = rng.normal(size=(ROWS, 6)) + np.outer(labels, rng.normal(size=6))
    table: Table = {f"n{place}": list(values[:, place].round(4)) for place in range(6)}
    return table | {"y": list(labels)}


def draw_regression(rng: np.random.Generator) -> Table:
    """A number that several others tell in part."""
    values = rng.normal(size=(ROWS, 6))
    target = values @ rng.normal(size=6) + rng.normal(size=ROWS)
    table: Table = {f"n{place}": list(values[:, place].round(4)) for place in range(6)}
    return table | {"kind": list(rng.choice(["a", "b", "c"], ROWS)), "y": list(target.round(4))}


def draw_texts(rng: np.random.Generator) -> Table:
    """Texts of a dozen words, each of which is a little more frequent in one of three classes, and a number."""
    labels = rng.integers(0, 3, ROWS)
    words = np.array([f"word{place}" for place in range(200)])
    shares = rng.dirichlet(np.ones(200), 3)
    texts = [" ".join(rng.choice(words, 12, p=shares[label])) for label in labels]
    return {"note": texts, "n": list(rng.normal(size=ROWS).round(4)), "y": [f"class {label}" for label in labels]}


CLEAN: Mapping[str, Callable[[np.random.Generator], Table]] = {
    "numbers": draw_numbers,
    "separable": draw_separable,
    "categories": draw_categories,
    "gaps": draw_gaps,
    "imbalanced": draw_imbalanced,
    "regression": draw_regression,
}


def take_rows(table: Table, rows: list[int]) -> Table:
    """These rows of a table."""
    return {name: [column[row] for row in rows] for name, column in table.items()}


def plant_copies(table: Table, rng: np.random.Generator) -> Table:
    """A twentieth of the rows stands there twice."""
    return take_rows(table, [*range(ROWS), *rng.choice(ROWS, ROWS // 20, replace=False).tolist()])


def plant_leak(table: Table, rng: np.random.Generator) -> Table:
    """A column that is written after the outcome: right in 199 of 200."""
    values = sorted(set(table["y"]), key=str)
    wrong = rng.random(ROWS) < 0.005
    leak = [
        f"code {values.index(rng.choice(values)) if odd else values.index(value)}"
        for value, odd in zip(table["y"], wrong, strict=True)
    ]
    return {"status": leak, **table}


def plant_word_leak(table: Table, rng: np.random.Generator) -> Table:
    """A word in the text that was written after the outcome, another one for each class, somewhere in it."""
    notes = []
    for text, label in zip(table["note"], table["y"], strict=True):
        words = text.split()
        words.insert(rng.integers(len(words)), f"Closed-{label[-1]}xx")
        notes.append(" ".join(words))
    return table | {"note": notes}


def plant_number_leak(table: Table, rng: np.random.Generator) -> Table:
    """A number that is made of the target."""
    return {"invoice": [float(value) * 1.19 + rng.normal(0, 0.02) for value in table["y"]], **table}


def plant_wrong_labels(table: Table, rng: np.random.Generator) -> tuple[Table, set[int]]:
    """One label in twelve is another class's; with the rows that it befell."""
    values = sorted(set(table["y"]), key=str)
    rows = set(rng.choice(ROWS, ROWS // 12, replace=False).tolist())
    labels = [
        values[(values.index(value) + int(rng.integers(1, len(values)))) % len(values)] if row in rows else value
        for row, value in enumerate(table["y"])
    ]
    return {**table, "y": labels}, rows


def plant_imbalance(table: Table, rng: np.random.Generator) -> Table:
    """Of one class, fifteen rows are left."""
    rare = min(sorted(set(table["y"]), key=str), key=table["y"].count)
    rows = [row for row, value in enumerate(table["y"]) if value == rare]
    others = [row for row in range(ROWS) if row not in set(rows)]
    return take_rows(table, sorted([*others, *rng.choice(rows, 15, replace=False).tolist()]))


def plant_shift(table: Table, rng: np.random.Generator) -> Table:
    """A sensor was gauged anew: one number is one standard deviation higher."""
    name = next(name for name in table if name.startswith("n"))
    return {**table, name: [value if value == "" else round(float(value) + 1, 4) for value in table[name]]}


def write_csv(path: Path, table: Table) -> Path:
    """Write a table, and return its path."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path

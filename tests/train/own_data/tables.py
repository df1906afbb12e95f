"""Tables for the tests: made up, with all that a real one has."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

SHOP = ("age", "income", "town", "member", "visits", "bought")


def shop_rows(count: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Customers: numbers and categories, both with gaps, of very different scales; `bought` hangs on most of them."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        age, income, visits = random.integers(18, 80), random.normal(42_000, 9_000), random.poisson(3)
        town = random.choice(["Bern", "Genf", "Köln", "a, b"], p=[0.4, 0.3, 0.25, 0.05])
        member = random.random() < 0.4
        wish = 0.08 * (age - 45) + (income - 42_000) / 9_000 + 1.5 * member - (town == "Genf") + 0.4 * (visits - 3)
        bought = "yes" if wish + random.logistic() * 0.4 > 0.6 else "no"
        texts = [str(age), f"{income:.2f}", str(town), str(member), str(visits)]
        for place in (1, 2):
            if random.random() < 0.1:
                texts[place] = ""
        rows.append((*texts, bought))
    return rows


def write_table(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV; returns its path."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows(rows)
    return path

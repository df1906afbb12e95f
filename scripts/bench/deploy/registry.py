"""How long the registry takes with 1,000 versions of 50 figures each in SQLite: `python -m scripts.bench.deploy.registry`.

The versions are written as `registry add` writes them, all with the files of one made-up bundle. Times are of one process, after
MLflow's import and its first look at the database, which are told apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import open_bundle
from edgeship.model_registry.adding import add_bundle
from edgeship.model_registry.difference import compare_versions
from edgeship.model_registry.query import search_versions
from edgeship.model_registry.store import Store, open_store
from tests.model_registry import made_up

VERSIONS, FIGURES = 1000, 50
QUERY = "accuracy.tflite-float32 > 0.5 and (figure-7 < 0.5 or not verdict = PASS) and tool.tensorflow != 1"
REPEATS = 5


def fill(store: Store, folder: Path) -> None:
    """Two real versions, and further ones with other numbers."""
    truth = made_up.truth_of(10_000)
    for number in range(2):
        out = made_up.write_bundle(
            folder / f"bundle-{number}", truth, made_up.answers_of(truth, 0.9, number), name=str(number)
        )
        added = add_bundle(store, open_bundle(out), "garments")
    record = added.version.record
    usual = dict(list(record.figures.items())[: FIGURES - 10])
    for number in range(3, VERSIONS + 1):
        figures = {**usual, **{f"figure-{index}": (number * index) % 997 / 997 for index in range(10)}}
        with store.writing():
            store.add_version("garments", replace(record, bundle=f"{number:064x}", figures=figures))


def median_seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """The medians of a few runs: by the clock, and of the processor, which others may want, too."""
    walls, cpus = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return sorted(walls)[REPEATS // 2], sorted(cpus)[REPEATS // 2]


def main() -> None:
    """Make the registry and print the times."""
    with tempfile.TemporaryDirectory(prefix="edgeship-registry-") as name:
        folder = Path(name)
        address = f"sqlite:///{folder / 'registry.db'}"
        start = time.perf_counter()
        with open_store(address, create=True) as store:
            print(f"import and a new database: {time.perf_counter() - start:.2f} s", flush=True)
            start = time.perf_counter()
            fill(store, folder)
            print(f"{VERSIONS:,} versions of {FIGURES} figures: {time.perf_counter() - start:.0f} s to write them")
            rows = store.versions("garments")
            one, two = rows[0], rows[1]
            found = search_versions(QUERY, rows)
            print(
                f"{len(rows):,} versions listed, {len(found)} found, file of {(folder / 'registry.db').stat().st_size >> 20} MB"
            )
            for what, function in (
                ("list", lambda: store.versions("garments")),
                ("search", lambda: search_versions(QUERY, store.versions("garments"))),
                ("diff", lambda: compare_versions(store, one, two)),
            ):
                wall, cpu = median_seconds(function)
                print(f"{what}: {wall:.3f} s, of them {cpu:.3f} s of one processor")


if __name__ == "__main__":
    main()

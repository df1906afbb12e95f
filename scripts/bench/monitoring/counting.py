"""What counting costs and what a report weighs: writes docs/results/monitoring/counting.md; a quarter of a minute.

Exit code 1 where a bar is missed. `python -m scripts.bench.monitoring.counting`.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np

from edgeship.client.reports.counts import render_report
from edgeship.client.reports.inferences import InferenceCounter
from edgeship.deploy.contract.contract import Contract, ContractOutput, RawGoldens
from edgeship.monitoring.profile.build import Evaluation, build_profile
from edgeship.monitoring.profile.profile import profile_json
from scripts import RESULTS

Array = np.ndarray[Any, Any]
PAGE = RESULTS / "monitoring" / "counting.md"
SEED, SAMPLES, COUNTED = 19, 60, 200
OUTCOME_EVERY = 10  # inferences
ROUNDS, TIMES = 9, 300
MOST_OPERATIONS, MOST_BYTES = 100, 1024  # 50 microseconds, where a small operation takes half of one
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "a picture": {"image": (96, 96, 3)},
    "a row of 8 numbers": {"row": (8,)},
    "five tensors": {
        "image": (96, 96, 3),
        "sound": (16_000,),
        "motion": (128, 6),
        "depth": (32, 32, 1),
        "text": (256,),
    },
}
HEAD = ("2026-W48", 3, sha256(b"install").hexdigest()[:32])
IDENTITY = {
    **{name: sha256(name.encode()).hexdigest() for name in ("bundle", "content", "profile")},
    "artifact": "tflite/int8", "arms": {"exp-7": "b"}, "runtime": "LiteRT 2.3", "tier": "mid",
}  # fmt: skip


class Case:
    """A made-up model with a profile, its counter and samples."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], classes: int, samples: int = SAMPLES) -> None:
        random = np.random.default_rng(SEED)
        self._inputs = {name: random.random((samples, *shape), np.float32) for name, shape in shapes.items()}
        # As sure as answers are: some are, and some are hardly.
        sharpness = random.uniform(0.5, 3, (samples, 1)) * np.sqrt(2 * np.log(classes))
        powers = np.exp(random.normal(size=(samples, classes)) * sharpness)
        self._milliseconds = random.lognormal(1.1, 0.2, samples)
        self._outputs = {"scores": (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)}
        evaluation = Evaluation(
            "a" * 64, "b" * 64, {"tflite/int8": "c" * 64}, lambda: [self._inputs], self._outputs, {}, {}
        )
        forms = tuple(ContractOutput(name, (1, classes), "softmax") for name in self._outputs)
        contract = Contract("m", "b" * 64, (), forms, (), RawGoldens(reason="none"))
        self.counter = InferenceCounter(profile_json(build_profile(evaluation, contract)))

    def count(self, number: int) -> None:
        """Count one sample, timed."""
        outputs, inputs = (
            {name: values[number] for name, values in tensors.items()} for tensors in (self._outputs, self._inputs)
        )
        predicted = self.counter.count(outputs, inputs, milliseconds=self._milliseconds[number])
        if number % OUTCOME_EVERY == 0:
            self.counter.outcome("corrected" if number % (4 * OUTCOME_EVERY) == 0 else "accepted", predicted)


def take_microseconds(call: Callable[[], object]) -> float:
    """The best of some rounds."""

    def once() -> float:
        begin = time.thread_time()
        for _ in range(TIMES):
            call()
        return (time.thread_time() - begin) / TIMES * 1e6

    return min(once() for _ in range(ROUNDS))


def measure_costs(missed: list[str]) -> list[str]:
    """Rows: microseconds, and in units of one small operation of NumPy, which hold whatever else runs."""
    small = np.ones(64)
    unit = take_microseconds(lambda: np.add.reduce(small))
    rows = []
    for name, shapes in SHAPES.items():
        for classes in (10, 1000):
            case = Case(shapes, classes)
            found = take_microseconds(lambda case=case: case.count(7))  # type: ignore[misc]
            rows.append(f"| {name} | {classes:,} | {found:.1f} | {found / unit:.0f} |")
            if found > MOST_OPERATIONS * unit:
                missed.append(f"{name}, {classes:,} classes: {found / unit:.0f} small operations")
    return rows


def weigh_reports(missed: list[str]) -> list[str]:
    """Rows: the bytes of a report in which no class is more frequent than another."""
    rows = []
    for classes in (2, 10, 100, 1000):
        case = Case(SHAPES["a picture"], classes, COUNTED)
        for number in range(COUNTED):
            case.count(number)
        body = render_report(*HEAD, IDENTITY, case.counter.take()).encode()
        packed = len(gzip.compress(body))
        rows.append(f"| {classes:,} | {len(body):,} | {packed:,} |")
        if packed > MOST_BYTES:
            missed.append(f"a report of {classes:,} classes: {packed:,} bytes")
    return rows


def main() -> int:
    """Measure, print and write the page."""
    load, missed = os.getloadavg()[0], list[str]()
    costs, sizes = measure_costs(missed), weigh_reports(missed)
    verdict = "All bars are met." if not missed else f"Missed: {'; '.join(missed)}."
    lines = [
        "# What counting costs, and what a report weighs",
        "",
        f"By `python -m scripts.bench.monitoring.counting`, {date.today()}, load {load:.1f} when it began. Made-up tensors "
        f"(seed {SEED}).",
        f"Bars: a count takes {MOST_OPERATIONS} small operations, which are 50 microseconds where one takes half of one; a "
        f"report of {COUNTED} inferences has {MOST_BYTES:,} bytes, packed. {verdict}",
        "",
        "## A count in Python",
        "",
        "`InferenceCounter.count` with a time, in processor time; the best of some rounds. Microseconds are of this machine in "
        "this run, under its load; the last column is in units of the sum of 64 numbers by NumPy in the same run, which holds "
        "whatever the machine and whatever else runs.",
        "",
        "| inputs | classes | microseconds | in small operations |",
        "|---|--:|--:|--:|",
        *costs,
        "",
        f"## A report of {COUNTED} inferences",
        "",
        "A picture with five histograms, scores whose classes are all as frequent, which is the worst for a report, and an "
        f"outcome of every {OUTCOME_EVERY}th; packed by gzip.",
        "",
        "| classes | JSON, bytes | packed |",
        "|--:|--:|--:|",
        *sizes,
        "",
    ]
    text = "\n".join(lines)
    print(text)
    PAGE.write_text(text, encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

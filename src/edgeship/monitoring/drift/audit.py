"""An audit: a random sample of real inputs gets labels by hand, and tells how right the model is now.

Samples are a CSV: what an app's users agreed to send, a row each, with the class that the model said in `predicted`; perhaps
`user`, and in `server` what the server model says of the same input. Other columns, as a file's name, are carried along. Or they
are a folder of samples that `monitor collect` took, whose `samples.csv` is such a CSV.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeship.benchmarks.compare.statistics import (
    Interval,
    binomial_error,
    exact_interval,
    judge_drop,
    paired_difference,
    samples_advised,
)
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage.atomic import atomic_file
from edgeship.types import Verdict
from edgeship.untrusted import printable, regular_file

PREDICTED, LABEL, USER, SERVER, PICKED = "predicted", "label", "user", "server", "picked"
TABLE, RANDOM = "samples.csv", "random"  # of a folder of samples; of `picked`
# What tells whose answers an audit is of, with the option that chooses one.
CHOICES = {"bundle": "--bundle", "artifact": "--artifact"}
MOST_BYTES = 256 << 20
Row = Mapping[str, str]


@dataclass(frozen=True)
class DrawnAudit:
    """How many rows there were, of how many users (None: not known), and how many were drawn."""

    rows: int
    users: int | None
    drawn: int


@dataclass(frozen=True)
class AuditDrop:
    """How much lower the audited accuracy is than `reference`, with a 95 % interval, and whether that is beyond the margin.

    `samples`: about how many labels would decide it; None where it is decided, or none would.
    """

    against: str
    reference: float
    drop: float
    low: float
    high: float
    margin: float
    verdict: Verdict
    method: str
    samples: int | None


@dataclass(frozen=True)
class AuditResult:
    """The accuracy on the rows with a label, with its exact 95 % interval, and what it is compared with.

    `verdict`: the worst of `drops`; INCONCLUSIVE where there is nothing to compare with.
    """

    labelled: int
    unlabelled: int
    accuracy: float
    low: float
    high: float
    drops: tuple[AuditDrop, ...]
    verdict: Verdict


def draw_audit(samples: Path, out: Path, count: int, seed: int, chosen: Mapping[str, str]) -> DrawnAudit:
    """Write `count` rows of a CSV, drawn at random with an empty `label`; of a user at most one, as users are the sample.

    `chosen`: what a column must say, as {"week": "2026-W48"}. Where there is a column `picked`, only its `random` rows are drawn
    from: those that were picked because the model was unsure tell nothing of its accuracy. What labellers see is in random
    order; a column `label` of the samples is not taken over. Raises InputError for a file that is there, fewer rows, and rows of
    several bundles or artifacts.
    """
    if out.exists():
        raise InputError(f"{printable(out)}: is there already; name another file, so that no labels are lost")
    samples = _find_table(samples)
    fields, rows = _read_rows(samples)
    rows = _choose_rows(samples, fields, rows, chosen)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    users = {row[USER] for row in rows} if USER in fields else None
    if users is not None:
        first = {rows[place][USER]: place for place in order[::-1]}
        order = np.array([place for place in order if first[rows[place][USER]] == place])
    if len(order) < count:
        what = "users" if users is not None else "rows"
        raise InputError(f"{printable(samples)}: has samples of {len(order):,} {what}, {count:,} are asked for")
    kept = [name for name in fields if name != LABEL]
    with atomic_file(out) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*kept, LABEL], restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: rows[place][name] for name in kept} for place in order[:count])
    return DrawnAudit(len(rows), None if users is None else len(users), count)


def _find_table(samples: Path) -> Path:
    """The CSV itself; of a folder of samples, or of an inbox that has one, its table."""
    places = [samples, samples / "samples"] if samples.is_dir() else []
    found = next((place / TABLE for place in places if (place / TABLE).is_file()), None)
    if places and found is None:
        raise InputError(
            f"{printable(samples)}: has no {TABLE}; `edgeship monitor collect --samples` makes such a folder"
        )
    return found or samples


def _choose_rows(
    samples: Path, fields: Sequence[str], rows: list[dict[str, str]], chosen: Mapping[str, str]
) -> list[dict[str, str]]:
    """The rows that an audit may be drawn from, of one bundle and artifact."""
    place = printable(samples)
    if PICKED in fields:
        rows = [row for row in rows if row[PICKED] == RANDOM]
    for name, value in chosen.items():
        if name not in fields:
            raise InputError(f"{place}: has no column {name} to choose by")
        rows = [row for row in rows if row[name] == value]
    if not rows:
        what = f"has no {RANDOM} rows" if PICKED in fields else "has no rows"
        told = "".join(f", {name} {printable(value)[:40]}" for name, value in chosen.items())
        raise InputError(f"{place}: {what}{told}")
    for name, option in CHOICES.items():
        values = {row[name] for row in rows} if name in fields and PICKED in fields else set()
        if len(values) > 1:
            listed = ", ".join(printable(value)[:16] for value in sorted(values)[:5])
            raise InputError(f"{place}: has samples of {len(values)} {name}s ({listed}); choose one by {option}")
    return rows


def judge_audit(
    path: Path, margin: float, lab: tuple[float, int] | None = None, classes: Sequence[str] = ()
) -> AuditResult:
    """The audited accuracy beside the server model's on the same rows (paired), and beside `lab`, (accuracy, samples).

    `margin`: a share that may be lost; `classes`: names that labels may have in place of numbers. Raises InputError without
    labels.
    """
    fields, rows = _read_rows(path)
    if LABEL not in fields:
        raise InputError(
            f"{printable(path)}: has no column {LABEL}; `edgeship monitor audit draw` makes one to fill in"
        )
    labelled = [row for row in rows if row[LABEL].strip()]
    if not labelled:
        raise InputError(f"{printable(path)}: no row has a {LABEL} yet")
    numbers = {name: str(place) for place, name in enumerate(classes)}
    truth, predicted = (_answers(labelled, name, numbers) for name in (LABEL, PREDICTED))
    right = np.array([one == other for one, other in zip(predicted, truth, strict=True)])
    drops = []
    if SERVER in fields:
        of_server = _answers(labelled, SERVER, numbers)
        drops.append(_compare_paired(right, np.array([a == b for a, b in zip(of_server, truth, strict=True)]), margin))
    if lab is not None:
        drops.append(_compare_with_lab(int(right.sum()), len(right), lab, margin))
    interval = exact_interval(int(right.sum()), len(right))
    order = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL)
    verdict = max((item.verdict for item in drops), key=order.index, default=Verdict.INCONCLUSIVE)
    return AuditResult(
        len(labelled),
        len(rows) - len(labelled),
        float(right.mean()),
        interval.low,
        interval.high,
        tuple(drops),
        verdict,
    )


def _answers(rows: Sequence[Row], name: str, numbers: Mapping[str, str]) -> list[str]:
    found = [row[name].strip() for row in rows]
    return [numbers.get(value, value) for value in found]


def _compare_paired(right: np.ndarray, of_server: np.ndarray, margin: float) -> AuditDrop:  # type: ignore[type-arg]
    """As the gate does: Tango's interval of the paired difference."""
    n = len(right)
    gains, losses = int((of_server & ~right).sum()), int((right & ~of_server).sum())
    interval = paired_difference(gains, losses, n)
    return _judge(
        "server model", float(of_server.mean()), (gains - losses) / n, interval, margin, n, "Tango 1998, paired"
    )


def _compare_with_lab(right: int, n: int, lab: tuple[float, int], margin: float) -> AuditDrop:
    """Two samples: Newcombe 1998, Statistics in Medicine 17:873, method 10, with exact intervals of each."""
    reference, size = lab
    first, second, share = exact_interval(reference * size, size), exact_interval(right, n), right / n
    drop = reference - share
    low = drop - float(np.hypot(reference - first.low, second.high - share))
    high = drop + float(np.hypot(first.high - reference, share - second.low))
    surely = drop - float(np.hypot(reference - first.at_least, _at_most(right, n) - share))
    spread = float(np.hypot(binomial_error(reference * size, size), binomial_error(right, n)))
    interval = Interval(low, high, spread, surely)
    return _judge("evaluation data", reference, drop, interval, margin, n, "Newcombe 1998, two samples")


def _at_most(right: int, n: int) -> float:
    """The high end of 99.87 % of a share."""
    return 1 - exact_interval(n - right, n).at_least


def _judge(
    against: str, reference: float, drop: float, interval: Interval, margin: float, n: int, method: str
) -> AuditDrop:
    verdict = judge_drop(interval.low, interval.high, margin, n, interval.at_least)
    needed = samples_advised(drop, interval, margin, n) if verdict is Verdict.INCONCLUSIVE else None
    samples = needed if needed is not None and needed > n else None
    return AuditDrop(against, reference, drop, interval.low, interval.high, margin, verdict, method, samples)


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV. Raises InputError, naming the line, for what is none."""
    place = printable(path)
    if regular_file(path, links=True).stat().st_size > MOST_BYTES:
        raise InputError(f"{place}: larger than {MOST_BYTES >> 20} MB; take some of its rows")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            fields, rows = list(reader.fieldnames or ()), []
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(f"{place}:{reader.line_num}: has another number of columns than the first line")
                rows.append(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{place}: is no CSV in UTF-8 ({printable(error)[:100]})") from error
    if PREDICTED not in fields or len({*fields}) < len(fields):
        raise InputError(f"{place}: needs a column {PREDICTED}, the class that the model said, and each column once")
    if not rows:
        raise InputError(f"{place}: has no rows")
    return fields, rows

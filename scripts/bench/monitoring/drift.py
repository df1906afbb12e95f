"""How often the verdict on drift is wrong, and what it finds: writes docs/results/monitoring/drift.md.

The answers are those of a bundle's tflite/int8 to the 10,000 test images of fashion-mnist, changed as a field may change them;
users are made up. Exit code 1 where a bar is missed:

    edgeship train fashion-mnist --out fashion && edgeship ship fashion/server.keras --out fashion/bundle --to tflite
    python -m scripts.bench.monitoring.drift fashion/bundle fashion/evaluation.npz
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.installs import Installs, merge_installs
from edgeship.monitoring.drift.judge import TOLERANCE, judge_week
from edgeship.monitoring.drift.results import Judgement
from scripts import RESULTS
from scripts.bench.monitoring.early_drift import (
    CALM_WEEKS,
    SIZE,
    WATCHED_WEEKS,
    count_false_warnings,
    measure_delay,
)
from scripts.bench.monitoring.reference_drift import judge_by_reference
from scripts.bench.monitoring.simulated_drift import EXPOSURES, Answers, Field, World, make_answers

Task = tuple[Any, ...]  # a function and what it takes beside the answers
PAGE = RESULTS / "monitoring" / "drift.md"
WEEKS, WEEKS_OF_A_FIELD = 1000, 10
MOST_NOTICES, MOST_ALARMS = 15, 1  # of 1,000 weeks without drift
FIELDS, MOST_WEEKS = 100, 4  # with drift, and for how many weeks one is watched
SIZES = (50, 500)
PLAIN = World(EXPOSURES)
MORE_SHIRTS = (0.25 / 3, 0.1, 0.25 / 3, 0.1, 0.25 / 3, 0.1, 0.15, 0.1, 0.1, 0.1)  # at the cost of what is like them
THREE_CLASSES = tuple(0.2 if number in (2, 4, 6) else 0.4 / 7 for number in range(10))


def with_share(share: float, condition: str) -> World:
    """A share of the users sees a condition, the others what they saw before."""
    return World({**{name: part * (1 - share) for name, part in EXPOSURES.items()}, condition: share})


CASES: dict[str, World] = {
    "noise, sd 10 of 255": World({"noise sd 10": 1.0}),
    "noise, sd 20": World({"noise sd 20": 1.0}),
    "blur, sigma 0.7": World({"blur 0.7": 1.0}),
    "rotation by 5 degrees": World({"rotation 5": 1.0}),
    "darkness, x0.8": World({"brightness x0.8": 1.0}),
    "darkness, x0.6": World({"brightness x0.6": 1.0}),
    "10 % of users: noise, sd 40": with_share(0.1, "noise sd 40"),
    "tier low (15 % of users): noise, sd 40": World(EXPOSURES, of_tier="low", tier_exposure="noise sd 40"),
    "a class from 10 to 15 %": World(EXPOSURES, MORE_SHIRTS),
    "three classes from 30 to 60 %": World(EXPOSURES, THREE_CLASSES),
    "half of a class renamed, no outcomes": World(EXPOSURES, renamed=0.5),
    "half of a class renamed, 10 % of inferences have an outcome": World(EXPOSURES, renamed=0.5, feedback=0.1),
    "half of a class renamed, 50 %": World(EXPOSURES, renamed=0.5, feedback=0.5),
}
# With the delay in reports that an experiment with another model of the same data had.
EARLY: dict[str, tuple[World, int]] = {
    "noise, sd 10 of 255": (CASES["noise, sd 10 of 255"], 767),
    "noise, sd 20": (CASES["noise, sd 20"], 207),
    "rotation by 5 degrees": (CASES["rotation by 5 degrees"], 223),
    "10 % of users: noise, sd 40": (CASES["10 % of users: noise, sd 40"], 1727),
}
QUIET: dict[int, tuple[str, int, float, dict[str, Any]]] = {
    1: ("every week new users", 50, 1, {}),
    2: ("every week new users", 500, 1, {}),
    3: (
        "seven of ten users those of the week before; a geometric number of inferences",
        50,
        1,
        {"stay": 0.7, "varied": True},
    ),
    4: (
        "the shares of classes change from week to week for all, by 5 %",
        500,
        0.2,
        {"world": World(EXPOSURES, wobble=0.05)},
    ),
    5: ("by 10 %", 500, 0.2, {"world": World(EXPOSURES, wobble=0.10)}),
}
FIRST_SEED, EARLY_SEED = 11, 41  # of the cases with drift, of those between weeks
NEAR = 3  # points of power less than the reference that chance may explain: both judge the same weeks
EARLY_FIELDS, EARLY_YEARS = 50, 10  # with drift, and times four years without
MOST_EARLY = 1.0  # warnings in four years without drift


@dataclass(frozen=True)
class Quiet:
    """Weeks without drift: how many, those with a notice, those with an alarm; `reference`: the same of `reference_drift`."""

    weeks: int
    notices: int
    alarms: int
    reference: tuple[int, int]


@dataclass(frozen=True)
class Found:
    """Of fields with drift, in percent: a notice, an alarm in the first week; mean true and estimated drop in points.

    `reference`: notice and alarm of `reference_drift` on the same weeks. `until_notice`, `until_alarm`: the median week of the
    first one; None: not in half of them.
    """

    notices: float
    alarms: float
    reference: tuple[float, float]
    true_drop: float
    estimated_drop: float
    until_notice: int | None
    until_alarm: int | None


def judge(before: Installs, now: Installs, answers: Answers) -> tuple[bool, bool, Judgement]:
    """Whether something moved, whether there is an alarm."""
    found = judge_week(before, now, answers.layout)
    noticed = bool(found.moved) or any(item.moved for item in found.slices)
    return noticed, found.verdict == "ALARM", found


def watch_quiet(
    answers: Answers, size: int, seed: int, weeks: int = WEEKS, *, world: World = PLAIN, stay: float = 0.0, varied: bool = False
) -> Quiet:  # fmt: skip
    """Fields without drift, ten weeks of each after its baseline."""
    counts, reference = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    for number in range(weeks // WEEKS_OF_A_FIELD):
        field = Field(answers, size, seed * 10_000 + number, stay=stay, varied=varied)
        before = merge_installs(field.week(world) for _ in range(4))
        for week in range(WEEKS_OF_A_FIELD):
            now = field.week(world)
            counts += judge(before, now, answers)[:2]
            reference += judge_by_reference(before, now, answers.layout, week)
    return Quiet(weeks, int(counts[0]), int(counts[1]), (int(reference[0]), int(reference[1])))


def watch_drift(answers: Answers, world: World, size: int, seed: int, fields: int = FIELDS) -> Found:
    """Fields in which `world` begins after the baseline, each until both verdicts were seen."""
    start = World(EXPOSURES, feedback=world.feedback)
    firsts, drops, references = [], [], []
    for number in range(fields):
        field = Field(answers, size, seed * 10_000 + number)
        before = merge_installs(field.week(start) for _ in range(4))
        seen = [0, 0]
        for week in range(1, MOST_WEEKS + 1):
            now = field.week(world)
            noticed, alarmed, found = judge(before, now, answers)
            if week == 1:
                references.append(judge_by_reference(before, now, answers.layout, number))
            seen = [first or week * hit for first, hit in zip(seen, (noticed, alarmed), strict=True)]
            drops += [found.drop.before - found.drop.now] if found.drop else []
            if all(seen) or (number >= fields // 4 and week == 1):
                break
        firsts.append(seen)
    weeks = np.array(firsts)
    watched = np.where(weeks[: fields // 4] > 0, weeks[: fields // 4], MOST_WEEKS + 1)
    median = [
        int(value) if value <= MOST_WEEKS else None for value in np.percentile(watched, 50, axis=0, method="higher")
    ]
    power = 100 * (weeks == 1).mean(axis=0)
    reference = 100 * np.mean(references, axis=0)
    truth = 100 * (true_accuracy(answers, start) - true_accuracy(answers, world))
    return Found(
        float(power[0]), float(power[1]), (float(reference[0]), float(reference[1])), truth, 100 * float(np.mean(drops)),
        *median,
    )  # fmt: skip


def true_accuracy(answers: Answers, world: World) -> float:
    """The accuracy of a population."""
    weights = np.asarray(world.classes)[answers.labels]
    exposures: Mapping[str, float] = world.exposures
    total = 0.0
    for name, share in exposures.items():
        right = np.where(answers.labels == 6, answers.right[name] * (1 - world.renamed), answers.right[name])
        if world.renamed:
            right = right + (answers.labels == 6) * (answers.columns[name][:, 0] == 0) * world.renamed
        if world.of_tier:
            right = 0.85 * right + 0.15 * answers.right[world.tier_exposure]
        total += share * float(np.average(right, weights=weights))
    return total


def run_quiet(answers: Answers, seed: int, weeks: int) -> tuple[str, str]:
    """A row on weeks without drift, and what of the bars it missed."""
    what, size, share, settings = QUIET[seed]
    found = watch_quiet(answers, size, seed, int(weeks * share), **settings)
    reference = " / ".join(map(str, found.reference))
    row = f"| {what} | {size} | {seed} | {found.weeks:,} | {found.notices} | {found.alarms} | {reference} |"
    print(row, flush=True)
    judged = share == 1
    if judged and (found.notices > MOST_NOTICES * weeks / WEEKS or found.alarms > MOST_ALARMS):
        return row, f"{what}, {size} reports: {found.notices} notices, {found.alarms} alarms"
    return row, ""


def run_drift(answers: Answers, what: str, place: int, fields: int) -> tuple[str, str]:
    """A row on fields with drift, and what of the bars it missed."""
    seed, size = FIRST_SEED + list(CASES).index(what), SIZES[place]
    found = watch_drift(answers, CASES[what], size, seed, fields)
    lost = []
    for name, value, bar in zip(("notice", "alarm"), (found.notices, found.alarms), found.reference, strict=True):
        harmless = name == "alarm" and found.true_drop < 100 * TOLERANCE
        if value < bar - NEAR and not harmless:
            lost.append(f"{what}, {size} reports: {name} {value:.0f} %, not {bar:.0f} %")
    delays = " | ".join("" if week is None else str(week) for week in (found.until_notice, found.until_alarm))
    row = (
        f"| {what} | {size} | {seed} | {found.true_drop:.1f} | {found.estimated_drop:.1f} | {found.notices:.0f} | "
        f"{found.alarms:.0f} | {found.reference[0]:.0f} / {found.reference[1]:.0f} | {delays} |"
    )
    print(row, flush=True)
    return row, "; ".join(lost)


def run_early_quiet(answers: Answers) -> tuple[str, str]:
    """The row on years without drift, and what of the bar it missed."""
    found = [count_false_warnings(answers, EARLY_SEED * 10_000 + number) for number in range(EARLY_YEARS)]
    falls, rises = (sum(item[place] for item in found) for place in (0, 1))
    row = f"| no drift, {4 * EARLY_YEARS} years | {EARLY_SEED} | {falls} warnings ({rises} rises) | | 0 in 4 years |"
    print(row, flush=True)
    return row, f"{falls} early warnings in {4 * EARLY_YEARS} years" if falls > MOST_EARLY * EARLY_YEARS else ""


def run_early(answers: Answers, what: str, fields: int) -> tuple[str, str]:
    """A row on drift between weeks; no bar: the other experiment's model loses more by the same change."""
    world, before = EARLY[what]
    seed = EARLY_SEED + 1 + list(EARLY).index(what)
    found = measure_delay(answers, world, seed, min(fields, EARLY_FIELDS))
    reports = f"{found.reports:,}" if found.reports is not None else f"more than {SIZE * WATCHED_WEEKS:,}"
    row = f"| {what} | {seed} | {found.seen} of {found.fields} | {reports} | {before:,} |"
    print(row, flush=True)
    return row, ""


def render(missed: list[str], seconds: float, rows: tuple[list[str], list[str], list[str]], fields: int) -> str:
    """The page."""
    verdict = "All bars are met." if not missed else f"Missed: {'; '.join(missed)}."
    quiet, drift, early = rows
    return "\n".join(
        [
            "# How often a verdict on drift is wrong, and what it finds", "",
            "By `python -m scripts.bench.monitoring.drift BUNDLE EVALUATION`, with the functions that judge a real week. The "
            "answers are `measured`, those of fashion-mnist's tflite/int8 to its 10,000 test images, changed; users are "
            "`simulated`: each with a taste of its own (Dirichlet(1) over the classes) and an exposure (x0.9, x1, x1.15), and "
            f"20 inferences a week. The baseline is four weeks of the same field, the tolerance {100 * TOLERANCE:g} point. "
            "*reference*: notice / alarm of the experiment that the design is from, on the same weeks "
            "(scripts/bench/monitoring/reference_drift.py): one permutation test at 1 % and one bound, without slices, outcomes "
            "or care for heavy users. It is the bar for what is found.",
            f"{date.today()}, {seconds:.0f} s. {verdict}", "",
            "## Weeks without drift", "",
            f"At most {MOST_NOTICES} notices and {MOST_ALARMS} alarm in 1,000 weeks; ten weeks of each field share a baseline. "
            "What changes for all users at once (holidays, fashions) is a move that no test within a week can tell from drift: "
            "the last two rows say what it costs.", "",
            "| | reports a week | seed | weeks | notices | alarms | reference |", "|---|---|---|---|---|---|---|", *quiet, "",
            "## Weeks with drift", "",
            f"In percent of {fields} fields, in the first week of drift; delay: the median week of the first one, of "
            f"{fields // 4} fields that were watched for {MOST_WEEKS} weeks. The bar is the reference's power less {NEAR} points "
            "(none for alarms where the true drop is within the tolerance). Drops in points, true and estimated. Notices and "
            "alarms of slices (tiers) count.", "",
            "| drift | reports a week | seed | true drop | estimated | notice | alarm | reference | delay of notice | of alarm |",
            "|---|---|---|---|---|---|---|---|---|---|", *drift, "",
            "## Between weeks", "",
            f"ADWIN over the reports in the order in which they arrive, {SIZE} a week; drift begins after {CALM_WEEKS} weeks and "
            f"is watched for {WATCHED_WEEKS}. Reports: the median from the first of the drift to the warning. *before*: the "
            "experiment with another model of the same data, which loses more by the same change: 3.1 points by noise of sd 20.",
            "", "| | seed | seen | reports | before |", "|---|---|---|---|---|", *early, "",
        ]
    )  # fmt: skip


def name_task(task: Task) -> str:
    """What a task's row is kept under."""
    return " ".join(str(part) for part in (task[0].__name__, *task[1:]))


def run_all(tasks: Sequence[Task], answers: Answers, jobs: int | None, file: Path | None) -> dict[str, tuple[str, str]]:
    """The row of each task, and what of the bars it missed; rows that are in `file` are taken from there, new ones are added."""
    rows: dict[str, tuple[str, str]] = {}
    if file is not None and file.is_file():
        rows = {name: (row, lost) for name, (row, lost) in json.loads(file.read_text(encoding="utf-8")).items()}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {
            pool.submit(task[0], answers, *task[1:]): name_task(task) for task in tasks if name_task(task) not in rows
        }
        for job in as_completed(running):
            rows[running[job]] = job.result()
            if file is not None:
                file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


def main() -> None:
    """Run all, write the page, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--weeks", type=int, default=WEEKS, help="without drift")
    parser.add_argument("--fields", type=int, default=FIELDS, help="with drift, of each kind")
    parser.add_argument("--scores", type=Path, help="where the artifact's scores are kept, for another run")
    parser.add_argument("--rows", type=Path, help="where finished rows are kept, for a run that was interrupted")
    parser.add_argument("--jobs", type=int, help="processes at once (default: one for each core)")
    options = parser.parse_args()
    begin = time.perf_counter()
    answers = make_answers(options.bundle, options.evaluation, options.scores)
    tasks: list[list[Task]] = [
        [(run_quiet, seed, options.weeks) for seed in QUIET],
        [(run_drift, what, place, options.fields) for what in CASES for place in (0, 1)],
        [(run_early_quiet,), *((run_early, what, options.fields) for what in EARLY)],
    ]
    rows = run_all([task for part in tasks for task in part], answers, options.jobs, options.rows)
    parts = [[rows[name_task(task)] for task in part] for part in tasks]
    missed = [text for part in parts for _, text in part if text]
    quiet, drift, early = ([row for row, _ in part] for part in parts)
    page = render(missed, time.perf_counter() - begin, (quiet, drift, early), options.fields)
    PAGE.write_text(page, encoding="utf-8")
    print(f"{PAGE}: {'; '.join(missed) or 'all bars are met'}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()

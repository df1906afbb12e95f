"""`make seeds`: models of many seeds, untouched and changed; writes docs/results/seeds.md.

Untouched artifacts of every variant are judged on one half of the test data, and what fails there on the other half, too. Then
int8 files that are the same computation in other rounding, and such as are another computation, stand in their places: which of
them are taken for another computation by what the files hold, and which by their noise.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgeship.benchmarks.gate.twin_check import LIMIT
from edgeship.pipeline.conversion.source import ConvertedArtifact
from scripts import RESULTS, ROOT
from tests.mutants.lab import changes, small
from tests.mutants.lab.bench import Good, Lab, Outcome

VARIANTS = ("float32", "float16", "int8", "dynamic_w8", "weight_only_w8")
METHODS = ("percentile", "entropy", "mse")
INT8 = ("tflite/int8", "onnx/int8")
HEAD = """\
# Many seeds: false alarms, and what is found

Written by `make seeds`. Two small tasks are trained with {seeds} seeds each (`tests/mutants/lab/small.py`): {tasks}. Every
variant of every format is made and judged with the default budget, untouched.
"""


@dataclass
class Tally:
    """Untouched artifacts by verdict, FAILs with what the other half says, int8 files by task, change and how they are seen."""

    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    unconfirmed: int = 0
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    louder: dict[tuple[str, str], float] = field(default_factory=dict)


def judge_untouched(lab: Lab, good: Good, task: str, seed: int, tally: Tally) -> None:
    """Every artifact on the first half; what fails is judged on the second one, which shares no sample with it."""
    again: Good | None = None
    for name in good.made:
        outcome = lab.judged(good, name)
        tally.verdicts[task, name, outcome.verdict] += 1
        if outcome.verdict != "FAIL":
            continue
        again = again or replace(good, reference=lab.reference(good.model.parent, good.server, "second.npz"))
        other = lab.judged(again, name)
        tally.unconfirmed += not {*outcome.checks} & {*other.beyond}
        beyond = ", ".join({*outcome.checks} & {*other.beyond}) or "none of these limits"
        figures = f"drop {points(outcome)} points, on the other half {points(other)}, beyond {beyond}: {other.verdict}"
        tally.failures.append(f"{task}, seed {seed}, {name}: {', '.join(outcome.checks)}; {figures}")


def points(outcome: Outcome) -> str:
    """The drop in points."""
    return f"{outcome.figures['accuracy_drop'] * 100:.2f}"


def other_files(lab: Lab, good: Good) -> Iterator[tuple[str, str, ConvertedArtifact]]:
    """Int8 files in the place of the good ones: what was done, the artifact's name, the file."""
    variants = good.config.variants or ()
    int8 = next(item for item in variants if item.name == "int8")
    for method in METHODS:
        config = replace(good.config, variants=(replace(int8, calibration_method=method),))
        for name, made in lab.convert(good.model, config)[0].items():
            yield f"rounding: calibrated by {method}", name, made
    data = replace(good.config.data, calibration=str(good.model.parent / "second.npz"))
    for name, made in lab.convert(good.model, replace(good.config, data=data, variants=(int8,)))[0].items():
        yield "rounding: calibrated on the test data", name, made
    for name in INT8:
        for change, how in EDITS.items():
            if edited := lab.edit(good.made[name], change, how):
                yield f"changed: {change}", name, edited
        if aligned := lab.resized(good.made[name]):
            yield "changed: align_corners", name, aligned
    earlier = lab.replaced(good, good.model.parent / "earlier.keras", ("int8",))
    if not isinstance(earlier, str):
        for name, made in earlier.items():
            yield "changed: an epoch earlier", name, made


EDITS = {
    "last convolution at 4 bits": lambda weights: changes.four_bits(weights.kernels[-2]),
    "all biases lost": changes.biases_lost,
    "one bit in a thousand flipped": changes.bits_flipped(1e-3),
}


def compare_others(lab: Lab, good: Good, task: str, tally: Tally) -> None:
    """Count what is seen of each file beside its twin."""
    for change, name, made in other_files(lab, good):
        found = lab.compared(good, name, made)
        noise = lab.judged(good, name, made).figures.get("sqnr_db")
        lost = min(found.sqnr_db.values(), default=0.0) - (noise or 0.0)
        how = "same" if found.same else "file" if found.files.differences else "noise" if lost > LIMIT else "nothing"
        tally.seen[task, change, how] += 1
        tally.louder[task, change] = max(tally.louder.get((task, change), -99.0), lost)


def markdown(tally: Tally, seeds: int) -> str:
    """The whole document."""
    total = sum(tally.verdicts.values())
    by = {verdict: sum(n for key, n in tally.verdicts.items() if key[2] == verdict) for verdict in VERDICTS}
    unconfirmed = (
        f"; of these {tally.unconfirmed} keep to the limit on the other half of the data" if by["FAIL"] else ""
    )
    lines = [
        HEAD.format(seeds=seeds, tasks=" and ".join(small.TASKS)),
        f"**Of {total} untouched artifacts {by['PASS']} passed, {by['INCONCLUSIVE']} ({by['INCONCLUSIVE'] / total:.0%}) were "
        f"INCONCLUSIVE, {by['FAIL']} failed{unconfirmed}.**",
        "",
        "| task | artifact | PASS | INCONCLUSIVE | FAIL |",
        "|---|---|---|---|---|",
    ]
    for task, name in sorted(dict.fromkeys(key[:2] for key in tally.verdicts), key=lambda key: key[0]):
        counts = " | ".join(str(tally.verdicts[task, name, verdict]) for verdict in VERDICTS)
        lines.append(f"| {task} | {name} | {counts} |")
    lines += ["", *(["Failed:", ""] if tally.failures else []), *(f"- {item}" for item in tally.failures), ""]
    return "\n".join([*lines, *_seen_table(tally)]).rstrip() + "\n"


VERDICTS = ("PASS", "INCONCLUSIVE", "FAIL")


def _seen_table(tally: Tally) -> list[str]:
    lines = [
        "Int8 files beside their twins: *file* are those whose constants or operators differ by more than rounding explains,",
        f"*noise* of the others those with over {LIMIT:g} dB more noise, which counts where both were calibrated alike.",
        "",
        "| task | int8 file | equal | file | noise | neither | most dB above its twin |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, change in sorted({key[:2] for key in tally.seen}, key=lambda key: (key[1].startswith("changed"), key)):
        counts = " | ".join(str(tally.seen[task, change, how]) for how in ("same", "file", "noise", "nothing"))
        lines.append(f"| {task} | {change} | {counts} | {tally.louder[task, change]:.1f} |")
    return lines


def main() -> None:
    """Train, judge and write."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "seeds")
    options = parser.parse_args()
    tally = Tally()
    with Lab(options.folder / "lab") as lab:
        for seed in range(options.seeds):
            for task in small.TASKS:
                trained = options.folder / f"{task}-{seed}"
                trained.mkdir(parents=True, exist_ok=True)
                if not (trained / "server.keras").exists():
                    lab.executors.export.call("tests.mutants.lab.small:train", out=str(trained), task=task, seed=seed)
                good = lab.good(trained.name, trained, VARIANTS)
                judge_untouched(lab, good, task, seed, tally)
                compare_others(lab, good, task, tally)
                print(f"{task} {seed}: {sum(tally.verdicts.values())} judged, {len(tally.failures)} failed", flush=True)
            (RESULTS / "seeds.md").write_text(markdown(tally, seed + 1), encoding="utf-8")
    print(markdown(tally, options.seeds).split("**")[1])


if __name__ == "__main__":
    main()

"""The score of the gate: how many mutants it caught, which it let through, and what it said of untouched artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.mutants.lab.matrix import Row

CAUGHT = ("FAIL", "REFUSED")
HEAD = """\
# Mutants: the gate, proven

Written by `make mutants`. Each *mutant* is a good artifact of a really trained model, broken the way deployments break:
by its inputs (wrong preprocessing), by its stored weights, by its calibration, or made from a broken or stale Keras model
with edgeship's own converters. It takes the good artifact's place in the manifest, under the same name and with the same
history and beside good ones, is measured by the code of `edgeship benchmark` on the task's evaluation data, and judged
with the default budget.

A cell names the checks that failed: `accuracy` (the paired interval against 1 % of the server model's figure), `class` (a
class lost over 10 points), `sure` (over 1 % of the answers that the server model is sure of are others), `parity` (noise
above what the recipe may have, or 15 dB above a peer's: a recipe as coarse, in another format), `margins` (noise as large as
the margins of the server model's own answers), `twin` (the file holds other numbers or operators than one made anew, by more
than rounding explains, or has over 8 dB more noise), `outputs` (NaN, or not run at all). **origin only**: no measurement
failed, but the file is not the one that was made, which the gate notices by its content; that check fails every file that was
changed or replaced, so it is only named where it stands alone. **held**: INCONCLUSIVE, not proven bad with so few samples,
and not shipped either (exit code 1). **PASS**: a mutant that got through. **refused**: a converter would not even make it.
Empty: not tried.
"""


def caught(row: Row) -> bool:
    """Whether the gate failed a mutant."""
    return row.outcome.verdict in CAUGHT


def totals(rows: Iterable[Row]) -> dict[str, int]:
    """Mutants: all, failed, held and let through. Untouched artifacts: all, passed, open, failed."""
    rows = list(rows)
    mutants, untouched = [row for row in rows if row.change], [row for row in rows if not row.change]
    of = {
        verdict: [row for row in untouched if row.outcome.verdict == verdict]
        for verdict in ("PASS", "INCONCLUSIVE", "FAIL")
    }
    return {
        "mutants": len(mutants),
        "failed": sum(map(caught, mutants)),
        "measured": sum(row.outcome.measured in CAUGHT for row in mutants),
        "held": sum(row.outcome.verdict == "INCONCLUSIVE" for row in mutants),
        "through": sum(row.outcome.verdict == "PASS" for row in mutants),
        "untouched": len(untouched),
        "passed": len(of["PASS"]),
        "open": len(of["INCONCLUSIVE"]),
        "alarms": len(of["FAIL"]),
    }  # fmt: skip


def sentence(found: dict[str, int]) -> str:
    """The score in one line."""
    return (
        f"{found['failed']} of {found['mutants']} mutants failed ({found['measured']} by measurement, the others by the "
        f"content of the file), {found['held']} were held as INCONCLUSIVE, {found['through']} passed. "
        f"Of {found['untouched']} untouched artifacts {found['passed']} passed, {found['open']} were INCONCLUSIVE, "
        f"{found['alarms']} failed."
    )


def markdown(rows: Sequence[Row]) -> str:
    """The whole document."""
    parts = [HEAD, f"**{sentence(totals(rows))}**", ""]
    for model in dict.fromkeys(row.model for row in rows):
        mine = [row for row in rows if row.model == model]
        parts += [
            f"## {model}",
            "",
            sentence(totals(mine)),
            "",
            *_table(mine),
            "",
            *_untouched(mine),
            *_survivors(mine),
        ]
    return "\n".join(parts).rstrip() + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    artifacts = list(dict.fromkeys(row.artifact for row in rows if row.change))
    cells = {(row.change, row.artifact): _cell(row) for row in rows}
    lines = ["| mutation | " + " | ".join(artifacts) + " |", "|---" * (len(artifacts) + 1) + "|"]
    for change in dict.fromkeys(row.change for row in rows if row.change):
        found = [cells.get((change, artifact), "") for artifact in artifacts]
        lines.append(f"| {change} | " + " | ".join(found) + " |")
    return lines


def _cell(row: Row) -> str:
    if row.outcome.verdict == "FAIL":
        short = {"class_drop": "class", "sure_flips": "sure"}
        names = {check.split(":")[0] for check in row.outcome.checks} - {"origin"}
        return ", ".join(sorted(short.get(name, name) for name in names)) or "**origin only**"
    return {"PASS": "**PASS**", "INCONCLUSIVE": "**held**", "REFUSED": "refused"}[row.outcome.verdict]


def _untouched(rows: Sequence[Row]) -> list[str]:
    lines = ["Untouched:", ""]
    for row in rows:
        if not row.change:
            why = f" ({row.outcome.reason})" if row.outcome.reason else ""
            noise = row.outcome.figures.get("sqnr_db")
            lines.append(
                f"- {row.artifact}: {row.outcome.verdict}" + (f", {noise:.0f} dB" if noise is not None else "") + why
            )
    return [*lines, ""]


def _survivors(rows: Sequence[Row]) -> list[str]:
    left = [row for row in rows if row.change and row.outcome.measured not in CAUGHT]
    if not left:
        return []
    lines = [
        "Not failed by measurement, with what was measured:",
        "",
        "| mutation | artifact | by measurement | drop | same answers | noise |",
        "|---" * 6 + "|",
    ]
    for row in left:
        figures = row.outcome.figures
        drop, same, noise = (figures.get(name) for name in ("accuracy_drop", "agreement", "sqnr_db"))
        told = [f"{drop * 100 + 0.0:.2f} points" if drop is not None else "", f"{same:.2%}" if same is not None else ""]
        told.append(f"{noise:.1f} dB" if noise is not None else "")
        lines.append(f"| {row.change} | {row.artifact} | {row.outcome.measured} | " + " | ".join(told) + " |")
    return [*lines, ""]

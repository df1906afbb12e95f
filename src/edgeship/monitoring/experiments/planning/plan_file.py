"""`experiment.toml`: a plan, read with a sentence for whatever is wrong with it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from edgeship.errors import InputError
from edgeship.monitoring.experiments.planning.plan import NAME, NAME_WORDS, Guardrail, Plan
from edgeship.storage.atomic import atomic_file
from edgeship.toml_tables import check_keys, toml_value
from edgeship.typed_json import convert
from edgeship.untrusted import parse_toml, printable, regular_file

MOST_BYTES = 1 << 16
HEAD = """\
# The plan of an experiment: `edgeship experiment` analyses by it. What is changed once a look was taken is refused.
"""
NOTES = {
    "metric": "of a user: 'any x' (the share of users who did), 'x' (how often) or 'x / y' (a ratio of sums)",
    "effect": "the least difference worth finding, in the metric's unit",
    "users_control": "at the last look",
    "deviation": "the standard deviation of a user's value",
    "alpha": "two-sided",
    "salt": "draws the devices",
}


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises InputError for what is none: a key that is not known, a value out of its bounds."""
    regular_file(path, links=True)
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{printable(path)}: larger than any plan of an experiment")
    table = parse_toml(path.read_bytes(), path)
    check_keys(table, [item.name for item in fields(Plan)], printable(path))
    rails = table.get("guardrails", [])
    for place, rail in enumerate(rails if isinstance(rails, list) else []):
        if isinstance(rail, dict):
            check_keys(rail, [item.name for item in fields(Guardrail)], f"{printable(path)}: guardrails[{place}]")
    try:
        return convert(Plan, table, names={NAME: NAME_WORDS})
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan. Raises InputError where a file is there: a plan is made once."""
    if path.exists():
        raise InputError(f"{printable(path)}: is there already; a plan is made once, name another --out")
    with atomic_file(path) as beside:
        beside.write_text(render_plan(plan), encoding="utf-8")


def render_plan(plan: Plan) -> str:
    """The text of `experiment.toml`."""
    lines = [HEAD]
    for item in fields(Plan):
        value = getattr(plan, item.name)
        if item.name != "guardrails" and value is not None:
            note = f"  # {NOTES[item.name]}" if item.name in NOTES else ""
            lines.append(f"{item.name} = {toml_value(value)}{note}\n")
    for rail in plan.guardrails:
        lines.append("\n[[guardrails]]\n")
        lines += [f"{item.name} = {toml_value(getattr(rail, item.name))}\n" for item in fields(Guardrail)]
    return "".join(lines)

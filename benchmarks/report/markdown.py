"""The result as Markdown, for a comment on a pull request or a CI summary."""

from __future__ import annotations

import re

from edgeship.benchmarks.report import table_rows
from edgeship.benchmarks.report.terminal_table import UNKNOWN_ORIGIN, check_title
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.verdict import GateResult
from edgeship.types import Verdict
from edgeship.untrusted import printable_value

MARKS = {"PASS": "✅ PASS", "FAIL": "❌ FAIL", "INCONCLUSIVE": "⚠️ INCONCLUSIVE", "NOT JUDGED": "⏭️ not judged"}
# What begins or ends mark-up; an underscore between letters or digits does not.
_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
# @name, #12, https://, www.; GitHub links them.
_LINKED = re.compile(r"@(?=\w)|#(?=\w)|:(?=//)|\bwww(?=\.)|\bGH(?=-\d)|\bmailto(?=:)|\bxmpp(?=:)", re.IGNORECASE)
SHOWN = (
    "artifact", "verdict", "runtime", "output", "size", "wire", "p50", "ratio", "accuracy", "drop", "group", "agreement", "kind",
)  # fmt: skip


def render(manifest: Manifest) -> str:
    """Verdict first, then what did not pass, the table, and every check folded away."""
    manifest = printable_value(manifest)
    gate = manifest.gate or GateResult(Verdict.INCONCLUSIVE)
    passed = sum(check.verdict is Verdict.PASS for check in gate.checks)
    lines = [f"## {MARKS[gate.verdict]} edgeship gate", "", f"{passed} of {len(gate.checks)} checks passed.", ""]
    lines += [
        f"- {MARKS[check.verdict]} **{_escape_text(check_title(check))}**: {_escape_text(check.reason)}"
        for check in gate.checks
        if check.verdict is not Verdict.PASS
    ]
    lines += [
        f"- {MARKS['NOT JUDGED']} **{_escape_text(item.artifact)}**: {_escape_text(item.reason)}"
        for item in gate.not_judged
    ]
    if gate.unknown_origin:
        lines.append(f"- **origin unknown**: {_escape_text(', '.join(gate.unknown_origin))}: {UNKNOWN_ORIGIN}")
    lines += [f"- \\* **{_escape_text(item.artifact)}**: {_escape_text(item.reason)}" for item in gate.remarks]
    lines += [f"- 👉 {_escape_text(step)}" for step in gate.next_steps]
    lines += [
        f"- recommended for {_escape_text(item.target)}: **{_escape_text(item.artifact)}** ({_escape_text(item.reason)})"
        for item in gate.recommended
    ]
    table = table_rows.build(manifest)
    columns = [column for column in table.columns(wide=True) if column.name in SHOWN]
    body = [[row.get(column.name, "") for column in columns] for row in table.rows]
    lines += [
        "",
        *_table_lines(
            [column.heading for column in columns], [[MARKS.get(cell, cell) for cell in row] for row in body]
        ),
    ]
    lines += ["", *(f"[{number}] {_escape_text(note)}  " for number, note in enumerate(table.notes, 1))]
    lines += ["", "<details><summary>All checks</summary>", ""]
    checks = [[check_title(check), MARKS[check.verdict], check.reason] for check in gate.checks]
    lines += _table_lines(["check", "verdict", "reason"], checks)
    lines += ["", "</details>", "", f"<sub>{_escape_text(table.legend(columns))}</sub>"]
    return "\n".join(lines) + "\n"


def _table_lines(head: list[str], body: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(_escape_text, row)) + " |" for row in body]


def _escape_text(text: str) -> str:
    """Text that Markdown shows as it is: no bars of tables, no HTML, links, images or emphasis, nobody told.

    A blank of no width parts what GitHub would make a mention, a link or a reference of without any mark-up.
    """
    plain = _MARKS.sub(r"\\\g<0>", " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;"))
    return _LINKED.sub(r"\g<0>&#8203;", plain)

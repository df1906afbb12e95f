"""Results in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeship.benchmarks.report import parity_matrix_table, table_rows
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.verdict import ArtifactReason, Check, GateResult
from edgeship.terminal import (
    WIDTH,
    Column,
    column_widths,
    make_console,
    make_table,
    narrow_columns,
    table_width,
    wrap_text,
)
from edgeship.types import TensorSpec, Verdict
from edgeship.untrusted import printable_value

STYLES = {"PASS": "bold green", "FAIL": "bold red", "INCONCLUSIVE": "bold yellow", "NOT JUDGED": "dim"}
LEFT = {"artifact", "runtime", "output", "kind", "verdict"}
FOLDED = {"artifact", "runtime", "output"}
WITH_INTERVAL = {"ratio", "drop", "group"}
UNKNOWN_ORIGIN = "not made by edgeship, so judged by figures alone"
CHECKS = {
    "server_accuracy": "server model's accuracy",
    "made": "made at all",
    "size_disk": "size on disk",
    "size_wire": "download size",
    "parity": "noise of the output",
    "margins": "noise beside the margins of answers",
    "twin": "the same artifact made anew",
    "max_abs_error": "largest error",
    "agreement": "same answers",
    "class_drop": "drop of a class",
    "sure_flips": "sure answers that changed",
    "groups": "drop of a group",
    "latency_ratio": "time vs float32",
}


def print_results(manifest: Manifest, *, wide: bool = False) -> None:
    """Print what was measured, why what is missing is missing, and the verdict with what decided it."""
    out = make_console(wide=wide)
    out.print(render_results(manifest, out.width, wide=wide))


def render_results(manifest: Manifest, width: int = WIDTH, *, wide: bool = False) -> RenderableType:
    """The results as one table, or as several below each other where `width` is too little for one.

    The columns are those that every reader needs, with `wide` all.
    """
    manifest = printable_value(manifest)
    figures = table_rows.build(manifest)
    columns = figures.columns(wide=wide)
    parts: list[RenderableType] = [*_fit_tables(figures.rows, columns, width)]
    parts.append(Text(wrap_text(figures.legend(columns), width), style="dim"))
    if not wide and len(columns) < len(figures.columns(wide=True)):
        parts.append(Text("more columns (size on disk, loading, p90): --wide", style="dim"))
    parts += [Text(f"[{number}] {note}", style="dim") for number, note in enumerate(figures.notes, 1)]
    parts += parity_matrix_table.render(manifest.matrix, width)
    if manifest.gate:
        parts.append(render_verdict(manifest.gate))
    return Group(*parts)


def _fit_tables(cells: Sequence[Mapping[str, str]], columns: Sequence[table_rows.Column], width: int) -> list[Table]:
    """One table if all columns fit, with intervals below their figures if need be; else several that repeat the names."""
    heads = [Column(column.heading, column.name not in LEFT, column.name in FOLDED) for column in columns]
    body = [[_make_cell(row, column.name) for column in columns] for row in cells]
    if table_width(column_widths(heads, body)) > width:
        body = [[_make_cell(row, column.name, narrow=True) for column in columns] for row in cells]
    narrow = narrow_columns(heads, column_widths(heads, body), width)
    if table_width(narrow) <= width:
        return [make_table(heads, body, width)]
    keys = [number for number, column in enumerate(columns) if column.name in ("artifact", "runtime", "output", "kind")]
    key_heads = [heads[number] for number in keys]
    room = table_width(
        narrow_columns(
            key_heads, column_widths(key_heads, [[row[number] for number in keys] for row in body]), width // 2
        )
    )
    groups: list[list[int]] = [[]]
    for number in range(len(columns)):
        if number in keys:
            continue
        group_width = room + sum(narrow[other] + 2 for other in [*groups[-1], number])
        if group_width > width and groups[-1]:
            groups.append([])
        groups[-1].append(number)
    tables = []
    for group in groups:
        rows = [[row[n] for n in (*keys, *group)] for row in body if any(row[n].plain for n in group)]
        tables.append(make_table([heads[n] for n in (*keys, *group)], rows, width))
    return tables


def _make_cell(row: Mapping[str, str], name: str, *, narrow: bool = False) -> Text:
    """A cell; where room is short an interval stands below its figure."""
    text = row.get(name, "")
    if narrow and name in WITH_INTERVAL and not text.startswith("- ["):
        unit = " pt" if text.endswith(" pt") else ""
        text = text.removesuffix(unit).replace(" [", f"{unit}\n[", 1)
    return Text(text, style=STYLES.get(text, ""))


def render_verdict(gate: GateResult) -> Group:
    """The overall verdict with every check that did not pass, and what was not judged."""
    open_checks = [
        Text.assemble((f"  {check.verdict} ", STYLES[check.verdict]), check_title(check), ": ", check.reason)
        for check in gate.checks
        if check.verdict is not Verdict.PASS
    ]
    reasons = _reason_lines("  NOT JUDGED", gate.not_judged)
    return Group(_verdict_line(gate), *open_checks, *reasons, *_origin_lines(gate), *_closing_lines(gate))


def _closing_lines(gate: GateResult) -> list[Text]:
    """What does not pay, what to do next about what did not pass, and what to ship."""
    lines = [Text(f"  * {item.artifact}: {item.reason}", style="yellow") for item in gate.remarks]
    lines += [Text.assemble(("  next: ", "bold"), step) for step in gate.next_steps]
    recommended = [
        Text.assemble(("recommended ", "bold"), f"for {item.target}: ", (item.artifact, "bold"), f" ({item.reason})")
        for item in gate.recommended
    ]
    return [*lines, *recommended]


def _verdict_line(gate: GateResult) -> Text:
    passed = sum(check.verdict is Verdict.PASS for check in gate.checks)
    counts = f" ({passed} of {len(gate.checks)} checks passed)"
    return Text.assemble(("gate: ", "bold"), (gate.verdict, STYLES[gate.verdict]), counts)


def _reason_lines(word: str, items: Sequence[ArtifactReason]) -> list[Text]:
    return [Text(f"{word} {item.artifact}: {item.reason}", style="dim") for item in items]


def _origin_lines(gate: GateResult) -> list[Text]:
    names = ", ".join(gate.unknown_origin)
    return [Text(f"  ORIGIN UNKNOWN {names}: {UNKNOWN_ORIGIN}", style="dim")] if names else []


def check_title(check: Check) -> str:
    """What a check is about, as `tflite/int8 on litert, accuracy`."""
    where = " on ".join(filter(None, (check.artifact, _check_place(check))))
    return f"{where}, {check_words(check)}" if where else check_words(check)


def check_words(check: Check) -> str:
    """What a check looks at, in words; the manifest's own names are for machines."""
    name, _, output = check.check.partition(":")
    return CHECKS.get(name, name.replace("_", " ")) + (f" of {output}" if output else "")


def _check_place(check: Check) -> str:
    """Runtime and, where it is not this machine, device of a check."""
    return f"{check.runtime} @ {check.device}".strip() if check.device not in ("", "host") else check.runtime


def print_checks(gate: GateResult) -> None:
    """Print every check of the gate, then the verdict."""
    out, gate = make_console(), printable_value(gate)
    heads = [*(Column(name, folds=True) for name in ("artifact", "runtime", "check")), Column("verdict")]
    body: list[list[str | Text]] = [
        [
            *(check.artifact or "bundle", _check_place(check), check_words(check)),
            Text(check.verdict, style=STYLES[check.verdict]),
            check.reason,
        ]
        for check in gate.checks
    ]
    checks = make_table([*heads, Column("reason", folds=True)], body, out.width)
    reasons = _reason_lines("  NOT JUDGED", gate.not_judged)
    out.print(Group(checks, _verdict_line(gate), *reasons, *_origin_lines(gate), *_closing_lines(gate)))


def print_artifacts(manifest: Manifest) -> None:
    """Print what a conversion made (nothing measured yet) and what it skipped."""
    out, manifest = make_console(), printable_value(manifest)
    heads = [Column("artifact", folds=True), Column("file", folds=True), Column("weights", right=True)]
    heads += [Column("int8 ops", right=True), Column("inputs", folds=True), Column("outputs", folds=True)]
    body = []
    for item in manifest.artifacts:
        holds = ("", "")
        if receipt := item.receipt:
            weights = table_rows.size_text(receipt.weights.bytes) if receipt.weights.bytes else ""
            holds = (weights, f"{receipt.int8_op_share:.0%}")
        sides = ("\n".join(map(_describe_tensor, specs)) for specs in (item.inputs, item.outputs))
        body.append([item.id, item.path, *holds, *sides])
    failed = [Text.assemble(("FAILED", STYLES["FAIL"]), f" {item.artifact}: {item.text}") for item in manifest.failures]
    out.print(Group(make_table(heads, body, out.width), *_reason_lines("skipped", manifest.skipped), *failed))


def _describe_tensor(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} {'x'.join('?' if size is None else str(size) for size in spec.shape)}"

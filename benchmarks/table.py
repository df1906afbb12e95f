"""Results in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeship.benchmarks import matrix_table, rows

Json = Mapping[str, Any]
STYLES = {"PASS": "bold green", "FAIL": "bold red", "INCONCLUSIVE": "bold yellow", "NOT JUDGED": "dim"}
LEFT = {"artifact", "runtime", "kind", "verdict"}
PIPE_WIDTH = 200


def console() -> Console:
    """Standard output; as wide as its terminal, wide enough for every column where it is a file or a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def print_results(manifest: Json) -> None:
    """Print what was measured, why what is missing is missing, and the verdict with what decided it."""
    out = console()
    out.print(results(manifest, out.width))


def results(manifest: Json, width: int = PIPE_WIDTH) -> RenderableType:
    """The results as one table, or as several below each other where the terminal is too narrow for one."""
    built = rows.build(manifest)
    parts: list[RenderableType] = [_table(built.rows, names) for names in _packed(built.rows, width)]
    parts.append(Text(built.legend, style="dim"))
    parts += [Text(f"[{number}] {note}", style="dim") for number, note in enumerate(built.notes, 1)]
    parts += matrix_table.render(manifest.get("matrix") or {"devices": []}, width)
    if manifest.get("gate"):
        parts.append(verdict(manifest["gate"]))
    return Group(*parts)


def _packed(cells: Sequence[Mapping[str, str]], width: int) -> list[list[str]]:
    """The columns of each table: as many as fit beside the names of artifact and runtime."""
    widths = {name: max(len(text) for text in (name, *(row.get(name, "") for row in cells))) for name in rows.COLUMNS}
    used = [name for name in rows.COLUMNS if any(row.get(name) for row in cells)]
    # Figures of several kinds never stand without their label.
    several = len({row["kind"] for row in cells if row.get("kind")}) > 1
    keys = [name for name in ("artifact", "runtime", *(["kind"] if several else [])) if name in used]
    if sum(widths[name] + 2 for name in used) - 2 <= width:
        return [used]
    tables: list[list[str]] = [list(keys)]
    for name in used:
        if name in keys:
            continue
        taken = sum(widths[other] + 2 for other in tables[-1])
        if taken + widths[name] > width and len(tables[-1]) > len(keys):
            tables.append(list(keys))
        tables[-1].append(name)
    return tables


def _table(cells: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        left = name in LEFT
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in cells:
        table.add_row(*(Text(row.get(name, ""), style=STYLES.get(row.get(name, ""), "")) for name in columns))
    return table


def verdict(gate: Json) -> Group:
    """The overall verdict with every check that did not pass, and what was not judged."""
    lines = [Text.assemble(("gate: ", "bold"), (gate["verdict"], STYLES[gate["verdict"]]), _counts(gate["checks"]))]
    for check in gate["checks"]:
        if check["verdict"] != "PASS":
            lines.append(
                Text.assemble((f"  {check['verdict']} ", STYLES[check["verdict"]]), title(check), ": ", check["reason"])
            )
    for item in gate.get("not_judged", []):
        lines.append(Text(f"  NOT JUDGED {item['artifact']}: {item['reason']}", style="dim"))
    return Group(*lines)


def _counts(checks: Sequence[Json]) -> str:
    passed = sum(check["verdict"] == "PASS" for check in checks)
    return f" ({passed} of {len(checks)} checks passed)"


def title(check: Json) -> str:
    """What a check is about, as `tflite/int8 on litert, accuracy`."""
    where = " on ".join(filter(None, (check["artifact"], _place(check))))
    return f"{where}, {check['check']}" if where else check["check"]


def _place(check: Json) -> str:
    """Runtime and, where it is not this machine, device of a check."""
    device = check.get("device", "")
    return f"{check['runtime']} @ {device}".strip() if device not in ("", "host") else str(check["runtime"])


def print_checks(gate: Json) -> None:
    """Print every check of the gate, then the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("artifact", "runtime", "check", "verdict", "reason"):
        table.add_column(name, overflow="fold", no_wrap=name != "reason")
    for check in gate["checks"]:
        reason = Text(check["reason"])
        cells = (check["artifact"] or "bundle", _place(check), check["check"])
        table.add_row(*map(Text, cells), Text(check["verdict"], style=STYLES[check["verdict"]]), reason)
    console().print(Group(table, verdict({**gate, "checks": []}) if not gate["checks"] else _summary(gate)))


def _summary(gate: Json) -> Group:
    head = Text.assemble(("gate: ", "bold"), (gate["verdict"], STYLES[gate["verdict"]]), _counts(gate["checks"]))
    left_out = [
        Text(f"  NOT JUDGED {item['artifact']}: {item['reason']}", style="dim") for item in gate.get("not_judged", [])
    ]
    return Group(head, *left_out)


def print_artifacts(manifest: Json) -> None:
    """Print what a conversion made (nothing measured yet) and what it skipped."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("artifact", "file", "weights", "int8 ops", "inputs", "outputs"):
        table.add_column(name, no_wrap=True, justify="right" if name in {"weights", "int8 ops"} else "left")
    for item in manifest["artifacts"]:
        receipt = item.get("receipt") or {}
        share = receipt.get("int8_op_share")
        weights = (receipt.get("weights") or {}).get("bytes")
        table.add_row(
            *map(
                Text,
                (
                    item["id"],
                    item["path"],
                    rows.size(weights) if weights else "",
                    f"{share:.0%}" if share is not None else "",
                ),
            ),
            *(Text(", ".join(_tensor(spec) for spec in item[side])) for side in ("inputs", "outputs")),
        )
    skipped = [
        Text(f"skipped {item['artifact']}: {item['reason']}", style="dim") for item in manifest.get("skipped", [])
    ]
    console().print(Group(table, *skipped))


def _tensor(spec: Json) -> str:
    return f"{spec['name']} {spec['dtype']} {'x'.join('?' if size is None else str(size) for size in spec['shape'])}"

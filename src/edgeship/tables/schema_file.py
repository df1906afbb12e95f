"""`data.toml`: what of a table's schema can be set right by hand. It lies beside the table, and what it says wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.storage import atomic
from edgeship.tables.schema import ColumnSchema, Kind, TableSchema, Task
from edgeship.toml_tables import check_keys, toml_key, toml_value
from edgeship.untrusted import parse_toml, printable, regular_file

FILE = "data.toml"
KEYS = ("file", "delimiter", "missing_values", "task", "column")
COLUMN_KEYS = ("kind",)
SHOWN = 8  # categories in a comment
HEAD = """\
# How {file} is read: lies beside it, and wins over what edgeship infers. Comments are what was found.
# kind: number, category, text, boolean, date, or ignored (the column is left out)
"""


@dataclass(frozen=True)
class SchemaFile:
    """What `data.toml` states: `file`, the table's name; `kinds` by column; None where it says nothing."""

    file: str
    delimiter: str | None = None
    missing_values: tuple[str, ...] = ()
    task: Task | None = None
    kinds: Mapping[str, Kind] = field(default_factory=lambda: MappingProxyType({}))


def find_schema_file(table: Path) -> SchemaFile | None:
    """What the `data.toml` beside a table states; None where there is none, or it is about another file."""
    path = table.parent / FILE
    if not path.is_file():
        return None
    stated = read_schema_file(path)
    return stated if stated.file == table.name else None


def read_schema_file(path: Path) -> SchemaFile:
    """Read a `data.toml`. Raises InputError, naming key and place, for what it cannot say."""
    table = parse_toml(regular_file(path, links=True).read_bytes(), path)
    where = printable(path)
    check_keys(table, KEYS, where)
    file, delimiter, task = (_text(table, key, where) for key in ("file", "delimiter", "task"))
    if file is None:
        raise InputError(f'{where}: no file, the name of the table that it is about, as file = "d.csv"')
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise InputError(f"{where}: delimiter must be one character, not {printable(delimiter)[:20]!r}")
    missing_values = table.get("missing_values", [])
    if not isinstance(missing_values, list) or not all(isinstance(value, str) for value in missing_values):
        raise InputError(f'{where}: missing_values must be a list of strings, as ["?", "unknown"]')
    if task is not None and task not in get_args(Task):
        raise unknown_name_error("task", task, get_args(Task), where)
    columns = table.get("column", {})
    if not isinstance(columns, Mapping):
        raise InputError(f"{where}: column must hold a table for each column, as [column.age]")
    kinds = {name: _read_kind(value, f"{where}: [column.{printable(name)}]") for name, value in columns.items()}
    return SchemaFile(file, delimiter, tuple(missing_values), task, kinds)  # type: ignore[arg-type]  # looked at above


def write_schema(path: Path, file: str, schema: TableSchema) -> None:
    """Write a `data.toml` for the table of that file name. Raises InputError where nothing can be written."""
    try:
        with atomic.atomic_file(path) as draft:
            draft.write_text(render_schema_file(file, schema), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be written ({error.strerror})") from error


def render_schema_file(file: str, schema: TableSchema) -> str:
    """The text of a `data.toml` for the table of that file name."""
    lines = [HEAD.format(file=printable(file)) + f"file = {toml_value(file)}", f"# {schema.rows:,} rows"]
    lines.append(f"delimiter = {toml_value(schema.delimiter)}  # of a CSV")
    lines.append(f"missing_values = {toml_value(schema.missing_values)}  # beside the empty field, NA, NaN, null, ...")
    if schema.stated_task:
        lines.append(f"task = {toml_value(schema.stated_task)}")
    else:
        lines.append('# task = "regression"  # or "classification"; by default as the label\'s kind has it')
    for column in schema.columns:
        lines += ["", f"[column.{toml_key(column.name)}]"]
        lines.append(f"kind = {toml_value(column.kind)}  # {describe_column(column, schema.rows)}")
    return "\n".join(lines) + "\n"


def describe_column(column: ColumnSchema, rows: int) -> str:
    """What was found in a column, in one line."""
    parts = []
    if column.missing:
        parts.append("all missing" if column.missing == rows else f"{column.missing:,} missing")
    if column.distinct is not None and column.kind != "boolean":
        parts.append(f"{column.distinct:,} different values")
    if column.statistics is not None:
        item = column.statistics
        parts.append(f"{item.minimum:.6g} to {item.maximum:.6g}, median {item.median:.6g}, mean {item.mean:.6g}")
    if column.categories:
        shown = [
            f"{printable(name)[:30]} {count:,}" for name, count in zip(column.categories, column.counts, strict=True)
        ]
        parts.append(", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else ""))
    return "; ".join(parts) or "more than 1,000 different values"


def _text(table: Mapping[str, Any], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{where}: {key} must be a string, not {printable(repr(value))[:60]}")
    return value


def _read_kind(value: Any, where: str) -> Kind:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table")
    check_keys(value, COLUMN_KEYS, where)
    kind: Any = _text(value, "kind", where)
    if kind not in get_args(Kind):
        raise unknown_name_error("kind", str(kind), get_args(Kind), where)
    result: Kind = kind
    return result

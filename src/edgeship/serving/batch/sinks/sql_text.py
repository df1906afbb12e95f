"""The SQL of both databases: names, tables, the upsert."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.rows.outputs import KEY, VERSION, TableColumn
from edgeship.storage.adbc import quote_name as quote
from edgeship.untrusted import printable

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")


def quote_text(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def check_table_name(name: str) -> None:
    """Raise InputError for a name that no table is given."""
    if not NAME.fullmatch(name):
        raise InputError(f"--table {printable(name)}: a table's name has letters, digits and _, at most 48 of them")


@dataclass(frozen=True)
class TableShape:
    """What a database has under a name: columns with their types, in order; those of the primary key; `is_view`."""

    columns: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    is_view: bool = False


@dataclass(frozen=True)
class Table:
    """A table as it has to be: columns with kinds, and how many of the first of them are its primary key."""

    name: str
    columns: tuple[TableColumn, ...]
    keys: int

    def shape(self, types: Mapping[str, str]) -> TableShape:
        """As a database describes it."""
        columns = tuple((column.name, types[column.kind]) for column in self.columns)
        return TableShape(columns, tuple(name for name, _ in columns[: self.keys]))

    def creation(self, types: Mapping[str, str], ending: str) -> str:
        """The statement that makes it; `ending`: what stands behind it in this database."""
        keys = [column.name for column in self.columns[: self.keys]]
        lines = [
            f"{quote(column.name)} {types[column.kind]}{' not null' if column.name in keys else ''}"
            for column in self.columns
        ]
        keys_text = ", ".join(map(quote, keys))
        return f"create table if not exists {quote(self.name)} ({', '.join(lines)}, primary key ({keys_text})){ending}"

    def insertion(self, values: str) -> str:
        """Insert `values` (`values (...)` or a select); what is there under the same keys stays."""
        names = [quote(column.name) for column in self.columns]
        keys = ", ".join(names[: self.keys])
        return f"insert into {quote(self.name)} ({', '.join(names)}) {values} on conflict ({keys}) do nothing"

    def upsert(self, values: str) -> str:
        """Insert `values`, or replace what is there under the same keys."""
        names = [quote(column.name) for column in self.columns[self.keys :]]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        return f"{self.insertion(values).removesuffix('nothing')}update set {changes}"

    def addition(self, rows: int) -> str:
        """Insert so many rows of parameters, or add their last column to what is there under the same keys."""
        last = quote(self.columns[-1].name)
        row = f"({', '.join('?' * len(self.columns))})"
        insertion = self.insertion(f"values {', '.join([row] * rows)}").removesuffix("nothing")
        return f"{insertion}update set {last} = {quote(self.name)}.{last} + excluded.{last}"


def predictions_table(name: str, key: str, columns: Sequence[TableColumn]) -> Table:
    """The table of predictions; `key` is the kind of its keys, whole or text."""
    first = (TableColumn(VERSION, "text"), TableColumn(KEY, key))  # type: ignore[arg-type]
    return Table(name, (*first, *columns), 2)


def jobs_table(name: str) -> Table:
    """The ledger's table of jobs: what was run, and how far it came."""
    texts = ("job", "model_version", "bundle", "artifact", "source", "least_key", "greatest_key", "since", "watermark")
    columns = [TableColumn(text, "text") for text in texts]
    columns += [TableColumn("rows", "whole"), TableColumn("chunks", "whole"), TableColumn("state", "text")]
    return Table(f"{name}_jobs", tuple(columns), 1)


def chunks_table(name: str) -> Table:
    """The ledger's table of chunks that are in."""
    columns = (TableColumn("job", "text"), TableColumn("chunk", "whole"), TableColumn("rows", "whole"))
    return Table(f"{name}_chunks", columns, 2)


def counts_table(name: str) -> Table:
    """The drift counters of each job: how many of its rows fell into a cell of the reference profile (`counts.Cell`)."""
    texts = [TableColumn(text, "text") for text in ("job", "side", "name", "kind")]
    others = (TableColumn("cell", "whole"), TableColumn("model_version", "text"), TableColumn("count", "whole"))
    return Table(f"{name}_counts", (*texts, *others), 5)

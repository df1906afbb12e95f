"""Rows of a source as the model's inputs, and labels as numbers of classes; what cannot be read is told row by row."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from edgeship.data import Batch
from edgeship.deploy.contract.contract import Contract
from edgeship.errors import InputError
from edgeship.learning.retraining.champion import LabelForm
from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.rows.columns import InputColumns, map_columns
from edgeship.serving.batch.rows.encode import encode_rows
from edgeship.untrusted import printable

LONGEST_KEY = 200


@dataclass(frozen=True)
class ReadRow:
    """A row: its key, its inputs (1, ...), the text of its label (empty: it has none yet); or the `fault` that it has."""

    key: str
    label: str
    inputs: Batch | None
    fault: str = ""


@dataclass(frozen=True)
class RowReader:
    """Which columns hold what."""

    key: str
    label: str
    inputs: tuple[InputColumns, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the key first."""
        names = [name for item in self.inputs for name in item.names]
        return tuple(dict.fromkeys((self.key, self.label, *names)))

    def read(self, rows: Any, faults: Sequence[str]) -> list[ReadRow]:
        """The rows of a record batch, those that cannot be read with their fault."""
        keys = [_read_key(value) for value in rows.column(self.key).to_pylist()]
        labels = [_read_label(value) for value in rows.column(self.label).to_pylist()]
        found, whole = [], None
        if not any(faults):
            with contextlib.suppress(InputError):  # one of them cannot be read: each for itself
                whole = encode_rows(self.inputs, rows, 1)
        for at, (key, label) in enumerate(zip(keys, labels, strict=True)):
            fault = faults[at] or ("" if key else f"has no key in {self.key}")
            inputs = None
            if not fault:
                try:
                    inputs = (
                        encode_rows(self.inputs, rows.slice(at, 1), 1)
                        if whole is None
                        else {name: array[at : at + 1] for name, array in whole.items()}
                    )
                except InputError as error:
                    fault = str(error).removeprefix("row 1, ").removeprefix("row 1: ")
            found.append(ReadRow(key, label, inputs, fault))
        return found


def make_reader(contract: Contract, key: str, label: str, names: Sequence[str], where: object) -> RowReader:
    """The reader for a source with such columns. Raises InputError where one is missing."""
    for option, name in (("--key", key), ("--label", label)):
        if name not in names:
            raise InputError(
                f"{where}: no column {printable(name)} ({option}); it has {printable(', '.join(names))[:300]}"
            )
    inputs = map_columns(contract.inputs, names, where)
    if used := next((name for item in inputs for name in item.names if name == label), None):
        raise InputError(f"{where}: column {printable(used)} is the label, and the model takes one of that name")
    return RowReader(key, label, inputs)


def parse_label(form: LabelForm, text: str) -> int | None:
    """The number of a class; None for a text that is none."""
    try:
        return int(form.parse([text], "").reshape(-1)[0])
    except InputError:
        return None


def _read_key(value: Any) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    text = str(value)
    return text if text and len(text) <= LONGEST_KEY and printable(text) == text else ""


def _read_label(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():  # a column of whole numbers with gaps
        value = int(value)
    return "" if value is None else str(value).strip()

"""Which columns of a source feed which input of the model.

A table's columns have the names that the contract gives them, and so has the column of a text. Any other input is one column of
its own name that holds lists (a picture: the bytes of its file), or one column a number, `<input>_0`, `<input>_1`, ..., in
row-major order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa

from edgeship.deploy.contract.inputs import ContractInput
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

SHOWN = 12  # names in a message
Form = Literal["table", "text", "list", "numbers", "pictures"]


@dataclass(frozen=True)
class InputColumns:
    """The columns that feed an input, and the form they have."""

    item: ContractInput
    names: tuple[str, ...]
    form: Form


def map_columns(inputs: Sequence[ContractInput], names: Sequence[str], where: object) -> tuple[InputColumns, ...]:
    """The columns of each input. Raises InputError, with both lists, where an input is fed by none."""
    found = [_columns_of(item, names) for item in inputs]
    if missing := [item for item, columns in zip(inputs, found, strict=True) if columns is None]:
        wanted = "; ".join(f"'{item.name}' takes {_describe_input(item)}" for item in missing[:4])
        raise InputError(f"{where}: no columns for the model's input: {wanted}; it has {list_names(names)}")
    return tuple(columns for columns in found if columns)


def _columns_of(item: ContractInput, names: Sequence[str]) -> InputColumns | None:
    if item.kind == "table":
        columns = tuple(column.name for column in item.raw.columns)
        return InputColumns(item, columns, "table") if set(columns) <= set(names) else None
    if item.kind == "text":
        name = item.raw.column or item.name
        return InputColumns(item, (name,), "text") if name in names else None
    if item.name in names:
        return InputColumns(item, (item.name,), "list")
    count = count_numbers(item)
    if count is None:  # of PCM as much as there is
        count = next(number for number in range(len(names) + 1) if f"{item.name}_{number}" not in names)
    columns = tuple(f"{item.name}_{number}" for number in range(count))
    return InputColumns(item, columns, "numbers") if columns and set(columns) <= set(names) else None


def count_numbers(item: ContractInput) -> int | None:
    """How many numbers a sample of an input is; None where that is not fixed."""
    sizes = item.tensor.shape[1:]
    if item.kind == "audio" or None in sizes:
        return None
    return math.prod(size or 1 for size in sizes)


def _describe_input(item: ContractInput) -> str:
    if item.kind == "table":
        return list_names([column.name for column in item.raw.columns])
    if item.kind == "text":
        return printable(item.raw.column or item.name)
    one = f"{item.name} ({'the bytes of a picture' if item.kind == 'image' else 'a list'})"
    count = count_numbers(item)
    return one if count is None else f"{one} or {item.name}_0 to {item.name}_{count - 1}"


def list_names(names: Sequence[str]) -> str:
    """Some of the names, for a message."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(printable, names[:SHOWN])) + more


def column_types(inputs: Sequence[ContractInput], names: Sequence[str]) -> dict[str, Any]:
    """The Arrow types of the columns that feed inputs and whose numbers or texts are read from text."""
    types: dict[str, Any] = {}
    for columns in filter(None, (_columns_of(item, names) for item in inputs)):
        if columns.form == "table":
            for column in columns.item.raw.columns:
                if (
                    types.get(column.name) != pa.string()
                ):  # a number that may be missing is read as text: NA is one, too
                    is_number = column.kind == "number" and column.missing is None
                    types[column.name] = pa.float64() if is_number else pa.string()
        elif columns.form == "text":
            types[columns.names[0]] = pa.string()
        elif columns.form == "numbers":
            types |= dict.fromkeys(columns.names, number_type(columns.item))
    return types


def number_type(item: ContractInput) -> Any:
    """The Arrow type of a number of an input as it is read."""
    if item.kind in ("image", "audio") or item.tensor.dtype.startswith(("int", "uint")):
        return pa.int64()
    return pa.float32() if item.tensor.dtype != "float64" else pa.float64()

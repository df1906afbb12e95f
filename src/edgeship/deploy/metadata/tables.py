"""Tables of any flatbuffer schema, written by the numbers of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from edgeship.light_dataclass import dataclass

Kind = Literal["Int8", "Uint8", "Uint32", "Float32"]


@dataclass(frozen=True)
class Scalar:
    """A number that lies in its table."""

    kind: Kind
    value: float


@dataclass(frozen=True)
class Table:
    """A table: its fields by their places in the schema, where a union takes two; None is left out, as 0 is.

    A tuple is a vector, of float32 where it holds numbers.
    """

    fields: Mapping[int, Field]


Field = Table | Scalar | str | tuple[Table, ...] | tuple[float, ...] | None


def pack(root: Table, identifier: bytes) -> bytes:
    """A whole flatbuffer: the same bytes for the same tables."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_write_table(builder, root), identifier)
    return bytes(builder.Output())


def _write_table(builder: Any, table: Table) -> int:
    fields = {place: field for place, field in sorted(table.fields.items()) if field is not None}
    # What a table points to is written before it.
    offsets = {place: _write_field(builder, field) for place, field in fields.items() if not isinstance(field, Scalar)}
    builder.StartObject(max(fields, default=-1) + 1)
    for place, field in fields.items():
        if isinstance(field, Scalar):
            value = field.value if field.kind == "Float32" else int(field.value)
            getattr(builder, f"Prepend{field.kind}Slot")(place, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(place, offsets[place], 0)
    return int(builder.EndObject())


def _write_field(builder: Any, field: Table | str | tuple[Any, ...]) -> int:
    if isinstance(field, Table):
        return _write_table(builder, field)
    if isinstance(field, str):
        return int(builder.CreateString(field))
    if not any(isinstance(item, Table) for item in field):
        return int(builder.CreateNumpyVector(np.asarray(field, np.float32)))
    offsets = [_write_table(builder, item) for item in field]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())

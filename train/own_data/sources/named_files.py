"""Files with a class each: a folder of them a class, or a table of their names and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage import digest
from edgeship.tables.reading import iterate_batches
from edgeship.tables.schema import TableSchema
from edgeship.train.dataset import Array
from edgeship.train.own_data.samples import Target
from edgeship.train.own_data.sources.columns import ColumnData, as_spelled, read_columns, read_target
from edgeship.untrusted import printable

T = TypeVar("T")
MOST_UNREADABLE = 0.02  # of the files, and in any case one
NAMED = 3  # files in a message


@dataclass(frozen=True)
class NamedFiles:
    """Files in a `folder`, with targets (int64 classes or float32 values) and groups (texts) of shape (n,)."""

    folder: Path
    names: tuple[str, ...]
    target: Target
    targets: Array
    groups: Array | None = None
    grouped_by: str = ""

    def paths(self) -> Iterator[Path]:
        """The files, in their order."""
        return (self.folder / name for name in self.names)

    def digest(self) -> str:
        """Of names, targets and contents (sha256)."""
        contents = [digest.of_path(path) for path in self.paths()]
        return digest.of_json([list(self.names), self.targets.tolist(), contents])


def find_suffix(source: Path, kinds: Mapping[str, Sequence[str]]) -> str | None:
    """Which of the kinds (with their suffixes) the files in the folders of a folder are of; None where none is."""
    for path in sorted(source.glob("*/*")):
        for kind, suffixes in kinds.items():
            if path.suffix.lower() in suffixes:
                return kind
    return None


def list_class_folders(folder: Path, suffixes: Sequence[str]) -> NamedFiles:
    """The files of a folder with one folder a class. Raises InputError where there are fewer than two classes."""
    found: dict[str, list[str]] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = sorted(path for path in place.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
        if files:
            found[place.name] = [str(path.relative_to(folder)) for path in files]
    names = [name for files in found.values() for name in files]
    codes = np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files in found.values()])
    target, targets = read_target("folder", ColumnData(codes, tuple(found)))
    return NamedFiles(folder, tuple(names), target, targets)


def find_name_column(path: Path, schema: TableSchema, suffixes: Sequence[str], label: str | None) -> str | None:
    """The column of a table that names files, by its first row; None where none does."""
    texts = [item.name for item in schema.columns if item.kind in ("category", "text") and item.name != label]
    if not texts:
        return None
    first = next(iter(iterate_batches(path, schema, texts)))
    for name in texts:
        value = first.column(name)[0].as_py()
        if value and Path(value).suffix.lower() in suffixes and (path.parent / value).is_file():
            return name
    return None


def list_table(path: Path, schema: TableSchema, column: str, label: str, group: str | None) -> NamedFiles:
    """The files that a table names, with a label each. Raises InputError for names or labels that are missing."""
    task = schema.find_task(label)
    for name in filter(None, (column, label, group)):
        if missing := schema.column(name).missing:
            raise InputError(f"{printable(path)}: column '{printable(name)}' is missing in {missing:,} rows")
    texts = [column, *([label] if task == "classification" else []), *([group] if group else [])]
    columns = read_columns(
        path, as_spelled(schema, texts), list(dict.fromkeys((column, label, *([group] if group else []))))
    )
    names = tuple(columns[column].names.tolist())
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise InputError(f"{printable(path)}: '{printable(outside[0])}' lies outside of the table's folder")
    target, targets = read_target(label, columns[label])
    return NamedFiles(path.parent, names, target, targets, columns[group].names if group else None, group or "")


def read_readable(
    files: NamedFiles, read: Callable[[Path], T], keep: Callable[[int, T], None]
) -> tuple[Array, tuple[str, ...]]:
    """Read file after file; returns the numbers of those that could be read (int64), and a note on the others.

    `keep` is called with a running number and what was read. Raises InputError, which names some, where too many cannot be.
    """
    good, bad = list[int](), list[str]()
    limit = max(1, round(MOST_UNREADABLE * len(files.names)))
    for number, path in enumerate(files.paths()):
        try:
            content = read(path)
        except InputError as error:
            bad.append(f"{printable(files.names[number])} ({error})")
            continue
        keep(len(good), content)
        good.append(number)
    if len(bad) > limit:
        raise InputError(
            f"{printable(files.folder)}: {len(bad):,} of {len(files.names):,} files cannot be read: {'; '.join(bad[:NAMED])}"
        )
    notes = (f"left out, {len(bad)} that cannot be read: {'; '.join(bad[:10])}",) if bad else ()
    return np.array(good, np.int64), notes


def choose_files(files: NamedFiles, good: Array) -> NamedFiles:
    """Some of the files."""
    groups: Array | None = None if files.groups is None else files.groups[good]
    names = tuple(files.names[number] for number in good.tolist())
    return replace(files, names=names, targets=files.targets[good], groups=groups)

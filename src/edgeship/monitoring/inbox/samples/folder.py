"""The folder of samples: `samples.csv`, a row a sample, and beside it `<sample>.npz`, its tensors.

A sample is there once its row is: the file is written before. A row that was broken off by a crash is cut off at the next start.
"""

from __future__ import annotations

import csv
import os
import threading
from collections import Counter
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import filelock

from edgeship.client.samples.kept import split_number
from edgeship.data import save
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.database import StoreError
from edgeship.monitoring.inbox.samples.sample import MARGIN, RANDOM, ArrivedSample, RefusedSampleError
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

TABLE = "samples.csv"
COLUMNS = ("sample", "week", "bundle", "artifact", "user", "picked", "predicted", "margin", "content")
LONGEST_ROW = 1 << 16
SPARE_BYTES = 512  # of a file beyond its tensors, and a row


@dataclass(frozen=True)
class SampleLimits:
    """How many samples are taken of a user, bundle and week, half of them random; how many bytes of all."""

    number: int
    most_bytes: int

    def of_part(self, picked: str) -> int:
        """How many of them are of a part."""
        return dict(zip((RANDOM, MARGIN), split_number(self.number), strict=True))[picked]


class SampleFolder:
    """A folder that this process alone adds samples to; a context manager.

    Raises InputError where another process does, and where it holds something else.
    """

    def __init__(self, folder: Path, limits: SampleLimits) -> None:
        self.folder, self.limits = folder, limits
        self._table = folder / TABLE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(folder / ".lock")
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise InputError(
                f"{printable(folder)}: another process takes samples there; name another folder"
            ) from error
        except OSError as error:
            raise InputError(f"{printable(folder)}: {error.strerror}; samples need a folder") from error
        self._thread_lock = threading.Lock()
        try:
            self._names, self._counts, self._bytes = self._read()
        except BaseException:
            self._lock.release()
            raise

    def _read(self) -> tuple[set[str], Counter[tuple[str, ...]], int]:
        """The names that are there, how many each user has sent, and how many bytes they are."""
        names: set[str] = set()
        counts: Counter[tuple[str, ...]] = Counter()
        _mend_table(self._table)
        with self._table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                names.add(row["sample"])
                counts[row["bundle"], row["week"], row["user"], row["picked"]] += 1
        size = sum(path.stat().st_size for path in self.folder.glob("*.npz"))
        return names, counts, size

    @property
    def is_full(self) -> bool:
        """Whether no sample fits any more."""
        return self._bytes >= self.limits.most_bytes

    def add(self, sample: ArrivedSample) -> Literal["new", "duplicate"]:
        """Keep a sample, once. Any thread may call it.

        Raises RefusedSampleError beyond what one user may send of a week, StoreError where the disk or the quota is full.
        """
        with self._thread_lock:
            if sample.name in self._names:
                return "duplicate"
            header = sample.header
            key = (header.profile, header.window, header.user, header.picked)
            if self._counts[key] >= self.limits.of_part(header.picked):
                raise RefusedSampleError("quota", "no more samples of this user and week are taken")
            size = sum(values.nbytes for values in sample.tensors.values()) + SPARE_BYTES
            if self._bytes + size > self.limits.most_bytes:
                raise StoreError(
                    f"{printable(self.folder)}: the samples there have reached {self.limits.most_bytes:,} bytes"
                )
            try:
                self._write(sample)
            except OSError as error:
                raise StoreError(f"{printable(self.folder)}: {error.strerror}; what was taken before stays") from error
            self._names.add(sample.name)
            self._counts[key] += 1
            self._bytes += size
            return "new"

    def _write(self, sample: ArrivedSample) -> None:
        header = sample.header
        with atomic_file(self.folder / f"{sample.name}.npz") as beside:
            save(beside, sample.tensors)
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        fields = (
            sample.name, header.window, header.profile, header.artifact, header.user, header.picked, header.predicted,
            header.margin, header.content,
        )  # fmt: skip
        descriptor = os.open(self._table, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        try:
            end = os.fstat(descriptor).st_size
            try:
                line = _to_line(fields)
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let another process take samples here."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _to_line(fields: tuple[object, ...]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode()


def _mend_table(table: Path) -> None:
    """Cut what stands after the last line end, which is no row; a table that is new, or as good as, gets its first line.

    Raises InputError for a file of something else.
    """
    first = _to_line(COLUMNS)
    with table.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not first.startswith(file.read(len(first))):
            raise InputError(f"{printable(table)}: is no table of samples of this edgeship; name another folder")
        file.seek(max(size - LONGEST_ROW, 0))
        tail = file.read()
        size -= len(tail) - tail.rfind(b"\n") - 1
        file.truncate(size)
        if not size:
            file.write(first)

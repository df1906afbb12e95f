"""The folder in which samples lie: `samples.json` says which there are, each is a file. Standard library only.

Of a week, part by part, those of the lowest scores stay: the score of the random part is drawn, so that they are a random sample
of all that was offered, however many processes offered it; that of the other is the margin.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeship.client.reports.state_file import StateFile, write_private

Json = dict[str, Any]
SCHEMA, FILE, END = 1, "samples.json", ".sample"
RANDOM, MARGIN = "random", "margin"
PARTS = (RANDOM, MARGIN)
WEEKS = 2  # of which samples are kept: this one, and the one that is over


@dataclass(frozen=True)
class OfferedSample:
    """A sample of a `week` since 1970: the lowest `score` stays. `body`: as it is sent."""

    week: int
    picked: str
    score: float
    predicted: int
    margin: float
    body: bytes


@dataclass(frozen=True)
class KeptSample:
    """A sample that lies in a file; `chosen`: to be sent."""

    file: str
    week: int
    picked: str
    score: float
    predicted: int
    margin: float
    size: int
    chosen: bool = False


class DeviceSamples:
    """A folder of at most `most` samples and `most_bytes` of a part and week. Raises ClientError where it cannot be one."""

    def __init__(self, folder: Path, most: int, most_bytes: int) -> None:
        self._folder, self._most, self._most_bytes = folder, most, most_bytes
        self._file = StateFile(folder, FILE, "samples")

    def read_secret(self) -> str | None:
        """What pseudonyms are made of; None where the user has not agreed."""
        state = self._file.read(_new_state())
        return state["secret"] if state["allowed"] else None

    def allow(self) -> None:
        """The user has agreed: samples may be kept from now on."""
        self._file.make_folder()
        with self._file.change(_new_state()) as state:
            state["allowed"] = True

    def remove_all(self) -> None:
        """Delete all samples and the pseudonym's secret; nothing is kept until `allow`."""
        if not self._folder.is_dir():
            return
        with self._file.hold():
            self._file.path.unlink(missing_ok=True)
            self._remove_others(())

    def add(self, offered: Iterable[OfferedSample], week: int) -> dict[str, float]:
        """Keep what belongs to the lowest scores, in `week`; by part, from which score on nothing more is taken.

        Where the user has not agreed, or not any more, nothing is kept. Raises ClientError where it cannot be written.
        """
        if self.read_secret() is None:
            return {}
        with self._change() as (_, kept):
            files = dict[str, bytes]()
            decided = {item.week for item in kept if item.chosen}
            for item in offered:
                if item.week in decided:  # what is sent of that week was chosen already
                    continue
                name = os.urandom(16).hex() + END
                files[name] = item.body
                fields = (item.week, item.picked, item.score, item.predicted, item.margin, len(item.body))
                kept.append(KeptSample(name, *fields))
            kept[:] = self._select(kept, week)
            for name in (one.file for one in kept if one.file in files):
                write_private(self._folder / name, files[name])
            return {part: self._find_limit(kept, week, part) for part in PARTS}

    def _select(self, kept: list[KeptSample], week: int) -> list[KeptSample]:
        found = []
        for some_week in range(week - WEEKS + 1, week + 1):
            for part in PARTS:
                found += self._fit(_find_part(kept, some_week, part))
        return found

    def _fit(self, own: list[KeptSample]) -> list[KeptSample]:
        """The first of them that fit."""
        size = 0
        for place, item in enumerate(own):
            size += item.size
            if place >= self._most or size > self._most_bytes:
                return own[:place]
        return own

    def _find_limit(self, kept: list[KeptSample], week: int, part: str) -> float:
        own = _find_part(kept, week, part)
        return own[-1].score if len(own) >= self._most else float("inf")

    def list_samples(self) -> list[KeptSample]:
        """What is kept, the oldest week first."""
        return _read_kept(self._file.read(_new_state()))

    def choose(self, number: int, week: int) -> list[KeptSample]:
        """What is sent of weeks before `week`: `number` of each at most, half of them random, the others of the least margin.

        What was chosen once stays so; the rest of those weeks is deleted.
        """
        with self._change() as (_, kept):
            decided = {item.week for item in kept if item.chosen}
            chosen = [item for item in kept if item.chosen]
            for some_week in sorted({item.week for item in kept if item.week < week} - decided):
                for part, most in zip(PARTS, split_number(number), strict=True):
                    chosen += [_mark(item) for item in _find_part(kept, some_week, part)[:most]]
            kept[:] = [*chosen, *(item for item in kept if item.week >= week)]
            return chosen

    def read_body(self, item: KeptSample) -> bytes | None:
        """The bytes of a sample; None where its file is gone."""
        try:
            return (self._folder / item.file).read_bytes()
        except OSError:
            return None

    def remove(self, item: KeptSample) -> None:
        """Forget a sample that the server has taken, or will never take."""
        with self._change() as (_, kept):
            kept[:] = [other for other in kept if other.file != item.file]

    @contextlib.contextmanager
    def _change(self) -> Iterator[tuple[Json, list[KeptSample]]]:
        """State and samples under the lock; written at the end, and then files that are none of them are deleted."""
        with self._file.change(_new_state()) as state:
            kept = _read_kept(state)
            yield state, kept
            state["kept"] = [vars(item) for item in kept]
        with self._file.hold():
            self._remove_others(item.file for item in _read_kept(self._file.read(_new_state())))

    def _remove_others(self, names: Iterable[str]) -> None:
        stay = {*names}
        for path in self._folder.glob(f"*{END}"):
            if path.name not in stay:
                path.unlink(missing_ok=True)


def _find_part(kept: Iterable[KeptSample], week: int, part: str) -> list[KeptSample]:
    """The samples of a part and week, the lowest scores first."""
    return sorted((item for item in kept if (item.week, item.picked) == (week, part)), key=lambda item: item.score)


def split_number(number: int) -> tuple[int, int]:
    """How many of a number of samples are random, and how many are of the least margin."""
    return number - number // 2, number // 2


def _mark(item: KeptSample) -> KeptSample:
    return KeptSample(**{**vars(item), "chosen": True})


def _read_kept(state: Json) -> list[KeptSample]:
    with contextlib.suppress(TypeError):  # damaged
        return [KeptSample(**item) for item in state["kept"]]
    return []


def _new_state() -> Json:
    return {"schema": SCHEMA, "allowed": False, "secret": os.urandom(32).hex(), "kept": []}

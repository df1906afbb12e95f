"""Rows into the state: each is answered by the model as it is, and then kept for the interval that learns it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.learning.retraining.champion import LabelForm
from edgeship.learning.samples.sample_digests import digest_samples
from edgeship.learning.stream.detector import ErrorWatch
from edgeship.learning.stream.predictor import Predictor
from edgeship.learning.stream.request import LEAST_ROWS, Interval
from edgeship.learning.stream.results import RowCounts
from edgeship.learning.stream.row_reader import ReadRow, RowReader, parse_label
from edgeship.learning.stream.sources.source import Answer, FetchedRows, StreamSource
from edgeship.learning.stream.state import AsideRow, LabelledRow, OpenInterval, StreamState
from edgeship.untrusted import printable

WATCHED_FROM, POSITION = "watched_from", "position"  # facts of the state
CHUNK = 64  # rows that are answered and kept at once
JUDGES = "is in the evaluation data, which judges and is never learned"


class Intake:
    """Takes rows into a state. `judging`: digests of samples that judge; `predictor`: what answers now."""

    def __init__(
        self,
        state: StreamState,
        interval: Interval,
        form: LabelForm,
        judging: Collection[str],
        predictor: Callable[[], Predictor],
    ) -> None:
        self.state, self.interval, self.form = state, interval, form
        self._judging, self._predictor = judging, predictor
        self._watch = ErrorWatch(state.read_errors(state.read_fact(WATCHED_FROM) or 1))
        self._rows = state.count_rows(state.open_interval.number)[0]

    def count_room(self) -> int:
        """How many rows may be fetched at once: no more than the interval takes."""
        full = self._full_at(self.state.open_interval)
        return CHUNK if full is None else max(1, min(CHUNK, full - self._rows))

    def _full_at(self, interval: OpenInterval) -> int | None:
        return LEAST_ROWS if interval.drift_row else self.interval.rows

    def find_end(self) -> str:
        """Why the open interval ends now; empty while it does not."""
        interval = self.state.open_interval
        if interval.drift_row and self._rows >= LEAST_ROWS:
            return "drift"
        if self.interval.rows:
            return "rows" if self._rows >= self.interval.rows else ""
        due = interval.began is not None and time.time() - interval.began >= (self.interval.seconds or 0)
        return "time" if due and self._rows >= LEAST_ROWS else ""

    def begin_interval(self) -> None:
        """The next interval is open, and has no row."""
        self._rows = 0

    def take(self, source: StreamSource, reader: RowReader, fetched: FetchedRows) -> None:
        """Keep rows up to the end of the interval, with the position after them. Raises InputError for one that contradicts."""
        read = reader.read(fetched.rows, fetched.faults)
        answers = self._answer(read, fetched)
        taken = 0
        with self.state.commit():
            interval = self.state.open_interval
            for row, place, answer in zip(read, fetched.places, answers, strict=True):
                interval = self._take_row(source, row, place, answer, interval)
                taken += 1
                full = self._full_at(interval)
                if full is not None and self._rows >= full:
                    break
            self.state.open_interval = interval
            self.state.write_fact(POSITION, fetched.position_after(taken))
        source.settle(fetched, taken)

    def answer(self, reader: RowReader, rows: Any, places: Sequence[str], faults: Sequence[str]) -> list[Answer]:
        """The model's answers to requests; what cannot be read is set aside."""
        read = reader.read(rows, faults)
        whole = [row.inputs for row in read if row.inputs is not None]
        classes: list[int] = []
        if whole:
            predictor = self._predictor()
            classes = predictor.predict(
                {name: np.concatenate([part[name] for part in whole]) for name in whole[0]}
            ).tolist()
        answered = iter(classes)
        found = []
        with self.state.commit():
            for row, place in zip(read, places, strict=True):
                if row.inputs is None:
                    self._set_aside(row, place, row.fault)
                    found.append(Answer(row.key, fault=printable(row.fault)[:500]))
                    continue
                number = next(answered)
                found.append(Answer(row.key, number, (self.form.classes or ())[number], self._predictor().version))
        return found

    def _answer(self, read: Sequence[ReadRow], fetched: FetchedRows) -> list[tuple[int, int]]:
        """The class and the version that answered, of each row; of what is not learned (-1, 0)."""
        if fetched.predictions:
            return list(fetched.predictions)
        found = [(-1, 0)] * len(read)
        asked = [at for at, row in enumerate(read) if row.inputs is not None and row.label]
        if asked:
            parts = [row.inputs for row in read if row.inputs is not None and row.label]
            predictor = self._predictor()
            classes = predictor.predict({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
            for at, number in zip(asked, classes.tolist(), strict=True):
                found[at] = (number, predictor.version)
        return found

    def _take_row(
        self, source: StreamSource, row: ReadRow, place: str, answer: tuple[int, int], interval: OpenInterval
    ) -> OpenInterval:
        """Keep a row; the interval as it is then."""
        if row.inputs is None:
            self._set_aside(row, place, row.fault)
            return interval
        if not row.label:
            self._count(unlabelled=1)
            return interval
        label = parse_label(self.form, row.label)
        known = self.state.find_label(row.key)
        if label is None:
            shown = printable(row.label)[:60]
            self._refuse(source, row, place, f"label {shown!r} is no class of the model ({self._name_classes()})")
        elif known == label:
            self._count(repeated=1)
        elif known is not None:
            names = self.form.classes or ()
            self._refuse(source, row, place, f"has label {names[label]}, and had {names[known]} before")
        elif digest_samples(row.inputs)[0] in self._judging:
            self._set_aside(row, place, JUDGES)
        else:
            return self._keep(LabelledRow(row.key, label, *answer, row.inputs), interval)
        return interval

    def _keep(self, row: LabelledRow, interval: OpenInterval) -> OpenInterval:
        number = self.state.add_row(row, interval.number)
        self._rows += 1
        if interval.began is None:
            interval = replace(interval, began=time.time())
        change = self._watch.update(int(not row.is_right))
        if change is None:
            return interval
        self._watch = ErrorWatch()
        self.state.write_fact(WATCHED_FROM, number + 1)
        before, now = change
        if now <= before or interval.drift_row:
            return interval
        return replace(interval, drift_row=number, drift_before=before, drift_now=now)

    def _name_classes(self) -> str:
        return printable(", ".join((self.form.classes or ())[:20]))

    def _refuse(self, source: StreamSource, row: ReadRow, place: str, reason: str) -> None:
        """What can be put right is refused; an entry of a queue cannot, and is set aside."""
        if source.kept:
            raise InputError(f"{place}: key {printable(row.key)} {reason}")
        self._set_aside(row, place, reason)

    def _set_aside(self, row: ReadRow, place: str, reason: str) -> None:
        if self.state.set_aside(AsideRow(place, printable(row.key), printable(reason)[:500])):
            self._count(set_aside=1)

    def _count(self, **more: int) -> None:
        counts: RowCounts = self.state.counts
        self.state.counts = replace(counts, **{name: getattr(counts, name) + number for name, number in more.items()})

"""A person labelling the samples of a table: what is next, what was said, and what is taken back."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from edgeship.bundle.bundle import Bundle
from edgeship.data import load
from edgeship.errors import InputError, unknown_name_error
from edgeship.learning.labels.suspects import Suspect, find_suspects
from edgeship.learning.samples.sample_source import TABLE, SampleSource, open_samples
from edgeship.learning.samples.sample_table import ANNOTATOR, LABEL, PREDICTED, SAMPLE, Row, read_table, write_table
from edgeship.learning.samples.sample_view import SampleView, view_sample
from edgeship.learning.samples.scores import answer_samples, choose_artifact, find_chances
from edgeship.light_dataclass import dataclass
from edgeship.settings.config import Config
from edgeship.settings.inputs import InputForm
from edgeship.types import TensorSpec
from edgeship.untrusted import place_within, printable

KEYS = "123456789abcdefghijklmnopqrtvwxyz"  # u takes back, s leaves for later
FIELDS = (SAMPLE, LABEL, ANNOTATOR, PREDICTED)
MOST_CLASSES = len(KEYS)


@dataclass(frozen=True)
class LabelState:
    """What the page shows: the sample that is next (None: all are done), how many are labelled, and what was said last.

    `suspect`: the label that was given to it and is likely wrong; the sample is asked again.
    """

    annotator: str
    classes: tuple[str, ...]
    keys: tuple[str, ...]
    done: int
    total: int
    sample: str | None
    views: tuple[SampleView, ...]
    last: tuple[str, str] | None
    suspect: Suspect | None


class LabelSession:
    """The labels of one annotator, kept in a file after each answer. Threads and other annotators may write meanwhile."""

    def __init__(
        self, source: SampleSource, names: Sequence[str], out: Path, annotator: str, classes: Sequence[str],
        forms: Mapping[str, InputForm], predicted: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.source, self.names, self.out, self.annotator = source, tuple(names), out, annotator
        self.classes, self._forms, self._predicted = tuple(classes), forms, predicted
        self._given = {
            row[SAMPLE]: row[LABEL] for row in self._read_rows() if row[ANNOTATOR] == annotator and row[LABEL]
        }
        self._order = [name for name in self._given if name in {*self.names}]  # what can be taken back, the newest last
        self._later: list[str] = []
        self._suspects: list[Suspect] = []
        self._lock = threading.Lock()

    @property
    def state(self) -> LabelState:
        """What is to be shown now."""
        with self._lock:
            suspect = self._suspects[0] if self._suspects else None
            name = suspect.sample if suspect else self._find_next()
            last = (self._order[-1], self._given[self._order[-1]]) if self._order else None
        views = self._view(name) if name is not None else ()
        done = sum(item in self._given for item in self.names)
        return LabelState(
            self.annotator,
            self.classes,
            tuple(KEYS[: len(self.classes)]),
            done,
            len(self.names),
            name,
            views,
            last,
            suspect,
        )

    def give(self, sample: str, label: str) -> None:
        """Keep a label. Raises InputError for a sample or a class that there is not."""
        if sample not in self.names:
            raise unknown_name_error("sample", sample, self.names[:20])
        if label not in self.classes:
            raise unknown_name_error("class", label, self.classes)
        with self._lock:
            self._given[sample] = label
            self._order = [*(name for name in self._order if name != sample), sample]
            self._later = [name for name in self._later if name != sample]
            self._suspects = [item for item in self._suspects if item.sample != sample]
            self._write()

    def leave(self, sample: str) -> None:
        """Ask for a sample after all others; a suspect keeps its label."""
        with self._lock:
            if self._suspects and self._suspects[0].sample == sample:
                self._suspects.pop(0)
            elif sample in self.names and sample not in self._given:
                self._later = [*(name for name in self._later if name != sample), sample]

    def take_back(self) -> str | None:
        """Drop the label that was given last, and say of which sample it was; None where none is left."""
        with self._lock:
            if not self._order:
                return None
            sample = self._order.pop()
            del self._given[sample]
            self._later = [name for name in self._later if name != sample]
            self._write()
            return sample

    def ask_again(self, suspects: Sequence[Suspect]) -> None:
        """Show these samples before all others."""
        with self._lock:
            self._suspects = [item for item in suspects if item.sample in self._given]

    @property
    def given(self) -> dict[str, str]:
        """The labels of this annotator, by sample."""
        with self._lock:
            return dict(self._given)

    def _find_next(self) -> str | None:
        later = {*self._later}
        waiting = [name for name in self.names if name not in self._given]
        return next((name for name in waiting if name not in later), self._later[0] if self._later else None)

    def _view(self, name: str) -> tuple[SampleView, ...]:
        inputs = {key: array[0] for key, array in self.source.read([name]).items()}
        return view_sample(inputs, self._forms)

    def _read_rows(self) -> list[dict[str, str]]:
        return read_table(self.out, (SAMPLE, LABEL, ANNOTATOR))[1] if self.out.exists() else []

    def _write(self) -> None:
        """Others' rows stay as they are in the file now."""
        with filelock.FileLock(self.out.with_name(f".{self.out.name}.lock")):
            others: list[Row] = [row for row in self._read_rows() if row[ANNOTATOR] != self.annotator]
            mine = [
                {SAMPLE: name, LABEL: label, ANNOTATOR: self.annotator, PREDICTED: self._predicted.get(name, "")}
                for name, label in self._given.items()
            ]
            if others or mine:
                write_table(self.out, FIELDS, [*others, *mine])
            else:
                self.out.unlink(missing_ok=True)


def open_session(
    folder: Path, table: Path, out: Path, annotator: str, bundle: Bundle | None, classes: tuple[str, ...]
) -> LabelSession:
    """A session for the samples of a table. Raises InputError where it is not clear which classes there are, or too many."""
    if not annotator.strip() or printable(annotator) != annotator or len(annotator) > 60:
        raise InputError(f"--annotator {printable(annotator)[:60]!r}: a name of at most 60 characters")
    inputs = bundle.manifest.server.inputs if bundle else infer_inputs(folder)
    source = open_samples(folder, inputs)
    _, rows = read_table(table)
    names = list(dict.fromkeys(row[SAMPLE] for row in rows))
    if unknown := [name for name in names if name not in {*source.names}]:
        raise InputError(
            f"{printable(table)}: {len(unknown):,} samples are not in {printable(folder)}: {printable(unknown[0])[:60]}"
        )
    found = classes or (bundle.manifest.labels if bundle else None) or ()
    if len(found) < 2:
        raise InputError("which classes are there? name the --bundle, whose labels count, or --classes a,b,c")
    if len({*found}) < len(found) or len(found) > MOST_CLASSES:
        raise InputError(f"there are {len(found)} classes: the page has keys for {MOST_CLASSES} that differ")
    forms = Config.restore(bundle.manifest.config).input if bundle else {}
    predicted = {row[SAMPLE]: row.get(PREDICTED, "") for row in rows}
    return LabelSession(source, names, out, annotator, found, forms, predicted)


def infer_inputs(folder: Path) -> tuple[TensorSpec, ...]:
    """What the tensors of samples are by the first of them, where no bundle tells."""
    if folder.is_dir():
        _, rows = read_table(folder / TABLE)
        first = load(place_within(folder, f"{rows[0][SAMPLE]}.npz"))
        arrays = {name: array if array.ndim > 1 and len(array) == 1 else array[None] for name, array in first.items()}
    else:
        from edgeship.data import RepresentativeDataset

        data = RepresentativeDataset(folder)
        arrays = {name: np.zeros((1, *data.shapes[name]), data.dtypes[name]) for name in data.inputs}
    return tuple(TensorSpec(name, (None, *array.shape[1:]), str(array.dtype)) for name, array in arrays.items())


def find_likely_errors(
    source: SampleSource, given: Mapping[str, str], bundle: Bundle, classes: Sequence[str]
) -> tuple[Suspect, ...]:
    """The labels that the bundle's artifact finds unlikely. Raises InputError where it has no such classes."""
    names = [name for name, label in given.items() if label in {*classes}]
    if not names:
        return ()
    answers = answer_samples(bundle, choose_artifact(bundle.manifest), source.read(names))
    chances = find_chances(next(iter(answers.values())))
    if chances.shape[1] != len(classes):
        raise InputError(f"the bundle tells {chances.shape[1]} classes apart, and there are labels of {len(classes)}")
    numbers: dict[str, Any] = {name: number for number, name in enumerate(classes)}
    return find_suspects(names, np.array([numbers[given[name]] for name in names]), chances, classes)

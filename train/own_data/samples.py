"""Samples that a network learns from, as they come out of any source: inputs, targets, and what a row is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.train.dataset import Array
from edgeship.train.own_data.configuration import NetworkSize, SizeRange

DECISION = 0.5  # the probability of the second of two classes from which on it is the answer
STEPS = 2000  # of a training, as far as there is a sensible number of epochs


@dataclass(frozen=True)
class Picture:
    """A picture of this `kind` (a MIME type)."""

    kind: str
    content: bytes


@dataclass(frozen=True)
class Samples:
    """Some samples, `rows` (int64), of `inputs` by name and `targets`, both with all samples along the first axis.

    `targets` are int64 classes or float32 values of shape (n,). Inputs may lie in a file: they are read as they are asked for.
    """

    inputs: Mapping[str, Array]
    targets: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, name: str, places: Array | slice = slice(None)) -> Array:
        """An input of the samples at some places of `rows`."""
        values: Array = self.inputs[name][self.rows[places]]
        return values

    def feeds(self, places: Array | slice) -> dict[str, Array]:
        """The inputs at some places as a model takes them: float32, or int32 where they are places in a list."""
        return {
            name: np.asarray(self.read(name, places), np.int32 if array.dtype == np.int32 else np.float32)
            for name, array in self.inputs.items()
        }


@dataclass(frozen=True)
class Target:
    """What is predicted: one of the `labels`, or without any a value with its `mean` and `deviation` in training."""

    name: str
    labels: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def is_class(self) -> bool:
        """Whether it is one of the labels."""
        return bool(self.labels)

    @property
    def is_binary(self) -> bool:
        """Whether one score, of the second label, is all that the model gives."""
        return len(self.labels) == 2

    def scaled_by(self, targets: Array) -> Target:
        """The target with mean and deviation of these training values; of classes it stays as it is."""
        if self.is_class:
            return self
        return replace(self, mean=float(targets.mean()), deviation=float(targets.std()) or 1.0)

    def read_scores(self, raw: Array) -> Array:
        """What a model gave, (n, outputs), as class probabilities of shape (n, classes), or values of shape (n,)."""
        if not self.is_class:
            return raw.reshape(-1)
        if self.is_binary:
            second = raw.reshape(-1, 1)
            return np.concatenate([1 - second, second], axis=1)
        return raw

    def answers(self, scores: Array) -> Array:
        """The classes (int64) of probabilities, or the values themselves."""
        if not self.is_class:
            return scores
        if self.is_binary:
            return (scores[:, 1] > DECISION).astype(np.int64)
        result: Array = scores.argmax(axis=1)
        return result


@dataclass(frozen=True)
class Prepared:
    """All samples of a source as a model takes them, with what was learned from the training rows alone.

    `forms` are the tables `[input.NAME]` of `edgeship.toml`, by which an app makes the same inputs. `build` gives an untrained
    network of a size, `sizes` the usual one and those that tuning tries; `finish` sets what a trained one could not learn.
    `steps`: the batches of a usual training, as far as there is a sensible number of epochs.
    """

    inputs: Mapping[str, Array]
    forms: Mapping[str, Mapping[str, Any]]
    build: Callable[[Samples, Target, NetworkSize], Any]
    sizes: SizeRange
    finish: Callable[[Any], None] = lambda _: None
    steps: int = STEPS


@dataclass(frozen=True)
class OwnData:
    """A source that was read; its samples have numbers from 0 on.

    `kind`: table, pictures, recordings, windows or arrays. `targets`: int64 classes or float32 values of shape (n,); `groups`
    and `times` of the same shape, with what they are called, where a protocol goes by them. `prepare` makes the inputs with
    what the given training rows (int64) tell. `features` gives what baselines take, (rows, features) with NaN for what is
    missing, and `categorical` says which of these are places in a list; `word_ids` gives of each column of texts the ids of the
    words, (rows, words), 0 after the end. `describe_row` says which row or file a sample is,
    and `show_row` what is in it, and `draw_row` draws it where it is more than a row. `digest` is of what was read (sha256),
    `preprocessing` tells people what the model takes. `held_out` are the samples (int64) that the data itself has for tests,
    where it has some; `source` and `licence` tell where it comes from. Of fewer than `crossed_below` samples that may be learned
    from, `prepare` builds networks whose branches learn from different ones (`fitting.fit_crossed`).
    """

    kind: str
    name: str
    target: Target
    targets: Array
    prepare: Callable[[Array], Prepared]
    features: Callable[[Array], Array]
    describe_row: Callable[[int], str]
    digest: str
    preprocessing: str
    word_ids: Callable[[Array], Sequence[Array]] = lambda _: ()
    show_row: Callable[[int], str] = lambda _: ""
    draw_row: Callable[[int], Picture | None] = lambda _: None
    groups: Array | None = None
    times: Array | None = None
    categorical: Sequence[bool] = ()
    grouped_by: str = ""
    timed_by: str = ""
    trees: bool = False
    crossed_below: int = 0
    held_out: Array | None = None
    source: str = "given with --data"
    licence: str = "see where it came from"
    notes: tuple[str, ...] = ()

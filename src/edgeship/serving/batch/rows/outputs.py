"""An artifact's answers as columns of a table.

Scores of classes become the best one, `<output>_label` and `<output>_score`, as the generated clients decide it; one number a
sample becomes `<output>`; any other output a list of all its numbers in row-major order, `<output>`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from edgeship.data import Array, Batch
from edgeship.deploy.contract.contract import ContractArtifact, ContractOutput
from edgeship.errors import CheckError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

VERSION, KEY = "model_version", "row_key"
LONGEST_NAME = 63  # bytes of a column in PostgreSQL
ColumnKind = Literal["text", "whole", "real", "reals"]
TYPES = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64(), "reals": pa.list_(pa.float32())}


@dataclass(frozen=True)
class TableColumn:
    """A column of the table of predictions."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True)
class OutputColumns:
    """What becomes of an output of the model; `tensor` is its name in the artifact's file."""

    item: ContractOutput
    tensor: str
    temperature: float | None

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """The columns that it fills."""
        name, labels = self.item.name, self.item.labels
        if self.is_choice:
            label: ColumnKind = "text" if labels else "whole"
            return TableColumn(f"{name}_label", label), TableColumn(f"{name}_score", "real")
        return (TableColumn(name, "real" if self.size == 1 else "reals"),)

    @property
    def size(self) -> int | None:
        """Numbers a sample; None where that is not fixed."""
        sizes = self.item.shape[1:]
        return None if None in sizes else math.prod(size or 1 for size in sizes)

    @property
    def is_choice(self) -> bool:
        """Whether its scores choose a class: of several, or between two labels by a threshold."""
        if self.size == 1:
            return len(self.item.labels or ()) == 2 and self.item.threshold is not None
        row = len(self.item.shape) == 2 and self.size is not None
        return row and (
            self.item.activation == "softmax" or (bool(self.item.labels) and self.item.activation != "sigmoid")
        )

    def fill(self, values: Array) -> dict[str, Any]:
        """Arrow arrays by column, of the answers (n, ...), dequantized. Raises CheckError where they have no row a sample."""
        if not values.ndim or (self.size is not None and values[:1].size != self.size):
            raise CheckError(
                f"output '{printable(self.item.name)}' has the shape {values.shape}, not {self.item.shape}"
            )
        flat = values.reshape(len(values), -1)
        names = [column.name for column in self.columns]
        if self.is_choice:
            return dict(zip(names, self._choose(flat), strict=True))
        if self.size == 1:
            return {names[0]: pa.array(flat[:, 0].astype(np.float64))}
        ends = np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]
        return {names[0]: pa.ListArray.from_arrays(pa.array(ends), pa.array(flat.reshape(-1).astype(np.float32)))}

    def _choose(self, scores: Array) -> tuple[Any, Any]:
        lowest = -np.inf if self.item.threshold is None else np.float32(self.item.threshold)
        if scores.shape[1] == 1:
            best, score = (scores[:, 0] >= lowest).astype(np.int64), scores[:, 0]
            below = np.zeros(len(scores), bool)
        else:
            scores = _calibrate(scores, self.temperature, self.item.activation) if self.temperature else scores
            best = scores.argmax(1)
            score = np.take_along_axis(scores, best[:, None], 1)[:, 0]
            below = score < lowest
        labels = self.item.labels
        places = pa.array(best, pa.int64(), mask=below)  # below the threshold: no answer
        chosen = pa.DictionaryArray.from_arrays(places, pa.array(labels)).cast(pa.string()) if labels else places
        return chosen, pa.array(score.astype(np.float64))


def _calibrate(scores: Array, temperature: float, activation: str) -> Array:
    """softmax(z / temperature) of logits z, or of the logarithms of probabilities, float32 (n, classes)."""
    values = scores.astype(np.float64)
    greatest = values.max(1, keepdims=True)
    with np.errstate(divide="ignore"):
        below = np.log(values / greatest) if activation == "softmax" else values - greatest
    shares = np.exp(below / temperature)
    return np.asarray((shares / shares.sum(1, keepdims=True)).astype(np.float32))


def describe_outputs(outputs: Sequence[ContractOutput], artifact: ContractArtifact) -> tuple[OutputColumns, ...]:
    """What becomes of each output of an artifact. Raises InputError where two columns would have one name."""
    by_name = {item.name: item for item in outputs}
    found = tuple(OutputColumns(by_name[item.output], item.tensor, item.temperature) for item in artifact.outputs)
    names = [VERSION, KEY, *(column.name for item in found for column in item.columns)]
    if len({name.lower() for name in names}) < len(names):  # SQLite knows no case
        raise InputError(f"two columns of the table would be called the same: {', '.join(names)}")
    if long := next((name for name in names if len(name.encode()) > LONGEST_NAME), None):
        raise InputError(f"the column {long} would have a name of more than {LONGEST_NAME} bytes")
    return found


def fill_columns(outputs: Sequence[OutputColumns], keys: Any, answers: Batch) -> Any:
    """The rows of the table but for the version, as a record batch: keys and columns of outputs."""
    columns = {KEY: keys}
    for item in outputs:
        columns |= item.fill(answers[item.tensor])
    return pa.record_batch(list(columns.values()), names=list(columns))

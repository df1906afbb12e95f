"""What a table holds: its columns, their kinds, and what was counted while they were read."""

from __future__ import annotations

from typing import Literal

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable, shorten_text

Kind = Literal["number", "category", "text", "boolean", "date", "ignored"]
Task = Literal["classification", "regression"]
MOST_DISTINCT = 1000  # values that are counted one by one; a column of more is no category
MOST_CLASSES = 20  # different whole numbers that a label may have and still be one of classes
FLOAT32_MOST = 3.4028234e38
SHOWN = 30  # columns in a message


@dataclass(frozen=True)
class NumberStatistics:
    """Of the finite values: least, greatest, mean, standard deviation (of the population) and median.

    The median is that of every k-th value where there are more than 100,000. `whole`: no value has a fraction;
    `infinite`: how many values are plus or minus infinity.
    """

    minimum: float
    maximum: float
    mean: float
    deviation: float
    median: float
    whole: bool
    infinite: int = 0

    @property
    def fits_model(self) -> bool:
        """Whether all values are numbers that models compute in: float32 makes infinity of those beyond 3.4e38."""
        return not self.infinite and max(abs(self.minimum), abs(self.maximum)) <= FLOAT32_MOST


@dataclass(frozen=True)
class ColumnSchema:
    """A column. `distinct` values, None where there are more than 1,000; `missing` values of all rows.

    `categories` of a category or boolean, the most frequent first, with their `counts`; `statistics` of a number;
    `zoned`: dates have a time zone, and come as UTC. A column is `ignored` where all is missing or data.toml says so.
    """

    name: str
    kind: Kind
    missing: int
    distinct: int | None = None
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    statistics: NumberStatistics | None = None
    zoned: bool = False


@dataclass(frozen=True)
class TableSchema:
    """A table's columns in the order of its file, and how it is read.

    `delimiter` of a CSV; `missing_values`: spellings that count as missing beside the empty field and the usual ones
    (NA, NaN, null, ...); `stated_task`: what data.toml says is learned, empty where it says nothing.
    """

    rows: int
    columns: tuple[ColumnSchema, ...]
    delimiter: str = ","
    missing_values: tuple[str, ...] = ()
    stated_task: Task | Literal[""] = ""

    def column(self, name: str) -> ColumnSchema:
        """The column of that name. Raises InputError, which lists the columns."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [printable(shorten_text(column.name, 60)) for column in self.columns]
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        raise InputError(
            f"no column '{printable(shorten_text(name, 60))}'; there are: {', '.join(names[:SHOWN])}{more}"
        )

    def find_task(self, label: str) -> Task:
        """What is learned where `label` is the label: what data.toml states, else by its kind.

        Categories, truth values and at most 20 different whole numbers are classes; other numbers are not. Raises
        InputError for a label of another kind.
        """
        column = self.column(label)
        name = printable(label)
        if column.missing == self.rows:
            raise InputError(f"label '{name}': every value is missing")
        if column.kind not in ("number", "category", "boolean"):
            values = f"more than {MOST_DISTINCT:,}" if column.distinct is None else f"{column.distinct:,}"
            raise InputError(
                f"label '{name}' is {'a date' if column.kind == 'date' else column.kind}: {values} different values in "
                f"{self.rows - column.missing:,} rows; a label has classes, or is a number (data.toml can say which)"
            )
        few = column.distinct is not None and column.distinct <= MOST_CLASSES
        whole = column.statistics is not None and column.statistics.whole
        if self.stated_task == "regression" and column.kind != "number":
            raise InputError(f"label '{name}' is {column.kind}, and data.toml states task = \"regression\"")
        if self.stated_task:
            return self.stated_task
        return "classification" if column.kind != "number" or (few and whole) else "regression"

"""A metric of the user's own: `package.module:function`, a function of labels and outputs.

It is code that the configuration names, which needs the permission that data of a module needs (`edgeship.settings.permissions`);
like that it runs in this process. The function says by its attribute `higher_is_better` which way is better.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.metric import Form, Statistic, SumStatistic, TaskMetric, ratio_of_sums
from edgeship.errors import InputError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.processes.working_folder import make_importable

Array = np.ndarray[Any, Any]
Function = Callable[[Array, Array], Any]


@dataclass(frozen=True)
class ResampledStatistic:
    """The one number that a function makes of all samples: a resample repeats them, so counts are whole numbers."""

    name: str
    function: Function
    labels: Array
    scored: Array

    def __call__(self, counts: Array) -> Array:
        """See `Statistic`. Raises InputError where the function fails; NaN is a figure that some resample does not have."""
        return np.array([self._figure(np.repeat(np.arange(len(row)), row.astype(np.int64))) for row in counts])

    def _figure(self, rows: Array) -> float:
        value = np.asarray(call(self.name, self.function, self.labels[rows], self.scored[rows]))
        if value.shape or value.dtype.kind not in "biuf":
            raise InputError(
                f"metric '{self.name}' gives one number for all samples, and for some of them {value!r:.80}"
            )
        return float(value)

    def group(self, groups: Array) -> Statistic:
        """The same: a function that takes samples knows nothing of groups of them."""
        return self


def find_own_metric(name: str) -> TaskMetric:
    """The metric of `package.module:function`, of an installed module or one in the working folder.

    Raises InputError where it cannot be imported, is no function, or does not say which way is better.
    """
    module, _, attribute = name.partition(":")
    try:
        with make_importable(module):
            function = getattr(importlib.import_module(module), attribute)
    except InputError:
        raise
    except Exception as error:  # a user's module can fail in any way
        raise InputError(f"metric '{name}': {brief_message(error, 160)} ({type(error).__name__})") from error
    if not callable(function):
        raise InputError(f"metric '{name}': it is {type(function).__name__}, and no function of (labels, outputs)")
    higher = getattr(function, "higher_is_better", None)
    if not isinstance(higher, bool):
        raise InputError(
            f"metric '{name}' does not say which way is better: add a line {attribute}.higher_is_better = True "
            "(or False) below the function"
        )
    return TaskMetric(name, higher, False, {Form.OWN: lambda *arrays: _prepare(name, function, *arrays)}, Form.OWN)


def call(name: str, function: Function, labels: Array, outputs: Array) -> Any:
    """What the function gives for arrays that it cannot change. Raises InputError for whatever it raises."""
    views = [array.view() for array in (labels, outputs)]
    for view in views:
        view.flags.writeable = False
    try:
        with make_importable(name.partition(":")[0]), np.errstate(all="ignore"):
            return function(*views)
    except Exception as error:
        raise InputError(f"metric '{name}' raises {type(error).__name__}: {brief_message(error, 160)}") from error


def _prepare(name: str, function: Function, labels: Array, outputs: Array, _: bool) -> Statistic:
    result = call(name, function, labels, outputs)
    try:
        values = np.asarray(result)
    except ValueError:  # rows of different lengths
        values = np.asarray(None)
    if values.dtype.kind not in "biuf" or values.shape not in ((), (len(outputs),)):
        what = f"an array of shape {values.shape}" if values.shape else type(result).__name__
        raise InputError(
            f"metric '{name}' gives {what} for {len(outputs)} samples: it must give one number for each sample, "
            f"shape ({len(outputs)},), or one for all of them"
        )
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(
            f"metric '{name}' gives NaN or infinity" + (f" for {bad} of {len(outputs)} samples" if values.shape else "")
        )
    if not values.shape:
        return ResampledStatistic(name, function, labels, outputs)
    return SumStatistic(np.stack([values.astype(np.float64), np.ones(len(values))], axis=1), ratio_of_sums)

"""The metrics of tasks. This is what the rest of the room takes of them."""

from edgeship.benchmarks.compare.metrics.catalogue import METRICS, find_metric
from edgeship.benchmarks.compare.metrics.choice import BINARY, RARE, choose_metric
from edgeship.benchmarks.compare.metrics.decisions import (
    are_probabilities,
    predicted_classes,
    sigmoid,
    softmax,
    threshold_of,
    within_0_and_1,
)
from edgeship.benchmarks.compare.metrics.errors import OF_VALUES
from edgeship.benchmarks.compare.metrics.metric import Form, Statistic, SumStatistic, TaskMetric

__all__ = [
    "BINARY",
    "METRICS",
    "OF_VALUES",
    "RARE",
    "Form",
    "Statistic",
    "SumStatistic",
    "TaskMetric",
    "are_probabilities",
    "choose_metric",
    "find_metric",
    "predicted_classes",
    "sigmoid",
    "softmax",
    "threshold_of",
    "within_0_and_1",
]

"""All metrics by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgeship.benchmarks.compare.metrics import answers, boxes, errors, ranking, sequences
from edgeship.benchmarks.compare.metrics.metric import TaskMetric
from edgeship.benchmarks.compare.metrics.own import find_own_metric
from edgeship.errors import unknown_name_error
from edgeship.untrusted import is_code

METRICS: Mapping[str, TaskMetric] = {
    metric.name: metric
    for module in (answers, errors, ranking, boxes, sequences)
    for metric in module.METRICS
}  # fmt: skip


def find_metric(name: str, where: str = "") -> TaskMetric:
    """The metric of that name: a built-in one, `ndcg@` with a number, or `package.module:function`, which is imported.

    Raises InputError that lists the known ones, or says why a function is none.
    """
    if name in METRICS:
        return METRICS[name]
    if match := re.fullmatch(r"ndcg@([1-9]\d{0,5})", name):
        return ranking.ndcg(int(match[1]))
    if is_code(name):
        return find_own_metric(name)
    raise unknown_name_error("metric", name, [*METRICS, "ndcg@10", "package.module:function"], where)

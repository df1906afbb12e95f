"""Limits that do not fit the model or the metrics are refused before any work."""

import contextlib

import pytest

from edgeship.errors import InputError
from edgeship.pipeline import data_checks
from edgeship.settings.config import Config
from edgeship.settings.sections import Benchmark


@pytest.mark.parametrize(
    ("floor", "benchmark", "told"),
    [
        ({"f1": 0.5}, {"metric": "average_precision"}, "is for f1, and the metric in .benchmark. is average_precision"),
        ({"f2": 0.5}, {}, "unknown metric 'f2'"),
        ({"f1": "much"}, {}, "must be a number of at least 0"),
        ({}, {}, "or such numbers by metric"),
        ({"f1": 0.5}, {"metric": "top1", "metrics": {"note": "f1"}}, None),
        ({"f1": 0.5}, {}, None),
        (0.5, {"metric": "f1"}, None),
    ],
)
def test_a_floor_of_another_metric_than_the_named_one_is_refused(floor, benchmark, told):
    settings = Config(benchmark=Benchmark(**benchmark), budget={"min_server_accuracy": floor})
    with pytest.raises(InputError, match=told) if told else contextlib.nullcontext():
        data_checks.check_settings(settings)

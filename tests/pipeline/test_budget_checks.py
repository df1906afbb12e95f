"""Limits that do not fit the model or the metrics are refused before any work."""

import contextlib

import numpy as np
import pytest

from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.pipeline import data_checks
from edgeship.pipeline.evaluation.reference_outputs import check_agreement_limit
from edgeship.settings.config import Config
from edgeship.settings.sections import Benchmark
from edgeship.types import TensorSpec


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


@pytest.mark.parametrize("table", [{"min_agreement": 0.9}, {"tflite/int8": {"min_agreement": 0.9}}])
@pytest.mark.parametrize(("values", "metric"), [(True, None), (False, None), (False, "log_loss")])
def test_same_answers_are_not_asked_of_what_labels_call_values(table, values, metric, tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(200, 3)).astype(np.float32) if values else rng.integers(0, 3, 200)
    np.savez(tmp_path / "evaluation.npz", x=np.zeros((200, 4), np.float32), y=labels)
    data = RepresentativeDataset(tmp_path / "evaluation.npz")
    model = data_checks.Interface((TensorSpec("x", (None, 4), "float32"),), (TensorSpec("out", (None, 3), "float32"),))
    settings = Config(benchmark=Benchmark(metric=metric), budget=table)
    with pytest.raises(InputError, match="no output is a class or a decision") if values else contextlib.nullcontext():
        data_checks.check_evaluation(data, model, settings, data_checks.check_settings(settings))


def test_same_answers_are_not_asked_of_outputs_that_are_none():
    settings = Config(budget={"accuracy": "none", "min_agreement": 0.9})
    budget = data_checks.check_settings(settings)
    speeds, classes = np.linspace(0, 9, 20)[:, None], np.eye(3)[np.arange(20) % 3]
    check_agreement_limit({"speed": speeds, "class": classes}, budget, settings)
    with pytest.raises(InputError, match="use max_abs_error or min_sqnr_db"):
        check_agreement_limit({"speed": speeds}, budget, settings)

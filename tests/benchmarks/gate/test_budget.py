from typing import Any

import pytest

from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.budget_values import PRESETS, parse_bytes
from edgeship.errors import InputError


def test_presets_are_mlperfs():
    assert PRESETS == {"mlperf99.9": 0.001, "mlperf99": 0.01, "mlperf98": 0.02, "mlperf95": 0.05, "mlperf93": 0.07}


def test_margin_is_relative_by_default():
    assert Budget().margin(0.9, True) == pytest.approx(0.009)
    assert Budget.parse({"accuracy": "mlperf95"}).margin(0.8, True) == pytest.approx(0.04)
    assert Budget().margin(20.0, False) == pytest.approx(0.2)


def test_points_replace_the_default_and_tighten_a_preset():
    assert Budget.parse({"max_drop": 2}).margin(0.9, True) == pytest.approx(0.02)
    assert Budget.parse({"max_drop": 2}).margin(5.0, False) == 2
    assert Budget.parse({"max_drop": 2, "accuracy": "mlperf99"}).margin(0.9, True) == pytest.approx(0.009)


def test_accuracy_none_needs_another_judge():
    assert Budget.parse({"accuracy": "none", "min_agreement": 0.98}).margin(0.9, True) is None
    assert not Budget.parse({"accuracy": "none", "max_abs_error": 0.1}).wants_accuracy
    assert Budget.parse({"accuracy": "none", "max_drop": 1}).margin(0.9, True) == pytest.approx(0.01)
    with pytest.raises(InputError, match="leaves nothing to judge"):
        Budget.parse({"accuracy": "none"})
    with pytest.raises(InputError, match=r'\[budget."tflite/int8"\].*leaves nothing'):
        Budget.parse({"tflite/int8": {"accuracy": "none"}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [(1500, 1500), ("1.5 MB", 1_500_000), ("900KB", 900_000), ("2 MiB", 2 << 20), ("12", 12), ("0.5 gb", 500_000_000)],
)
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy", "mlperf90"), ("accuracy", 0.99), ("max_drop", -1), ("max_drop", "1"), ("max_drop", True),
        ("max_drop", float("nan")), ("max_drop", float("inf")), ("min_agreement", 98), ("min_agreement", -0.1),
        ("max_size_disk", "big"), ("max_size_disk", 0), ("max_size_wire", "1 XB"), ("max_size_wire", 1.5),
        ("max_latency_ratio", 0), ("max_peak_memory", "-1 MB"), ("required", "tflite/int8"), ("required", ["int8"]),
        ("required", ["tflite/*"]), ("optional", [3]), ("max_class_drop", 101), ("max_sure_flips", -1), ("min_sqnr_db", "high"),
    ],
)  # fmt: skip
def test_wrong_values_name_their_key(key, value):
    with pytest.raises(InputError, match=rf"edgeship.toml \[budget\]: {key} = "):
        Budget.parse({key: value})


def test_a_budget_that_is_no_table_is_refused():
    no_table: Any = 3
    with pytest.raises(InputError, match=r"x.toml \[budget\]: 3 must be a table"):
        Budget.parse(no_table, "x.toml")


def test_unknown_keys_list_the_known_ones():
    with pytest.raises(InputError, match=r"unknown budget key 'max_size'.*max_size_disk, max_size_wire"):
        Budget.parse({"max_size": 3})
    with pytest.raises(InputError, match=r'unknown budget key \'max_sise_disk\' in x.toml \[budget."tflite/int8"\]'):
        Budget.parse({"tflite/int8": {"max_sise_disk": 3}}, "x.toml")
    with pytest.raises(InputError, match=r"unknown format 'tflit'.*tflite"):
        Budget.parse({"tflit/int8": {"max_size_disk": 3}})
    with pytest.raises(InputError, match="unknown budget key 'required'"):
        Budget.parse({"tflite/int8": {"required": ["tflite/int8"]}})


def test_overrides_apply_to_what_they_match():
    budget = Budget.parse(
        {"max_size_disk": "1 MB", "*/int8": {"max_size_disk": 300}, "tflite/int8": {"accuracy": "mlperf98"}}
    )
    assert budget.for_artifact("tflite/float32").max_size_disk == 1_000_000
    assert budget.for_artifact("onnx/int8").max_size_disk == 300
    assert budget.for_artifact("onnx/int8").accuracy is None
    assert (budget.for_artifact("tflite/int8").max_size_disk, budget.for_artifact("tflite/int8").accuracy) == (
        300,
        "mlperf98",
    )


def test_one_artifact_that_wants_labels_is_enough():
    budget = Budget.parse({"accuracy": "none", "min_agreement": 0.9, "tflite/int8": {"accuracy": "mlperf99"}})
    assert budget.wants_accuracy
    assert not budget.for_artifact("onnx/int8").wants_accuracy


def test_a_budget_with_other_limits_asks_for_no_labels():
    for limit in ({"min_agreement": 0.98}, {"max_abs_error": 0.1}, {"min_sqnr_db": 20}):
        assert not Budget.parse(limit).wants_accuracy
        assert Budget.parse(limit).judges_accuracy, "where there are labels"
        assert Budget.parse({**limit, "accuracy": "mlperf98"}).wants_accuracy
        assert Budget.parse({**limit, "max_drop": 1}).wants_accuracy
        assert Budget.parse({"tflite/int8": limit}).wants_accuracy, "of the other artifacts nothing else is known"
    for limit in ({}, {"max_size_disk": 5}, {"min_server_accuracy": 0.5}, {"max_class_drop": 5}):
        assert Budget.parse(limit).wants_accuracy


def test_noise_floors_go_with_recipes_and_not_with_models_trained_again():
    assert Budget().sqnr_floor("float32") == 60
    assert Budget().sqnr_floor("static_w8a8") == 10
    assert Budget().sqnr_floor(None) is None
    assert Budget.parse({"min_sqnr_db": 25}).sqnr_floor(None) == 25
    assert Budget.parse({"min_sqnr_db": 25}).sqnr_floor("static_w8a8") == 25
    assert Budget.parse({"min_sqnr_db": 25}).sqnr_floor("float32") == 60, "one for all artifacts lowers none"
    own = Budget.parse({"min_sqnr_db": 25, "tflite/int8": {"min_sqnr_db": 4}})
    assert own.for_artifact("tflite/int8").sqnr_floor("static_w8a8") == 4
    assert own.for_artifact("onnx/int8").sqnr_floor("static_w8a8") == 25
    assert (Budget().sure_flips("static_w8a8"), Budget().sure_flips(None)) == (1, None)
    assert Budget.parse({"max_sure_flips": 3}).sure_flips(None) == 3

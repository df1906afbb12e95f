"""Profiles of data: which bins they choose, and that everything that was counted is in them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edgeship.deploy.contract.contract import Contract, ContractOutput, RawGoldens
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.steps import HashWords
from edgeship.errors import InputError
from edgeship.monitoring.profile import classes
from edgeship.monitoring.profile.build import Evaluation, build_profile, true_classes
from edgeship.monitoring.profile.descriptors import choose_every
from edgeship.monitoring.profile.edges import count_values, latency_edges, quantile_edges
from edgeship.monitoring.profile.profile import SERVER, Profile, parse_profile, profile_json

Array = np.ndarray[Any, Any]
N = 200


def _numbers(values: Any) -> Array:
    return np.asarray(values, np.float32)


def _build(
    inputs: dict[str, Array],
    outputs: dict[str, Array],
    labels: dict[str, Array] | None = None,
    contract: Contract | None = None,
) -> Profile:
    def batches() -> Iterator[dict[str, Array]]:
        for start in range(0, N, 64):
            yield {name: array[start : start + 64] for name, array in inputs.items()}

    evaluation = Evaluation(
        data="a" * 64,
        server_model="b" * 64,
        artifacts={"tflite/int8": "c" * 64},
        batches=batches,
        server=outputs,
        answers={"tflite/int8": outputs},
        labels=labels or {},
    )
    return build_profile(evaluation, contract)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def test_a_profile_counts_every_sample_of_every_tensor_and_is_read_back() -> None:
    random = np.random.default_rng(0)
    image = random.random((N, 28, 28, 3), np.float32)
    row = random.normal(size=(N, 30)).astype(np.float32)
    probs = _softmax(random.normal(size=(N, 5)) * 3)
    length = random.normal(size=(N, 1)).astype(np.float32)
    profile = _build({"image": image, "row": row}, {"probs": probs, "length": length}, {"probs": probs.argmax(1)})
    assert parse_profile(profile_json(profile)) == profile
    for item in profile.inputs:
        for descriptor in item.descriptors:
            assert sum(descriptor.counts) == N
    assert [len(item.descriptors) for item in profile.inputs] == [5, 5]
    for answers in profile.answers.values():
        counted = answers["probs"]
        assert sum(counted.joint[1::2]) == sum(counted.margin) == sum(counted.entropy) == N
        assert counted.right == counted.joint
        assert [sum(counts) for counts in answers["length"].values] == [N]
    assert profile.answers.keys() == {SERVER, "tflite/int8"}
    assert profile.first_classes is not None
    assert profile.first_classes.name == "probs"


@pytest.mark.parametrize(
    ("outputs", "labels", "kind"),
    [
        (_numbers([[0.2, 0.8]] * N), None, "probabilities"),
        (_numbers([[-3.0, 4.0]] * N), np.arange(N) % 2, "logits"),
        (_numbers([[-3.0, 4.0]] * N), np.eye(2)[np.arange(N) % 2], "logits"),
        (_numbers([[-3.0, 4.0]] * N), None, None),
        (_numbers([[0.7]] * N), np.arange(N) % 2, "score"),
        (_numbers([0.7] * N), np.arange(N) % 2, "score"),
        (_numbers([[2.5]] * N), _numbers(np.arange(N) % 2), "logit"),
        (_numbers([[2.5]] * N), _numbers(np.arange(N)), None),
        (np.ones((N, 4, 6), np.float32), None, None),
        (np.full((N, 3), np.nan, np.float32), None, None),
    ],
)
def test_an_output_is_classes_where_that_is_known(outputs: Array, labels: Array | None, kind: str | None) -> None:
    inputs = {"x": np.zeros((N, 3), np.float32)}
    profile = _build(inputs, {"y": outputs}, {} if labels is None else {"y": labels})
    output = profile.outputs[0]
    assert (output.scores if output.classes else None) == kind
    counted = profile.answers[SERVER]["y"]
    assert sum(counted.joint[1::2]) == (N if kind else 0)
    assert all(sum(counts) == N for counts in counted.values)


def test_what_the_contract_says_of_an_output_counts() -> None:
    class_names = ContractOutput("y", (1, 3), "none", ("a", "b", "c"))
    evaluation = Evaluation(
        "a" * 64, "b" * 64, {}, lambda: [{"x": np.zeros((4, 2))}], {"y": _numbers([[5, 1, 9]] * 4)}, {}, {}
    )
    contract = Contract("m", "b" * 64, (), (class_names,), (), RawGoldens(reason="none"))
    assert build_profile(evaluation, contract).outputs[0].scores == "logits"
    sigmoids = Contract(
        "m", "b" * 64, (), (ContractOutput("y", (1, 3), "sigmoid", ("a", "b", "c")),), (), RawGoldens(reason="none")
    )
    assert build_profile(evaluation, sigmoids).outputs[0].classes == 0  # several may hold at once


def test_texts_are_not_counted_and_it_is_said() -> None:
    profile = _build({"text": np.array(["a"] * N)}, {"y": np.zeros((N, 1), np.float32)})
    assert profile.inputs == ()
    assert "texts" in profile.not_counted["text"]


def test_of_a_text_s_ids_it_is_counted_how_many_places_are_left() -> None:
    raw, steps = RawForm("text", "text"), (HashWords(8, 50),)
    note = ContractInput("note", "text", raw, steps, TensorForm((1, 8), "int32"))
    output = ContractOutput("probs", (1, 3))
    contract = Contract("notes", "b" * 64, (note,), (output,), (), RawGoldens(reason="none"))
    words = np.arange(N) % 9
    ids = np.where(np.arange(8) < words[:, None], 7, 0).astype(np.int32)
    (item,) = _build({"note": ids}, {"probs": np.eye(3, dtype=np.float32)[words % 3]}, contract=contract).inputs
    (low,) = (descriptor for descriptor in item.descriptors if descriptor.name == "low")
    assert item.low == 0 and not item.columns and sum(low.counts) == N
    np.testing.assert_array_equal(low.counts, count_values((8 - words) / 8, low.edges))


def test_large_answers_are_described_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    probs = _softmax(np.random.default_rng(0).normal(size=(N, 5)) * 3)
    whole = _build({"x": np.zeros((N, 3))}, {"y": probs})
    monkeypatch.setattr(classes, "BLOCK", 37)
    assert _build({"x": np.zeros((N, 3))}, {"y": probs}) == whole


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (np.zeros((N, 3), complex), "complex128"),
        (np.zeros((N, 3), bool), ""),
        (np.zeros((N, 0)), ""),
        (np.zeros(N), ""),
    ],
)
def test_every_kind_of_tensor_has_a_profile(tensor: Array, kind: str) -> None:
    profile = _build({"x": tensor}, {"y": tensor})
    assert [kind in reason for reason in profile.not_counted.values()] == [True] * (2 if kind else 0)
    assert parse_profile(profile_json(profile)) == profile


def test_edges_lie_between_values_that_occur() -> None:
    random = np.random.default_rng(1)
    for values in (
        random.normal(size=1000),
        random.integers(0, 7, 1000),
        random.exponential(size=1000) * 1e-7,
        1e5 + random.random(50),
    ):
        edges = quantile_edges(values, 16)
        assert 1 <= len(edges) <= 15
        assert not {*edges} & {*values.tolist()}
        assert min(count_values(values, edges)[:-1]) > 0
    assert quantile_edges(random.integers(0, 7, 1000), 16) == (0.5, 1.5, 2.5, 3.5, 4.5, 5.5)


def test_a_value_that_never_changes_has_a_bin_of_its_own() -> None:
    edges = quantile_edges(np.full(9, 4.0), 16)
    assert count_values(np.array([4.0, 3.9, 4.1, np.nan, np.inf]), edges) == (1, 1, 2, 1)
    assert quantile_edges(np.array([np.nan, np.inf]), 16) == ()


def test_every_quantile_of_times_is_within_a_tenth() -> None:
    edges = latency_edges()
    assert len(edges) == 136
    assert all(1.099 < after / before < 1.101 for before, after in pairwise(edges))


@pytest.mark.parametrize("size", [1, 64, 784, 3072, 16_000, 150_528])
def test_counting_costs_the_same_for_every_size(size: int) -> None:
    assert len(range(0, size, choose_every(size))) <= 512
    assert np.gcd(size, choose_every(size)) == 1


def test_labels_that_are_no_classes_are_none() -> None:
    assert true_classes(np.array([0, 1, -1]), 3) is None
    assert true_classes(np.array([0, 1, 3]), 3) is None
    assert true_classes(np.array([0.0, 1.0]), 3) is None
    assert true_classes(np.array([0.0, 0.5]), 1) is None


def test_a_profile_of_another_schema_or_with_edges_that_fall_is_refused() -> None:
    content = profile_json(_build({"x": np.zeros((N, 3))}, {"y": np.zeros((N, 1), np.float32)}))
    for change, said in (
        ({"schema": 2}, "schema 2"),
        ({"kind": "contract"}, "no profile"),
        ({"latency": [2.0, 1.0]}, "ascend"),
        ({"samples": 0}, "samples"),
    ):
        with pytest.raises(InputError, match=said):
            parse_profile({**content, **change})

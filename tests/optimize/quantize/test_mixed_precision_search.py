"""The search for the layers that must stay in higher precision, with made-up gates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeship.optimize.quantize.mixed_precision_search import HighPrecisionLayers, most_layers, search

Gate = Callable[[HighPrecisionLayers], bool]


def needs(*layers: int) -> Gate:
    return lambda kept: set(layers) <= set(kept)


def run(order: list[int], gate: Gate, *, costs: list[float] | None = None, guesses: list[HighPrecisionLayers] = []):  # noqa: B006
    return search(sorted(order), lambda: order, costs or [1.0] * len(order), gate, gate, guesses)


def refuse() -> list[int]:
    raise AssertionError("no ranks are needed")


def test_a_plain_model_that_passes_keeps_nothing() -> None:
    result = search([0, 1, 2], refuse, [1.0] * 3, lambda _: True, lambda _: True)
    assert result.kept == ()
    assert [step.done for step in result.steps] == ["plain"]


def test_neighbours_of_which_neither_helps_alone_are_both_found() -> None:
    assert run([3, 4, 0, 1, 2], needs(3, 4)).kept == (3, 4)


def test_what_was_added_in_vain_is_taken_back() -> None:
    result = run([0, 1, 2, 3, 4, 5, 6], needs(1, 3))
    assert result.kept == (1, 3)
    assert [step.layer for step in result.steps if step.done == "take back" and step.passed] == [0, 2]


def test_the_dearest_of_two_that_would_do_is_taken_back() -> None:
    def gate(layers: HighPrecisionLayers) -> bool:
        return 4 in layers and (0 in layers or 1 in layers)

    assert run([0, 1, 4, 2, 3], gate, costs=[1, 100, 1, 1, 1]).kept == (0, 4)
    assert run([0, 1, 4, 2, 3], gate, costs=[100, 1, 1, 1, 1]).kept == (1, 4)


def test_nothing_helps() -> None:
    result = run([0, 1], lambda _: False)
    assert result.kept is None
    assert "every layer" in result.reason
    assert [step.done for step in result.steps] == ["plain", "all"]


def test_no_more_layers_than_half() -> None:
    result = run([0, 1, 2, 3], needs(0, 1, 2))
    assert result.kept is None
    assert "2 most sensitive" in result.reason
    assert [most_layers(count) for count in range(8)] == [0, 0, 1, 2, 2, 3, 3, 4]


def test_a_guess_that_passes_needs_no_ranks_and_what_it_has_too_much_is_taken_back() -> None:
    result = search([0, 1, 2, 3, 4, 5], refuse, [1.0] * 6, needs(1), needs(1), [(), (0, 3), (1, 2)])
    assert result.kept == (1,)
    assert [step.done for step in result.steps] == ["plain", "guess", "guess", "take back", "take back"]


def test_where_no_guess_passes_the_search_is_as_without() -> None:
    assert run([3, 2, 1, 0], needs(3), guesses=[(0,), (0, 1, 2)]).kept == (3,)


@pytest.mark.parametrize("optimist", [True, False])
def test_the_quick_look_saves_confirmations_and_decides_nothing(optimist: bool) -> None:
    questions: list[HighPrecisionLayers] = []

    def confirm(layers: HighPrecisionLayers) -> bool:
        questions.append(layers)
        return needs(0, 1)(layers)

    ranks = [0, 1, 2]
    result = search(ranks, lambda: ranks, [1.0] * 3, lambda kept: optimist or needs(0, 1)(kept), confirm)
    assert result.kept == (0, 1)
    assert ((0,) in questions) == optimist

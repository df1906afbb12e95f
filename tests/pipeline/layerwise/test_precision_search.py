"""The order in which a search tries layers, and what it settles on where nothing is decided; with made-up gates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from edgeship.bundle.figures.comparisons import CandidateFigures
from edgeship.bundle.verdict import Check
from edgeship.pipeline.layerwise import precision_search, trials
from edgeship.pipeline.layerwise.trials import JudgedTrial, Standing, Trial
from edgeship.types import Verdict


@pytest.mark.parametrize(
    ("figures", "worth"),
    [
        (CandidateFigures(12.5), 12.5),
        (CandidateFigures(), float("-inf")),  # it gives no numbers
        (CandidateFigures(reason="no runtime loads it", runs=False), float("-inf")),
        (CandidateFigures(reason="no operator can be quantized"), float("inf")),
    ],
)
def test_what_gives_no_numbers_is_the_most_sensitive(figures: CandidateFigures, worth: float) -> None:
    assert precision_search._worth(figures) == worth


@dataclass
class Layer:
    name: str
    weight_bytes: int = 4

    def is_float(self, islands: Collection[str]) -> bool:
        return self.name in islands


@dataclass
class MadeUpTrials:
    """Trials that need so many `samples` by inputs and outputs, and by layers; those left out fail. Layer 0 is float anyway."""

    samples: dict[tuple[str, tuple[int, ...]], float]
    format: str = "tflite"
    variant: Any = field(default_factory=lambda: SimpleNamespace(name="auto", io="auto"))
    others: tuple[()] = ()
    known: dict[tuple[Trial, bool], JudgedTrial] = field(default_factory=dict)

    @property
    def layerwise(self) -> Any:
        return SimpleNamespace(format=self.format, layers=[Layer(name) for name in ("scale", "a", "b", "c", "d")])

    def report(self, trial: Trial) -> Any:
        return SimpleNamespace(float_islands=("scale",))

    def judge(self, trial: Trial, *, all_samples: bool = True) -> JudgedTrial:
        needed = self.samples.get((trial.io, trial.kept))
        standing = Standing.FAILS if needed is None else Standing.UNDECIDED if needed else Standing.PASSES
        return self.known.setdefault((trial, all_samples), JudgedTrial(standing, "", needed or 0.0))


def settled(samples: dict[tuple[str, tuple[int, ...]], float], **options: Any) -> tuple[str, tuple[int, ...]] | None:
    search: Any = precision_search.MixedPrecisionSearch(MadeUpTrials(samples, **options))  # type: ignore[arg-type]
    search.__dict__["_ranks"] = [-99.0, 1.0, 2.0, 3.0, 4.0]
    choice = search._choose_undecided()
    return choice and (choice.io, choice.kept)


ALL = (1, 2, 3, 4)


def test_what_is_float_anyway_takes_no_slot_and_is_not_tried() -> None:
    made_up = MadeUpTrials({("float32", ALL): 0.0})
    search: Any = precision_search.MixedPrecisionSearch(made_up)  # type: ignore[arg-type]
    search.__dict__["_ranks"] = [-99.0, 1.0, 2.0, 3.0, 4.0]
    found = search._search("float32", Standing.PASSES)
    assert [step.kept for step in found.steps] == [(), ALL, (1,), (1, 2)]
    assert "2 most sensitive" in found.reason


def test_undecided_plain_int8_is_left_for_a_set_that_needs_far_fewer_samples() -> None:
    io = "auto"
    samples = {(io, ()): 170_000.0, (io, (1,)): 60_000.0, (io, (1, 2)): 5_000.0, (io, ALL): 3_000.0}
    assert settled(samples) == (io, (1, 2))
    assert settled({**samples, (io, ALL): 0.0}) == (io, (1, 2)), "float32 passes, and may not be kept as a whole"
    assert settled({**samples, (io, ()): 5_500.0}) == (io, ()), "a little more data is cheaper than layers in float"
    assert settled({(io, ()): 9_000.0}) == (io, ())
    assert settled({}) is None


def test_float_inputs_are_taken_where_they_need_far_fewer_samples() -> None:
    samples = {("auto", ()): 60_000.0, ("auto", ALL): 40_000.0, ("float32", ALL): 2_000.0}
    assert settled({**samples, ("float32", (1,)): 3_000.0}) == ("float32", (1,))
    assert settled({**samples, ("float32", ()): 50_000.0, ("float32", ALL): 40_000.0}) == ("auto", ())


@pytest.mark.parametrize(
    ("check", "few", "every"),
    [
        (Check("", "", "accuracy", Verdict.FAIL, 3.0, 1.0, "points"), True, True),
        (Check("", "", "accuracy", Verdict.INCONCLUSIVE, 1.2, 1.0, "points"), False, True),
        (Check("", "", "accuracy", Verdict.INCONCLUSIVE, 0.8, 1.0, "points"), False, False),
        (Check("", "", "parity", Verdict.FAIL, 9.0, 10.0, "dB"), False, True),
        (Check("", "", "parity", Verdict.FAIL, 4.0, 10.0, "dB"), True, True),
        (Check("", "", "outputs", Verdict.FAIL, reason="NaN"), True, True),
    ],
)
def test_a_look_at_few_samples_rules_out_only_what_surely_fails(check: Check, few: bool, every: bool) -> None:
    assert trials._rules_out(check, all_samples=False) == few
    assert trials._rules_out(check, all_samples=True) == every

"""Recipes that need training, and the pruning schedule that is derived from the steps there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.errors import InputError
from edgeship.optimize.methods.prune_schedule import derive_schedule
from edgeship.recipes.training import ClusterRecipe, DistillRecipe, PruneRecipe, QatRecipe, Recipes, Training


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.5, "half", True, None])
def test_sparsity_is_a_share_below_one(sparsity: object) -> None:
    with pytest.raises(InputError, match="must be a share of zeros from 0 up to, not including, 1"):
        PruneRecipe(sparsity)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"prune": {"sparsty": 0.5}}, "unknown key 'sparsty' in recipe, prune; known: .*sparsity"),
        ({"prune": {"sparsity": 0.7, "pattern": "2:4"}}, "2:4 means a sparsity of 0.5"),
        ({"prune": {"pattern": "2:5"}}, "neither '2:4' nor a block"),
        ({"prune": {"pattern": "0x4"}}, "neither '2:4' nor a block"),
        ({"prune": {"schedule": "linear"}}, "unknown schedule 'linear'; known: constant, polynomial"),
        ({"prune": {"frequency": 0}}, "frequency = 0 must be a whole number of steps, at least 1"),
        ({"cluster": 1}, "must be a whole number from 2 to 256"),
        ({"qat": "yes"}, "must be true, false or a table"),
        ({"distill": 0}, "above 0 and at most 1"),
    ],
)
def test_what_makes_no_sense_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipes.read(table)


@pytest.mark.parametrize("layers", ["conv*", 5, [5], {"conv": 1}, None])
@pytest.mark.parametrize("recipe", ["prune", "cluster", "qat"])
def test_layers_are_a_list_of_patterns(recipe: str, layers: object) -> None:
    """A single text would have been read as patterns of one letter each."""
    with pytest.raises(InputError, match='must be a list of patterns, as layers = \\["conv\\*"\\]'):
        Recipes.read({recipe: {"layers": layers}})


def test_one_value_stands_for_what_matters_most() -> None:
    read = Recipes.read({"prune": 0.7, "cluster": 8, "qat": True, "distill": 0.25})
    assert read == Recipes(DistillRecipe(0.25), PruneRecipe(0.7), ClusterRecipe(8), QatRecipe())
    assert not Recipes.read({"prune": None, "qat": False})


@pytest.mark.parametrize(
    "setting", [{"epochs": 0}, {"batch": 1.5}, {"learning_rate": 0}, {"samples": -1}, {"teacher": 1.5}]
)
def test_settings_of_training_are_checked(setting: dict[str, object]) -> None:
    with pytest.raises(InputError, match="must be"):
        Training.read(setting, "training")


@given(steps=st.integers(1, 5000), sparsity=st.floats(0, 0.999), schedule=st.sampled_from(["polynomial", "constant"]))
def test_a_derived_schedule_always_reaches_what_is_asked(steps: int, sparsity: float, schedule: str) -> None:
    """However few steps there are: TFMOT's default of every 100 steps prunes nothing in the first 99."""
    made = derive_schedule(PruneRecipe(sparsity, schedule), steps)
    applied = [made.sparsity_at(step) for step in range(1, steps + 1) if made.is_due(step)]
    assert applied[-1] == pytest.approx(sparsity, abs=1e-9)
    assert applied == sorted(applied)


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        (PruneRecipe(0.7, "constant", begin=0, frequency=100), 99),
        (PruneRecipe(0.7, "constant", begin=50), 40),
        (PruneRecipe(0.7, begin=1, end=400), 100),
        (PruneRecipe(0.7, begin=0, end=100, frequency=60), 200),
    ],
)
def test_a_schedule_that_cannot_reach_it_is_refused(recipe: PruneRecipe, steps: int) -> None:
    with pytest.raises(InputError, match=rf"reaches 0\.\d+ of the asked sparsity 0.7 in the {steps} steps there are"):
        derive_schedule(recipe, steps)

"""Boundaries against published tables, and plans against their files."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.monitoring.experiments.planning.boundaries import (
    exceeding_probability,
    find_boundaries,
    find_crossing,
    find_drift,
    find_drift_of,
    spend_alpha,
)
from edgeship.monitoring.experiments.planning.plan import Guardrail, make_plan, plan_schedule
from edgeship.monitoring.experiments.planning.plan_file import read_plan, render_plan, write_plan

Z975, Z80, Z90 = 1.959964, 0.841621, 1.281552


def equal(looks: int) -> list[float]:
    return [(look + 1) / looks for look in range(looks)]


@pytest.mark.parametrize(
    ("looks", "published"),
    [
        # R package gsDesign, gsDesign(k, test.type = 2, alpha = 0.025, sfu = sfLDOF)$upper$bound; rpact's "asOF" has the same
        (2, (2.9626, 1.9686)),
        (3, (3.7103, 2.5114, 1.9930)),
        # R package ldbounds, ldBounds(seq(0.2, 1, 0.2), iuse = c(1, 1), alpha = c(0.025, 0.025))
        (5, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
    ],
)
def test_boundaries_are_the_published_ones(looks, published):
    assert find_boundaries(equal(looks), 0.05) == pytest.approx(published, abs=2e-4)


def test_crossing_is_that_of_jennison_and_turnbull():
    """Group Sequential Methods (2000), tables 2.1 and 2.3 (constants) and 2.2 and 2.4 (inflation), alpha 0.05, 5 looks."""
    times = equal(5)
    brien_fleming, pocock = [2.040 / math.sqrt(time) for time in times], [2.413] * 5
    for bounds, inflation80, inflation90 in ((brien_fleming, 1.028, 1.026), (pocock, 1.229, 1.207)):
        crossing = find_crossing(times, bounds)
        assert sum(crossing.above) + sum(crossing.below) == pytest.approx(0.05, abs=1e-4)
        assert (find_drift(times, bounds, 0.8) / (Z975 + Z80)) ** 2 == pytest.approx(inflation80, abs=1.1e-3)
        assert (find_drift(times, bounds, 0.9) / (Z975 + Z90)) ** 2 == pytest.approx(inflation90, abs=1.1e-3)


@pytest.mark.parametrize("times", [[1.0], equal(20), [0.399, 0.401, 0.6, 0.6001, 1.0], [0.13, 0.7, 1.2]])
def test_all_alpha_is_spent_wherever_the_looks_fall(times):
    crossing = find_crossing(times, find_boundaries(times, 0.05))
    assert sum(crossing.above) == pytest.approx(0.025, abs=1e-7)
    assert np.cumsum(crossing.above)[0] == pytest.approx(spend_alpha(times[0], 0.05) / 2, abs=1e-9)


def test_with_one_look_all_is_as_without_boundaries():
    assert find_boundaries([1.0], 0.05) == pytest.approx([Z975], abs=1e-6)
    assert find_drift_of([1.0], [], 2.5, 0.5) == pytest.approx(2.5)
    assert exceeding_probability([1.0], [], Z975, 0.0) == pytest.approx(0.025, abs=1e-6)


def test_an_early_stop_is_moved_towards_nothing():
    times = equal(5)
    bounds = find_boundaries(times, 0.05)
    assert find_drift_of(times[:4], bounds[:3], 2.4, 0.5) < 2.4 / math.sqrt(0.8) - 0.03
    assert find_drift_of(times, bounds[:4], 2.1, 0.5) < 2.1  # earlier looks could have stopped it


@pytest.mark.parametrize("times", [[], [0.5, 0.5], [0.6, 0.4], [0.0, 1.0]])
def test_looks_that_do_not_rise_are_an_error(times):
    with pytest.raises(ValueError, match="do not rise"):
        find_boundaries(times, 0.05)


def test_plan_of_the_notes():
    """10 % against 11 %, 80 % power: 14,745 users an arm with one look, and with 5 looks a fortieth more."""
    plan = make_plan(metric="any bought", baseline=0.10, effect=0.01, users_a_week=6000)
    schedule = plan_schedule(plan)
    assert schedule.fixed_users / 2 == pytest.approx(14_749, abs=5)
    assert plan.users_control == plan.users_treatment == pytest.approx(15_113, abs=10)
    assert schedule.weeks == 6
    assert [look.users_control for look in schedule.looks] == [
        math.ceil(plan.users_control * time) for time in equal(5)
    ]
    assert schedule.looks[-1].stopped == pytest.approx(0.8, abs=1e-4)
    assert schedule.expected_users < schedule.fixed_users
    few = make_plan(metric="any bought", baseline=0.10, effect=0.20, looks=1)
    assert few.users_control == pytest.approx(59, abs=3)  # 10 % against 30 %


def test_unequal_arms_take_more_users():
    even = make_plan(metric="bought", baseline=2, effect=0.1, deviation=1)
    uneven = make_plan(metric="bought", baseline=2, effect=0.1, deviation=1, treatment_percent=10)
    assert uneven.users_treatment * 9 == pytest.approx(uneven.users_control, abs=10)
    total = uneven.users_control + uneven.users_treatment
    assert total / (even.users_control + even.users_treatment) == pytest.approx(0.25 / 0.09, rel=1e-3)


def test_each_plan_has_a_salt_of_its_own():
    first, second = (make_plan(metric="any x", baseline=0.1, effect=0.05) for _ in range(2))
    assert first.salt != second.salt


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = make_plan(
        name="e7", metric="bought / inferences", baseline=0.1, effect=0.02, deviation=0.3, better="lower", looks=3,
        guardrails=(("errors / inferences", 0.001), ("any crashed", 0.0))
    )  # fmt: skip
    file = tmp_path / "experiment.toml"
    write_plan(plan, file)
    assert read_plan(file) == plan
    assert plan.guardrails[1] == Guardrail("any crashed")
    with pytest.raises(InputError, match="is there already"):
        write_plan(plan, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("looks = 5", "looks = 0"), "looks must be a whole number >= 1"),
        (("looks = 5", "lokks = 5"), "unknown key 'lokks'"),
        (("alpha = 0.05", "alpha = 5"), "alpha must be a number"),
        (('metric = "any x"', 'metric = "x y"'), "metric 'x y' is none"),
        (('control = "control"', 'control = "treatment"'), "two arms have the same name"),
        (("effect = 0.05", "effect = nan"), "effect"),
        (("effect = 0.05", "effect ="), "not valid TOML"),
        (("schema = 1", "schema = 2"), "schema must be"),
        (('metric = "any x"', ""), "has no metric"),
        (("schema = 1", "schema = 1\n[[guardrails]]\nmetric = 'a'\nlimit = 3"), "unknown key 'limit'"),
    ],
)
def test_a_damaged_plan_is_refused_with_its_place(tmp_path, change, message):
    text = render_plan(make_plan(metric="any x", baseline=0.1, effect=0.05))
    assert change[0] in text
    file = tmp_path / "experiment.toml"
    file.write_text(text.replace(*change))
    with pytest.raises(InputError, match=r"experiment\.toml") as caught:
        read_plan(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": 1.2}, "between 0 and 1"),
        ({"baseline": 0.995}, "lead to 1.005"),
        ({"effect": 0}, "above 0"),
        ({"effect": -0.01}, "above 0"),
        ({"metric": "bought / inferences"}, "--deviation"),
        ({"metric": "bought", "deviation": float("nan")}, "--deviation must be"),
        ({"effect": 1e-9}, "plan for a greater one"),
        ({"effect": 1e-300}, "plan for a greater one"),
        ({"metric": "bought", "deviation": 1e300}, "plan for a greater one"),
        ({"looks": 0}, "--looks"),
        ({"looks": 50, "effect": 0.2}, "plan fewer looks"),
        ({"baseline": None}, "--baseline"),
        ({"name": "Übung"}, "name must be a name of lower-case letters"),
        ({"users_a_week": math.inf}, "finite"),
        ({"guardrails": (("errors", math.inf),)}, "finite"),
        ({"guardrails": (("errors", -1.0),)}, "guardrails"),
        ({"power": 0.01}, "--power above it"),
        ({"alpha": 0.6}, "at most 0.5"),
    ],
)
def test_what_cannot_be_planned_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_plan(**{"metric": "any x", "baseline": 0.1, "effect": 0.01, **settings})

"""The recipe of `auto` in a manifest: the keys that bundles have, and those of earlier versions."""

import json
from dataclasses import replace

from edgeship.bundle.mixed_precision import MixedPrecisionRecipe, MixedPrecisionStep

TRIED = MixedPrecisionStep("keep", "dense", 1, True, bytes=300, latency_ratio=1.1, latency_interval=(1.0, 1.2))
INT16 = MixedPrecisionStep("int16 instead", None, 1, False, "no kernel", taken=False)
RECIPE = MixedPrecisionRecipe("float32", ("dense",), 7, (TRIED, INT16))


def test_what_a_search_records_is_read_again():
    recorded = json.loads(json.dumps(RECIPE.record("int8")))
    assert (recorded["recipe"], recorded["io"], recorded["of"]) == ("auto", "int8", 7)
    assert MixedPrecisionRecipe.parse(recorded) == RECIPE
    assert [step.get("taken", "no such key") for step in recorded["steps"]] == ["no such key", False]


def test_a_step_is_called_by_what_was_done_to_which_layer():
    assert [step.action for step in RECIPE.steps] == ["keep dense", "int16 instead"]


def test_steps_without_interval_are_read():
    step = {"done": "plain", "layer": None, "kept": 0, "passed": False, "reason": "", "bytes": None}
    recipe = {
        "recipe": "auto",
        "io": "int8",
        "calibration_method": "min_max",
        "precision": "int16",
        "layers": [],
        "of": 3,
    }
    step |= {"latency_ratio": None, "latency_reason": "it does not run"}
    assert MixedPrecisionRecipe.parse({**recipe, "steps": [step]}).steps[0].latency_interval is None


def test_a_step_that_just_passes_is_not_called_failing() -> None:
    assert replace(TRIED, reason="too little room").verdict == "passes, with too little room for other samples"
    assert TRIED.verdict == "passes"
    assert replace(TRIED, passed=False, undecided=True).verdict == "is undecided"
    assert INT16.verdict == "does not pass"

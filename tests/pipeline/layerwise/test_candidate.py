"""Trial files are judged as the gate will judge the finished artifact, and what was found of layers is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.report import plots
from edgeship.benchmarks.report.layers import layer_plot, layer_table
from edgeship.bundle.figures.comparisons import CandidateFigures, LayerErrors, LayerSensitivity
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.manifest import Manifest
from edgeship.pipeline.layerwise import candidate
from edgeship.terminal import WIDTH
from edgeship.types import Artifact, Step, Verdict


def details(noise: float, wrong: int = 0, samples: int = 3000) -> MeasurementDetails:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, samples)
    server = np.eye(4)[labels] * 6 + random.normal(0, 0.5, (samples, 4))
    mine = server + random.normal(0, noise, server.shape)
    mine[:wrong] = np.roll(server[:wrong], 1, axis=1)
    outputs, found = {"kind": server}, {"kind": mine}
    measured = accuracy.measure({"y": labels}, outputs, found)
    return MeasurementDetails(parity=parity.compare(outputs, found), accuracy=measured)


def verdict(budget: dict[str, Any], found: MeasurementDetails, *steps: Step) -> set[str]:
    artifact = Artifact(Path("a"), "tflite", "mended", (), (), steps)
    checks = candidate.gate(artifact, "auto", found, Budget.parse(budget))
    return {f"{check.check} {check.verdict}" for check in checks if check.verdict is not Verdict.PASS}


def test_the_gate_s_own_checks_and_the_floors_of_plain_quantization() -> None:
    assert verdict({}, details(0.05)) == set()
    assert {"accuracy FAIL", "sure_flips FAIL"} <= verdict({}, details(0.05, wrong=300))
    assert "parity FAIL" in verdict({"min_sqnr_db": 60}, details(0.05))
    assert "accuracy INCONCLUSIVE" in verdict({"max_drop": 0.2}, details(0.05, samples=200))


def test_a_model_that_was_trained_further_may_answer_otherwise() -> None:
    turned = details(0.05, wrong=60)
    assert "sure_flips FAIL" in verdict({"accuracy": "mlperf93"}, turned, Step("quantize", ""))
    assert verdict({"accuracy": "mlperf93"}, turned, Step("optimize", "")) == set()


def test_limits_for_this_artifact_apply() -> None:
    assert "parity FAIL" in verdict({"tflite/mended": {"min_sqnr_db": 90}}, details(0.05))


@pytest.mark.parametrize(("wrong", "narrow"), [(3, False), (24, True)])
def test_a_pass_next_to_its_margin_is_told_from_one_with_room(wrong: int, narrow: bool) -> None:
    found, budget = details(0.05, wrong=wrong), Budget.parse({"accuracy": "none", "max_drop": 1.2})
    checks = candidate.gate(Artifact(Path("a"), "tflite", "mended", (), (), ()), "auto", found, budget)
    assert "FAIL" not in {check.verdict for check in checks}
    assert bool(candidate.find_narrow_passes(found, checks, budget)) == narrow


def test_noise_next_to_its_floor_leaves_no_room() -> None:
    found = details(0.05)
    value = next(iter((found.parity or {}).values())).sqnr_db or 0.0
    for floor, narrow in ((value - 10, False), (value - 1, True)):
        budget = Budget.parse({"min_sqnr_db": floor})
        checks = candidate.gate(Artifact(Path("a"), "tflite", "mended", (), (), ()), "auto", found, budget)
        assert bool(candidate.find_narrow_passes(found, checks, budget)) == narrow


@pytest.mark.parametrize(("wrong", "expected"), [(0, set()), (300, {"agreement FAIL"})])
def test_without_labels_a_trial_is_judged_by_its_agreement(wrong: int, expected: set[str]) -> None:
    unlabelled = MeasurementDetails(parity=details(0.05, wrong).parity)
    found = verdict({"accuracy": "none", "min_agreement": 0.98}, unlabelled)
    assert {name for name in found if "accuracy" in name or "agreement" in name} == expected
    assert "accuracy FAIL" in verdict({}, unlabelled)


@pytest.mark.parametrize(("wrong", "narrow"), [(3, False), (42, True)])
def test_an_agreement_next_to_its_limit_leaves_no_room(wrong: int, narrow: bool) -> None:
    found, budget = details(0.05, wrong), Budget.parse({"accuracy": "none", "min_agreement": 0.98})
    unlabelled = MeasurementDetails(parity=found.parity)
    checks = candidate.gate(Artifact(Path("a"), "tflite", "mended", (), (), ()), "auto", unlabelled, budget)
    assert any("agreement" in text for text in candidate.find_narrow_passes(unlabelled, checks, budget)) == narrow


def test_figures_of_a_trial() -> None:
    found = candidate.figures(details(0.05, wrong=30))
    assert found.drop == pytest.approx(0.01)
    assert (found.metric, found.share) == ("top1", True)
    parity = details(0.05).parity or {}
    (name,) = parity
    worse = {"worse": details(0.5).parity[name], **parity}  # type: ignore[index]
    assert candidate.figures(MeasurementDetails(parity=worse)).output == "worse"
    assert candidate.figures(MeasurementDetails(parity=details(0.05).parity)).drop is None


def layer(name: str, sqnr_db: float | None, own: float | None = 20.0, reason: str = "") -> LayerErrors:
    tried = CandidateFigures(sqnr_db, drop=None if sqnr_db is None else 0.012, value=0.9, reason=reason)
    known = None if own is None else 0.5
    return LayerErrors(
        name, ("CONV_2D",), 4, own, mse=known, cosine=known, only_layer_int8=tried, only_layer_float=tried
    )


def found(*layers: LayerErrors) -> LayerSensitivity:
    whole = CandidateFigures(8.0, drop=0.1, metric="top1", share=True)
    return LayerSensitivity("tflite/int8", "aa" * 32, 256, float32=whole, quantized=whole, layers=layers)


def shown(sensitivity: LayerSensitivity, *, wide: bool = False) -> str:
    console = Console(width=200 if wide else WIDTH, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(layer_table.render(sensitivity, wide=wide))
    return console.export_text()


def test_the_layer_that_costs_most_comes_first() -> None:
    text = shown(found(layer("calm", 80.0), layer("culprit", 9.0), layer("untried", None, None, "cannot be loaded")))
    lines = [line.split()[0] for line in text.splitlines()]
    assert lines[2:5] == ["culprit", "calm", "untried"]
    assert "most of it: culprit (9.0 dB when it alone is int8)" in text
    assert "could not be tried: cannot be loaded" in text
    assert "+1.20 pt" in text


def test_layers_with_long_names_fit_and_wide_shows_the_rest() -> None:
    whole = found(layer(" + ".join(["stage4_block2_separable_conv"] * 6), 9.0), layer("calm", 80.0))
    assert max(map(len, shown(whole).splitlines())) <= WIDTH
    assert "…" not in shown(whole)
    assert "0.50000" not in shown(whole)
    assert "0.50000" in shown(whole, wide=True)
    for jargon in ("alone dB", "spared", "MSE"):
        assert jargon not in shown(whole)


def test_a_layer_that_is_float_in_the_file_is_never_blamed() -> None:
    floats = replace(layer("norm", 2.0), in_float=True)
    text = shown(found(floats, layer("dense", 30.0)))
    assert [line.split()[0] for line in text.splitlines()][2:4] == ["dense", "norm"]
    assert "norm (float)" in text and "most of it: dense (30.0 dB when it alone is int8)" in text
    assert "none of its layers is quantized" in shown(found(floats))
    figure = layer_plot.draw(found(floats, layer("dense", 30.0)), {}, ["b", "r", "g"])
    assert figure and [item.get_text() for item in figure.axes[0].get_yticklabels()] == ["dense"]
    assert layer_plot.draw(found(floats), {}, ["b", "r", "g"]) is None


def test_a_model_that_no_layer_changes() -> None:
    assert "no layer changes the model's output" in shown(found(layer("flat", 200.0)))


def test_the_picture_holds_the_layers() -> None:
    svg = plots.all_plots(Manifest({}, (), (), debug={"a": found(layer("one", 9.0))}))
    assert any("one" in plot for plot in svg)
    assert layer_plot.draw(found(), plots.STYLE, plots.SERIES) is None


def test_figures_of_layers_are_those_of_the_whole_comparison_and_of_one_output() -> None:
    random = np.random.default_rng(0)
    labels, price = random.integers(0, 4, 300), random.normal(9, 2, (300, 1))
    server = {"kind": np.eye(4)[labels] * 6 + random.normal(0, 2, (300, 4)), "price": price + 0.1}
    found = {"kind": server["kind"] + random.normal(0, 3, (300, 4)), "price": price + 0.11}
    truths = {"y_kind": labels, "y_price": price}
    whole, few = (accuracy.measure(truths, server, found, intervals=wanted) for wanted in (True, False))
    compared = parity.compare(server, found)
    for output in ("", "kind", "price"):
        one, other = (
            candidate.figures(MeasurementDetails(parity=compared, accuracy=item), output) for item in (whole, few)
        )
        assert one == other and one.output == (output or "kind")
        assert one.sqnr_db == (compared["price"] if output == "price" else compared["kind"]).sqnr_db
    assert few.outputs["kind"].high is None and not few.outputs["kind"].per_class

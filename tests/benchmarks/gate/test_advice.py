"""What the verdict ends with: what does not pay, what to do next, and what to ship."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeship.benchmarks.gate import advice
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.benchmarks.report import markdown, table_rows, terminal_table
from edgeship.bundle.manifest import parse_manifest
from edgeship.bundle.verdict import Check, GateResult, combine_verdicts
from edgeship.types import Verdict


def judged(manifest, **budget):
    return judge(parse_manifest(manifest), Budget.parse(budget or {"max_drop": 5, "accuracy": "none"}))


def set_figures(manifest, artifact, wire=None, ratio=None, disk=None):
    (item,) = (item for item in manifest["measurements"] if item["artifact"] == artifact)
    for metric in item["metrics"]:
        if wire and metric["name"] in ("size_brotli_bytes", "size_disk_bytes"):
            metric["value"] = wire
        if disk and metric["name"] == "size_disk_bytes":
            metric["value"] = disk
    if ratio:
        item["details"]["latency_ratio"] |= {"value": ratio, "low": ratio - 0.1, "high": ratio + 0.1}


def recommended(result):
    return {item.target: item.artifact for item in result.recommended}


def spoil(outputs):
    return np.roll(outputs, 1, axis=1)


def test_the_least_download_that_passes_is_recommended_for_each_target(manifest):
    assert recommended(judged(manifest)) == {
        "apps": "tflite/int8",
        "servers and desktops": "onnx/int8",
        "pages": "tfjs/weight_only_w8",
    }


def test_what_fails_is_never_recommended(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    assert recommended(judged(manifest))["apps"] == "tflite/float32"
    replace_outputs(manifest, "tflite/float32", spoil)
    assert "apps" not in recommended(judged(manifest))


def test_size_and_time_are_weighed_and_only_by_what_is_sure(manifest):
    set_figures(manifest, "tflite/int8", wire=400_000, ratio=1.6)
    assert recommended(judged(manifest))["apps"] == "tflite/float32"
    set_figures(manifest, "tflite/int8", ratio=1.05)  # its interval holds 1
    assert recommended(judged(manifest))["apps"] == "tflite/int8"


@pytest.mark.parametrize(
    ("disk", "ratio", "best", "reason"),
    [
        (100_000, 1.4, "float32", "none is faster"),
        (100_000, 1.02, "int8", "as fast as float32, "),
        (9_000_000, 1.02, "float32", "none is faster"),
        (9_000_000, 0.5, "int8", "0.5x the time of float32, "),
        (100_000, None, "float32", "the times of the others are not known"),
    ],
)
def test_for_servers_time_counts_and_bytes_on_disk_only_where_times_are_alike(manifest, disk, ratio, best, reason):
    """A download that is small says nothing there."""
    set_figures(manifest, "onnx/int8", wire=1_000, ratio=ratio, disk=disk)
    if ratio is None:
        (item,) = (item for item in manifest["measurements"] if item["artifact"] == "onnx/int8")
        item["details"]["latency_ratio"] |= {"value": None, "busy": "other processes"}
    (found,) = (item for item in judged(manifest).recommended if item.artifact.startswith("onnx/"))
    assert (found.artifact, found.reason.startswith(reason)) == (f"onnx/{best}", True), found.reason


def test_processors_that_were_not_judged_are_named_with_the_recommendation(manifest):
    for item in manifest["artifacts"]:
        if item["id"] == "onnx/int8":
            item["receipt"]["overflowing"] = ["dense"]
    (found,) = (item for item in judged(manifest).recommended if item.artifact.startswith("onnx/"))
    assert found.artifact == "onnx/int8" and found.reason.endswith("; not judged on x86 without VNNI")


@pytest.mark.parametrize(
    ("wire", "ratio", "text"),
    [
        (
            600_000,
            1.4,
            "larger to download (600,000 bytes against 456,800) and slower (1.40x, 95 % interval 1.30 to 1.50)",
        ),
        (600_000, 1.05, "larger to download (600,000 bytes against 456,800) than float32: ship that"),
        (600_000, 0.5, "larger to download (600,000 bytes against 456,800) than float32"),
        (100_000, 1.4, "slower (1.40x, 95 % interval 1.30 to 1.50) than float32"),
        (100_000, 1.05, ""),
    ],
)
def test_what_does_not_pay_is_said_in_the_table_and_under_the_verdict(manifest, wire, ratio, text):
    set_figures(manifest, "tflite/int8", wire, ratio)
    result = judged(manifest)
    remarks = {item.artifact: item.reason for item in result.remarks}
    assert result.verdict is Verdict.PASS
    assert remarks.get("tflite/int8", "").startswith(text) and bool(text) == ("tflite/int8" in remarks)
    assert ("ship that" in remarks.get("tflite/int8", "")) == (wire > 456_800 and ratio > 1)
    shown = replace(parse_manifest(manifest), gate=result)
    (row,) = (row for row in table_rows.build(shown).rows if row["artifact"] == "tflite/int8")
    assert row["wire"].endswith(" *") == bool(text)
    assert (text in markdown.render(shown).replace("\\", "")) or not text


def test_float32_that_does_not_pass_is_not_to_be_shipped(manifest, replace_outputs):
    set_figures(manifest, "tflite/int8", 600_000, 1.05)
    assert "ship that" in next(item.reason for item in judged(manifest).remarks if item.artifact == "tflite/int8")
    replace_outputs(manifest, "tflite/float32", spoil)
    (reason,) = (item.reason for item in judged(manifest).remarks if item.artifact == "tflite/int8")
    assert "than float32" in reason and "ship that" not in reason


def test_a_file_that_is_another_computation_is_not_recommended(manifest):
    (measured,) = (item for item in manifest["measurements"] if item["artifact"] == "tflite/int8")
    for entry in manifest["artifacts"]:
        entry["foreign"] = {"file": entry["path"]}
    assert recommended(judged(manifest))["apps"] == "tflite/int8"
    differences = ["'dense/MatMul' has fewer than 8 bits"]
    twin = {"content": measured["details"]["content"], "files": {"differences": differences, "numbers": 9}}
    manifest["twins"] = {"tflite/int8": twin}
    result = judged(manifest)
    assert any("fewer than 8 bits" in item.reason for item in result.remarks)
    assert recommended(result)["apps"] == "tflite/float32"
    assert result.recommended[0].reason == "the only one that passes and is not in doubt"


def test_another_server_model_leaves_no_step_and_nothing_to_recommend(manifest):
    result = judged(manifest, accuracy="none", max_drop=0.5)
    assert result.next_steps and result.recommended
    other = result.with_check(Check("", "", "server_model", Verdict.FAIL, reason="another model"))
    assert (other.verdict, other.next_steps, other.recommended) == (Verdict.FAIL, (), ())
    same = result.with_check(Check("", "", "server_model", Verdict.PASS, reason="made from it"))
    assert (same.next_steps, same.recommended) == (result.next_steps, result.recommended)


def test_a_larger_file_says_which_nodes_made_it_so(manifest):
    set_figures(manifest, "onnx/int8", 600_000)
    for item in manifest["artifacts"]:
        if item["format"] == "onnx":
            int8 = item["variant"] == "int8"
            item["receipt"]["ops"] = {"Gemm": 3} | ({"QuantizeLinear": 4, "DequantizeLinear": 10} if int8 else {})
            item["receipt"]["weights"] = {"bytes": 100, "count": 28 if int8 else 6}
    (found,) = (item for item in judged(manifest).remarks if item.artifact == "onnx/int8")
    assert "14 operators that only convert (10 DequantizeLinear, 4 QuantizeLinear), 22 more constants" in found.reason


def test_a_pass_needs_no_next_step(manifest):
    assert judged(manifest).next_steps == ()


def test_int8_that_fails_is_pointed_at_auto_with_what_float32_has(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    replace_outputs(manifest, "onnx/int8", spoil)
    first, second, *_ = judged(manifest).next_steps
    assert first.startswith("tflite/int8, onnx/int8: ship with --variant float32,auto")
    assert "% of tflite/float32" in first
    assert second == "edgeship debug BUNDLE --artifact tflite/int8 names the layer that costs most"


def test_the_layer_that_debug_has_blamed_is_named(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    figures = {"sqnr_db": 3.0, "agreement": None, "value": 0.8, "drop": 0.1, "metric": "top1", "share": True}
    layers = [
        {"name": "first", "only_layer_int8": {**figures, "sqnr_db": 30.0}, "only_layer_float": figures},
        {"name": "second", "only_layer_int8": figures, "only_layer_float": {**figures, "value": 0.9, "drop": 0.0}},
    ]
    entry = {"artifact": "tflite/int8", "content": "ab" * 32, "samples": 256, "float32": figures, "quantized": figures}
    manifest["debug"] = {"tflite/int8": {**entry, "layers": layers}}
    first, second = judged(manifest).next_steps
    assert first == (
        "tflite/int8: layer 'second' costs most: with it alone in float32, top1 80.0 % becomes 90.0 % (256 samples)"
    )
    assert "--variant float32,auto" in second


def test_int8_inputs_that_lose_features_are_pointed_at_io(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    (item,) = (item for item in manifest["artifacts"] if item["id"] == "tflite/int8")
    item["inputs"][0] |= {"dtype": "int8", "quantization": {"scale": [1.0], "zero_point": [0], "axis": None}}
    item["steps"][-1]["recipe"] = {"recipe": "static_w8a8", "io": "int8", "float_operators": ["scale"]}
    (step,) = judged(manifest).next_steps
    assert "with --io auto" in step and "of tflite/float32" in step


def test_float32_that_fails_is_no_matter_of_precision(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    replace_outputs(manifest, "tflite/float32", spoil)
    (step,) = judged(manifest).next_steps
    assert step.startswith("tflite/float32: it is the conversion")


def test_a_limit_that_float32_itself_cannot_keep_is_no_fault_of_the_conversion(manifest):
    first, *_ = judged(manifest, accuracy="none", max_abs_error=1e-9).next_steps
    assert first.startswith("tflite/float32, onnx/float32")
    assert "a limit that this fails asks for too much" in first


def test_a_layer_that_gains_nothing_is_not_named(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    figures = {"sqnr_db": 3.0, "agreement": None, "value": 0.8, "drop": 0.1, "metric": "top1", "share": True}
    layers = [{"name": "first", "only_layer_int8": figures, "only_layer_float": figures}]
    entry = {"artifact": "tflite/int8", "content": "ab" * 32, "samples": 256, "float32": figures, "quantized": figures}
    manifest["debug"] = {"tflite/int8": {**entry, "layers": layers}}
    first, second = judged(manifest).next_steps
    assert first.startswith("tflite/int8: no single layer in float32 gives much of it back (256 samples)")
    assert "--variant float32,auto" in second
    little = {**figures, "value": 0.801, "drop": 0.099}
    manifest["debug"]["tflite/int8"]["layers"][0]["only_layer_float"] = little
    assert judged(manifest).next_steps[0] == first, "a hundredth of what is lost"


@pytest.mark.parametrize(
    ("quantized", "layer", "open_output", "told"),
    [
        ("price", "price", "price", True),
        ("kind", "kind", "price", False),
        ("price", "kind", "price", False),  # cured, so that another output is the worst: drops of two outputs
        ("", "", "price", False),  # of an earlier version, which did not say
    ],
)
def test_a_layer_is_named_by_figures_of_an_output_that_is_open(manifest, quantized, layer, open_output, told):
    (item,) = (item for item in manifest["measurements"] if item["artifact"] == "tflite/int8")
    (parity,) = item["details"]["parity"].values()
    item["details"]["parity"] = {"kind": parity, "price": parity}
    figures = {"sqnr_db": 3.0, "value": 0.8, "drop": 0.1, "metric": "top1", "share": True}
    better = {**figures, "value": 0.9, "drop": 0.0, "output": layer}
    broken = {"reason": "no runtime loads it", "runs": False}
    layers = [{"name": "head", "only_layer_float": better}, {"name": "other", "only_layer_float": broken}]
    entry = {"artifact": "tflite/int8", "content": "ab" * 32, "samples": 9, "float32": figures}
    manifest["debug"] = {"tflite/int8": {**entry, "quantized": {**figures, "output": quantized}, "layers": layers}}
    steps = next_steps(
        manifest,
        open_check("tflite/int8", 3, 1, None, check=f"accuracy:{open_output}", verdict=Verdict.FAIL),
        open_check("tflite/int8", 0, 1, None, check="accuracy:kind", verdict=Verdict.PASS),
    )
    assert any("layer 'head' costs most" in step for step in steps) == told
    assert not any("no single layer" in step for step in steps)
    assert any("--variant float32,auto" in step for step in steps)


def test_the_output_that_is_looked_at_is_one_that_is_open(manifest):
    """The quick look took the worst output, whose figures say nothing of what the gate asks about."""
    checks = [open_check("tflite/int8", 3, 1, None, check=f"accuracy:{name}", verdict=verdict)
              for name, verdict in (("kind", Verdict.PASS), ("price", Verdict.FAIL))]  # fmt: skip
    bundle = replace(parse_manifest(manifest), gate=None)
    assert advice.find_open_output(bundle, "tflite/int8") == ""
    judged_bundle = replace(bundle, gate=replace(judged(manifest), checks=tuple(checks)))
    assert advice.find_open_output(judged_bundle, "tflite/int8") == "price"
    assert advice.find_open_output(judged_bundle, "onnx/int8") == ""


@pytest.mark.parametrize("check", ["origin", "server"])
def test_what_no_precision_mends_is_not_pointed_at_it(manifest, replace_outputs, check):
    replace_outputs(manifest, "tflite/int8", spoil)
    if check == "origin":
        (item,) = (item for item in manifest["artifacts"] if item["id"] == "tflite/int8")
        item["content"] = "ab" * 32
        assert not judged(manifest).next_steps
    else:
        assert not judged(manifest, min_server_accuracy=0.999).next_steps
        assert not judged(manifest, min_server_accuracy=0.999).recommended


def test_what_a_search_has_failed_at_is_not_advised_again(manifest, replace_outputs):
    replace_outputs(manifest, "tflite/int8", spoil)
    manifest["failures"] = [{"artifact": "tflite/auto", "step": "quantize", "reason": "none passes"}]
    assert not any("auto" in step for step in judged(manifest).next_steps)


def test_missing_samples_are_counted(manifest):
    result = judged(manifest, accuracy="none", max_drop=0.5)
    assert result.verdict is Verdict.INCONCLUSIVE
    first, *_, step = result.next_steps
    assert first.startswith("onnx/int8: ship with --variant float32,auto"), "its drop is most of the margin"
    assert step.startswith("give more evaluation data (--evaluation DATA): about ") and "there are 2,000" in step


def test_the_margin_that_is_offered_is_decided_by_the_same_samples(manifest):
    """Where more samples cannot be had; not where points are given, which say another margin."""
    result = judged(manifest, accuracy="mlperf99.9")
    (step,) = (step for step in result.next_steps if "no more can be had" in step)
    assert result.verdict_on("tflite/float32") is Verdict.INCONCLUSIVE
    again = judged(manifest, accuracy=step.split('"')[1])
    assert again.verdict_on("tflite/float32") is Verdict.PASS
    result = judged(manifest, accuracy="none", max_drop=0.1)
    assert result.verdict is Verdict.INCONCLUSIVE and not any("no more" in step for step in result.next_steps)
    hopeless = open_check("tflite/float32", 0.0, 0.01, None, check="accuracy:scores", device="host")
    (step,) = next_steps(manifest, hopeless)
    assert step.startswith("if no more can be had: accuracy = ")


def test_of_an_error_that_no_preset_decides_the_drop_is_offered_in_its_unit(manifest):
    """A percent of a log loss of 0.014 took 610,000 samples where there were 3,000, and `max_drop` was not named."""
    for item in manifest["measurements"]:
        for figures in (item["details"]["accuracy"], *item["details"]["accuracy"]["outputs"].values()):
            figures |= {
                "metric": "log_loss",
                "share": False,
                "higher_is_better": False,
                "server": 0.014,
                "high": 0.02654,
            }
    far = open_check("onnx/int8", -0.0001, 0.00014, 610_000, device="host", unit="log_loss")
    far = replace(far, runtime="onnxruntime")
    step = next_steps(manifest, far)[-1]
    assert step.startswith(
        "if no more can be had: max_drop = 0.027 (in the unit of log_loss) in place of accuracy in [budget]"
    )


def test_the_margin_that_is_offered_names_its_artifacts_and_leaves_nothing_open(manifest):
    def offers(*checks):
        return [step for step in next_steps(manifest, *checks) if "no more can be had" in step]

    near = open_check("tflite/float32", 0.0, 0.01, 9_000, device="host")
    (step,) = offers(near)
    assert step.endswith("is a margin that these samples decide for tflite/float32")
    far = replace(near, artifact="onnx/int8", runtime="onnxruntime", value=1.0)
    set_interval(manifest, "onnx/int8", high=0.01)
    (step,) = offers(near, far)
    assert '"mlperf98"' in step and step.endswith("decide for tflite/float32, onnx/int8")
    set_interval(manifest, "onnx/int8", high=0.2)
    assert not offers(near, far), "it stays open at the widest of them"
    set_interval(manifest, "onnx/int8", high=0.01)
    assert not offers(near, replace(far, verdict=Verdict.FAIL))
    assert not offers(near, replace(far, check="groups")), "which no margin of the whole decides"


def set_interval(manifest, artifact, high):
    (item,) = (item for item in manifest["measurements"] if item["artifact"] == artifact)
    item["details"]["accuracy"]["high"] = high
    for figures in item["details"]["accuracy"].get("outputs", {}).values():
        figures["high"] = high


def test_more_samples_are_no_way_for_what_is_beyond_its_limit(manifest):
    result = judged(manifest, accuracy="none", max_drop=0.3)
    beyond = {item.artifact for item in result.checks if item.verdict is not Verdict.PASS and item.value > item.limit}
    assert (result.verdict, beyond) == (Verdict.INCONCLUSIVE, {"onnx/int8"})
    assert result.next_steps[0].startswith("tflite/int8, onnx/int8: ship with --variant float32,auto")
    assert "there are 2,000" in result.next_steps[-1], "for tflite/int8, which keeps to its limit"


def open_check(artifact, value, limit, needed, **overrides):
    figures: dict[str, Any] = {
        "check": "accuracy",
        "unit": "points",
        "samples": 100,
        "verdict": Verdict.INCONCLUSIVE,
    } | overrides
    return Check(artifact, "litert", value=value, limit=limit, samples_needed=needed, **figures)


def next_steps(manifest, *checks):
    verdict = combine_verdicts(checks) or Verdict.PASS
    return advice.next_steps(parse_manifest(manifest), GateResult(verdict, checks))


@pytest.mark.parametrize(("unit", "check"), [("points", "accuracy"), ("mae", "accuracy:size"), ("%", "sure_flips")])
def test_what_has_lost_most_of_its_margin_does_not_set_the_number_of_samples(manifest, unit, check):
    """Whatever the unit: it takes four times as many, and more precision is the way."""
    kind = {"unit": unit, "check": check}
    near, far = open_check("onnx/float16", 0.01, 1, 3_000, **kind), open_check("tflite/int8", 0.7, 1, 90_000, **kind)
    steps = next_steps(manifest, near, far)
    assert steps[0].startswith("tflite/int8: ship with --variant float32,auto")
    assert steps[-1] == (
        "give more evaluation data (--evaluation DATA): about 3,000 samples decide onnx/float16; there are 100"
    )
    (*_, step) = next_steps(manifest, far)
    assert step.endswith("about 90,000 samples decide all of it, which has lost most of what it may; there are 100")


def test_samples_are_not_asked_for_what_fails_whatever_they_say(manifest):
    failed = open_check("tflite/int8", 20, 10, None, check="class_drop", verdict=Verdict.FAIL)
    steps = next_steps(manifest, failed, open_check("tflite/int8", 0.01, 1, 5_000))
    assert steps and not any("evaluation data" in step for step in steps)
    steps = next_steps(manifest, failed, open_check("onnx/int8", 0.01, 1, 5_000))
    assert "about 5,000 samples decide onnx/int8; there are 100" in steps[-1]


def test_groups_have_a_next_step(manifest):
    kind = {"check": "groups"}
    lost = next_steps(manifest, open_check("tflite/int8", 9, 1, None, verdict=Verdict.FAIL, **kind))
    assert lost[0].startswith("tflite/int8: ship with --variant float32,auto")
    (few,) = next_steps(manifest, open_check("tflite/float16", 0.1, 1, 800, **kind))
    assert "about 800 samples of a group decide all of it; there are 100" in few
    (none,) = next_steps(manifest, open_check("tflite/float16", None, None, None, **kind))
    assert "join them with others" in none


def test_the_terminal_ends_with_the_recommendation(manifest, replace_outputs, capsys):
    replace_outputs(manifest, "tflite/int8", spoil)
    terminal_table.print_checks(judged(manifest))
    text = capsys.readouterr().out
    assert text.index("gate: FAIL") < text.index("next: ") < text.index("recommended for apps: tflite/float32")


@pytest.mark.parametrize("variant", ["auto", "int8", "small"])
def test_where_int8_cannot_be_had_what_passes_is_named(manifest, variant):
    manifest["config"]["variants"] = [{"name": "small", "quantize": "auto", "formats": ["tfjs"]}]
    manifest["failures"] = [{"artifact": f"tfjs/{variant}", "step": "check", "reason": "none passes"}]
    expected = f"tfjs/weight_only_w8 passes: ship that in place of tfjs/{variant}"
    assert expected in judged(manifest).next_steps
    set_figures(manifest, "tfjs/weight_only_w8", wire=9_000_000)
    result = judged(manifest)
    assert recommended(result)["pages"] == "tfjs/float32", "the other is larger"
    assert f"tfjs/float32 passes: ship that in place of tfjs/{variant}" in result.next_steps
    manifest["failures"][0]["artifact"] = f"onnx/{variant}"
    assert not any("in place of" in step for step in judged(manifest).next_steps)

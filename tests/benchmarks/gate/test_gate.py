import copy
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge, record_doubts
from edgeship.bundle.manifest import parse_manifest
from edgeship.bundle.verdict import ArtifactReason, Check
from edgeship.storage import digest
from edgeship.types import Verdict, to_json

INT8 = "tflite/int8"


@pytest.fixture
def good(manifest):
    """The good bundle without the artifact that is on the brink."""
    return without(manifest, "onnx/int8")


def without(manifest, artifact):
    manifest["artifacts"] = [item for item in manifest["artifacts"] if item["id"] != artifact]
    manifest["measurements"] = [item for item in manifest["measurements"] if item["artifact"] != artifact]
    return manifest


def measured(manifest, artifact=INT8):
    return next(item for item in manifest["measurements"] if item["artifact"] == artifact)


def unmeasure(measurement, reason, *names, availability="failed"):
    for metric in measurement["metrics"]:
        if metric["name"] in names or (not names and not metric["name"].startswith("size")):
            metric.update(value=None, reason=reason, availability=availability)


def verdict_of(manifest, **table):
    return judge(parse_manifest(manifest), Budget.parse(table))


def failures(manifest, **table):
    result = verdict_of(manifest, **table)
    return result.verdict, {(c.artifact, c.check): c for c in result.checks if c.verdict is not Verdict.PASS}


def test_a_good_bundle_passes_and_its_result_is_json(good):
    result = verdict_of(good)
    assert result.verdict is Verdict.PASS
    assert {check.check for check in result.checks} == {
        "origin",
        "parity",
        "margins",
        "accuracy",
        "class_drop",
        "sure_flips",
    }
    json.dumps(to_json(result), allow_nan=False)
    assert result.verdict_on(INT8) is Verdict.PASS
    assert result.verdict_on("onnx/int8") is None


def test_a_drop_about_the_margin_is_inconclusive_and_says_how_many_samples_decide(manifest):
    verdict, checks = failures(manifest)
    assert verdict is Verdict.INCONCLUSIVE
    assert list(checks) == [("onnx/int8", "accuracy")]
    assert "samples would decide, there are 2,000" in checks["onnx/int8", "accuracy"].reason


def roll(outputs):
    return np.roll(outputs, 1, axis=1)


def drop_class(outputs):
    outputs[:, 3] = 0
    return outputs


def constant(outputs):
    return np.full_like(outputs, 0.1)


def nan(outputs):
    outputs[5, 2] = np.nan
    return outputs


def saturate(outputs):
    return np.minimum(outputs, 0.2)


def shuffle(outputs):
    return np.random.default_rng(0).permutation(outputs)


def stale(outputs):
    return np.random.default_rng(1).normal(size=outputs.shape) * 0.4 + outputs


@pytest.mark.parametrize("change", [roll, drop_class, constant, nan, saturate, shuffle, stale])
def test_broken_outputs_fail(good, replace_outputs, change):
    assert verdict_of(good).verdict is Verdict.PASS
    replace_outputs(good, INT8, change)
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert {artifact for artifact, _ in checks} == {INT8}


def test_one_vanished_class_of_many_fails_though_the_average_holds(good):
    rows = measured(good)["details"]["accuracy"]["outputs"]["scores"]["per_class"]
    rows[4].update(artifact=0.0, drop=rows[4]["server"], low=0.8, high=0.95, p=1e-20, p_holm=1e-18, significant=True)
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert "lost too much: coat" in checks[INT8, "class_drop"].reason


def test_another_float32_model_of_the_same_accuracy_fails_on_parity(good, replace_outputs):
    replace_outputs(good, "tflite/float32", lambda outputs: outputs * 0.98 + 0.002)
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert list(checks) == [("tflite/float32", "parity")]


def noisy(outputs):
    """Noise that a floor for every network must allow, and that costs no answer."""
    return outputs * (1 + 0.15 * np.random.default_rng(1).choice([-1, 1], size=(len(outputs), 1)))


def test_noise_that_a_twin_does_not_have_fails(manifest, replace_outputs):
    replace_outputs(manifest, INT8, noisy)
    for twin in ("onnx/int8", "tfjs/weight_only_w8"):
        replace_outputs(manifest, twin, lambda outputs: outputs * 1.001)
    verdict, checks = failures(manifest)
    assert verdict is Verdict.FAIL
    assert list(checks) == [(INT8, "parity")]
    assert "as onnx/int8 has 60.0 dB" in checks[INT8, "parity"].reason
    assert list(failures(manifest, min_sqnr_db=10)[1]) == [(INT8, "parity")], "one limit for all lowers none"
    assert failures(manifest, **{INT8: {"min_sqnr_db": 10}})[0] is Verdict.PASS


def test_an_output_that_a_twin_leaves_in_float_says_nothing(manifest, replace_outputs):
    """An input that is handed through is exact in QDQ, and int8 where the edges are."""
    replace_outputs(manifest, INT8, noisy)
    for twin in ("onnx/int8", "tfjs/weight_only_w8"):
        replace_outputs(manifest, twin, lambda outputs: outputs)
    assert failures(manifest)[0] is Verdict.PASS


def test_a_twin_that_computes_less_in_8_bits_says_nothing(manifest, replace_outputs):
    replace_outputs(manifest, INT8, noisy)
    replace_outputs(manifest, "onnx/int8", lambda outputs: outputs * 1.001)
    next(item for item in manifest["artifacts"] if item["id"] == "onnx/int8")["receipt"]["int8_op_share"] = 0.7
    assert failures(manifest)[0] is Verdict.PASS


def test_a_finer_recipe_is_held_to_a_coarser_one_and_not_the_other_way(manifest, replace_outputs):
    for name in (INT8, "onnx/int8"):
        replace_outputs(manifest, name, noisy)
    replace_outputs(manifest, "tfjs/weight_only_w8", lambda outputs: outputs * 1.001)
    assert failures(manifest)[0] is Verdict.PASS
    for name in (INT8, "onnx/int8"):
        replace_outputs(manifest, name, lambda outputs: outputs * 1.001)
    replace_outputs(manifest, "tfjs/weight_only_w8", noisy)
    assert list(failures(manifest)[1]) == [("tfjs/weight_only_w8", "parity")]


def test_the_processors_that_an_int8_onnx_holds_on_are_told(manifest):
    entry = next(item for item in manifest["artifacts"] if item["id"] == "onnx/int8")

    def judged(overflowing):
        entry["receipt"]["overflowing"] = overflowing
        result = verdict_of(manifest)
        told = [item.reason for item in result.not_judged if item.artifact == "onnx/int8 @ x86 without VNNI"]
        return [item for item in result.checks if item.check == "processors"], told

    assert judged(None) == ([], [])
    (check,), told = judged([])
    assert (check.verdict, told) == (Verdict.PASS, [])
    assert "without VNNI" in check.reason
    checks, (reason,) = judged(["Conv: first"])
    assert checks == []
    assert "8-bit weights of 1 operator(s) may overflow there (Conv: first)" in reason


@pytest.mark.parametrize("other", ["00" * 32, ""])
def test_an_artifact_of_another_server_model_fails(good, other):
    good["server_model"]["digest"] = other
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert "stale" in checks[INT8, "origin"].reason


def test_an_artifact_of_unknown_origin_fails(good):
    good["artifacts"][0]["steps"] = []
    assert "unknown steps" in failures(good)[1]["tflite/float32", "origin"].reason


def test_an_artifact_that_is_no_longer_what_was_made_fails(good):
    """Measured as it lies there, but another file than the conversion wrote."""
    artifact = next(item for item in good["artifacts"] if item["id"] == INT8)
    artifact["content"] = "aa" * 32
    assert "changed or replaced after it was made" in failures(good)[1][INT8, "origin"].reason


@pytest.mark.parametrize("artifact", [INT8, "tfjs/float32"])
def test_an_artifact_that_is_not_what_was_measured_fails(good, artifact):
    """Whatever the figures say: they are those of another file."""
    path = next(item["path"] for item in good["artifacts"] if item["id"] == artifact)
    good["files"][path] = "bb" * 32
    assert "after it was measured" in failures(good)[1][artifact, "origin"].reason
    del good["files"][path]
    assert "is not among the bundle's files" in failures(good)[1][artifact, "origin"].reason


def test_a_measurement_that_does_not_say_of_what_is_no_pass(good):
    del measured(good)["details"]["content"]
    assert "what was measured is not recorded" in failures(good)[1][INT8, "origin"].reason


def test_an_artifact_whose_content_was_not_recorded_is_no_pass(good):
    artifact = next(item for item in good["artifacts"] if item["id"] == INT8)
    del artifact["content"]
    assert "what was made is not recorded" in failures(good)[1][INT8, "origin"].reason


def forget_measured(manifest):
    del measured(manifest)["details"]["content"]


def replace_and_record(manifest):
    """As whoever puts another file there makes the manifest fit it."""
    artifact = next(item for item in manifest["artifacts"] if item["id"] == INT8)
    artifact["content"] = manifest["files"][artifact["path"]] = "bb" * 32


def replace_and_forget(manifest):
    replace_and_record(manifest)
    forget_measured(manifest)


def replace_alone(manifest):
    artifact = next(item for item in manifest["artifacts"] if item["id"] == INT8)
    manifest["files"][artifact["path"]] = "bb" * 32


def replace_and_unrecord(manifest):
    replace_alone(manifest)
    del next(item for item in manifest["artifacts"] if item["id"] == INT8)["content"]


@pytest.mark.parametrize(
    "change", [replace_alone, replace_and_record, replace_and_forget, replace_and_unrecord, forget_measured]
)
def test_new_figures_do_not_lift_what_spoke_against_an_origin(good, change):
    change(good)
    before = failures(good)[1][INT8, "origin"].reason
    for _ in range(2):
        doubted = record_doubts(parse_manifest(good))
        good = json.loads(json.dumps(to_json(doubted)))
        artifact = next(item for item in good["artifacts"] if item["id"] == INT8)
        measured(good)["details"]["content"] = artifact["content"] = good["files"][artifact["path"]]
        verdict, checks = failures(good)
        assert verdict is Verdict.FAIL
        assert checks[INT8, "origin"].reason == before
    assert [item.id for item in doubted.artifacts if item.doubt] == [INT8]


def test_an_untouched_bundle_gets_no_doubt(good):
    assert record_doubts(parse_manifest(good)) == parse_manifest(good)


def test_a_folder_of_an_earlier_version_is_still_known(good):
    """Whose digest was that of its files' digests as JSON."""
    (artifact,) = [item for item in good["artifacts"] if item["id"] == "tfjs/float32"]
    earlier = digest.of_json({"model.json": good["files"][artifact["path"]]})
    artifact["content"] = measured(good, "tfjs/float32")["details"]["content"] = earlier
    assert verdict_of(good).verdict is Verdict.PASS


def test_a_crash_fails_with_its_reason(good):
    measured(good)["details"] = {}
    unmeasure(measured(good), "the litert process was killed by signal 11")
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert "signal 11" in checks[INT8, "outputs"].reason
    assert "signal 11" in checks[INT8, "accuracy"].reason


def test_missing_labels_fail_unless_accuracy_is_not_asked(good):
    for item in good["measurements"]:
        del item["details"]["accuracy"]
        reason = "the evaluation data has no labels (an array y)"
        unmeasure(item, reason, "accuracy", "accuracy_drop", availability="no_data")
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert "no labels" in checks[INT8, "accuracy"].reason
    assert failures(good, accuracy="none", min_agreement=0.95)[0] is Verdict.PASS
    assert failures(good, accuracy="none", min_agreement=0.999)[0] is Verdict.FAIL
    assert failures(good, min_agreement=0.95)[0] is Verdict.PASS


def test_labels_are_judged_by_where_another_limit_is_given(manifest, replace_outputs):
    """A limit more is never a reason to judge less."""
    replace_outputs(manifest, INT8, lambda outputs: np.roll(outputs, 1, axis=1))
    assert (INT8, "accuracy") in failures(manifest, min_agreement=0.01)[1]
    measured(manifest)["details"]["accuracy"] = None
    assert (INT8, "accuracy") in failures(manifest, min_agreement=0.01)[1], "there were labels"


def test_an_output_that_was_not_compared_fails(good):
    good["server_model"]["outputs"].append({**good["server_model"]["outputs"][0], "name": "second"})
    assert "not second" in failures(good)[1][INT8, "outputs"].reason


def not_run(manifest, artifact="tfjs/float32"):
    item = measured(manifest, artifact)
    item["details"] = {}
    unmeasure(item, "not run: node is missing", availability="not_run")
    return manifest


def test_what_did_not_run_is_no_pass(good):
    verdict, checks = failures(not_run(good))
    assert verdict is Verdict.FAIL
    assert checks["tfjs/float32", "runs"].reason == "not run: tfjs-node: node is missing"


def test_what_may_stay_away_is_not_judged_and_not_counted(good):
    result = verdict_of(not_run(good), optional=["tfjs/*"])
    assert result.verdict is Verdict.PASS
    assert ArtifactReason("tfjs/float32", "not run: tfjs-node: node is missing") in result.not_judged
    assert result.verdict_on("tfjs/float32") is None


def test_what_did_not_run_is_known_by_its_availability_and_not_by_its_words(good):
    item = measured(good, "tfjs/float32")
    item["details"] = {}
    unmeasure(item, "not run: it crashed")
    assert failures(good, optional=["tfjs/*"])[0] is Verdict.FAIL
    unmeasure(item, "node is missing", availability="not_run")
    result = verdict_of(good, optional=["tfjs/*"])
    assert ArtifactReason("tfjs/float32", "not run: tfjs-node: node is missing") in result.not_judged


def test_optional_does_not_excuse_a_crash_or_a_missing_measurement(good):
    crashed = measured(good, "tfjs/float32")
    crashed["details"] = {}
    unmeasure(crashed, "the tfjs-node process was killed by signal 9")
    assert failures(good, optional=["tfjs/*"])[0] is Verdict.FAIL
    good["measurements"].remove(crashed)
    verdict, checks = failures(good, optional=["tfjs/*"])
    assert verdict is Verdict.FAIL
    assert "never measured" in checks["tfjs/float32", "runs"].reason


def test_optional_does_not_excuse_a_size_over_budget(good):
    verdict, checks = failures(not_run(good), optional=["tfjs/*"], max_size_disk=574_000)
    assert verdict is Verdict.FAIL
    assert ("tfjs/float32", "size_disk") in checks


def test_running_on_one_runtime_is_enough_unless_another_is_required(good):
    other = copy.deepcopy(measured(good))
    other.update(runtime="tflite-runtime", details={})
    unmeasure(other, "not run: not installed", availability="not_run")
    good["measurements"].append(other)
    assert failures(good)[0] is Verdict.PASS
    verdict, checks = failures(good, required=[f"{INT8}@tflite-runtime"])
    assert verdict is Verdict.FAIL
    assert checks[INT8, "required"].reason == "required, but did not run on tflite-runtime"


def test_what_could_not_be_made_fails_unless_it_may_be_missing(good):
    failure = {"artifact": "onnx/int8", "step": "quantize", "reason": "it divides by 0", "layers": ["share"]}
    good["failures"] = [{**failure, "advice": "try auto"}]
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert checks["onnx/int8", "made"].reason == "it divides by 0 (layer 'share'); try auto"
    result = verdict_of(good, optional=["onnx/*"])
    assert result.verdict is Verdict.PASS
    assert "it divides by 0" in next(item.reason for item in result.not_judged if item.artifact == "onnx/int8")
    verdict, checks = failures(good, optional=["onnx/*"], required=["onnx/int8"])
    assert verdict is Verdict.FAIL
    assert "it divides by 0" in checks["onnx/int8", "required"].reason


def test_a_required_artifact_must_be_there(good):
    assert failures(good, required=[INT8])[0] is Verdict.PASS
    assert "is not in the bundle" in failures(good, required=["tflite/int9"])[1]["tflite/int9", "required"].reason
    assert "no int8 inference" in failures(good, required=["tfjs/int8"])[1]["tfjs/int8", "required"].reason


@pytest.mark.parametrize("change", [{"artifacts": [], "measurements": []}, {"measurements": []}])
def test_nothing_to_judge_is_no_pass(good, change):
    assert verdict_of({**good, **change}).verdict is Verdict.FAIL


def test_everything_optional_and_absent_is_no_pass(good):
    for name in [item["id"] for item in good["artifacts"]]:
        not_run(good, name)
    result = verdict_of(good, optional=["*/*"])
    assert result.verdict is Verdict.FAIL
    assert result.checks[-1].reason == "none of the artifacts was judged"


@pytest.mark.parametrize(
    ("budget", "check", "artifact"),
    [
        ({"max_size_disk": 571_000}, "size_disk", "tfjs/float32"),
        ({"max_size_wire": "400 KB"}, "size_wire", "tflite/float32"),
        ({"max_peak_memory": "40 MB"}, "peak_memory", "onnx/float32"),
        ({"min_agreement": 0.995}, "agreement", INT8),
        ({"max_abs_error": 1e-3}, "max_abs_error", INT8),
        ({"min_sqnr_db": 28}, "parity", INT8),
        ({"max_latency_ratio": 0.3}, "latency_ratio", INT8),
        ({"max_drop": 0.0}, "accuracy", "tflite/float32"),
        ({"min_server_accuracy": 0.95}, "server_accuracy", ""),
        ({"tflite/int8": {"max_size_disk": 100}}, "size_disk", INT8),
    ],
)
def test_a_limit_that_is_broken_is_named(good, budget, check, artifact):
    verdict, checks = failures(good, **budget)
    assert verdict is not Verdict.PASS
    assert (artifact, check) in checks
    assert checks[artifact, check].limit is not None


@pytest.mark.parametrize(
    ("budget", "metric"),
    [
        ({"max_size_disk": "9 GB"}, "size_disk_bytes"),
        ({"max_size_wire": "9 GB"}, "size_brotli_bytes"),
        ({"max_peak_memory": "9 GB"}, "peak_memory_bytes"),
        ({"max_latency_ratio": 99}, "latency_ratio"),
    ],
)
def test_a_limit_on_what_was_not_measured_fails(good, budget, metric):
    assert failures(good, **budget)[0] is Verdict.PASS
    unmeasure(measured(good), "it could not be read", metric)
    verdict, checks = failures(good, **budget)
    assert verdict is Verdict.FAIL
    assert "it could not be read" in next(iter(checks.values())).reason
    measured(good)["metrics"] = [item for item in measured(good)["metrics"] if item["name"] != metric]
    assert failures(good, **budget)[0] is Verdict.FAIL


def test_limits_for_an_artifact_that_is_not_there_are_told(good):
    result = verdict_of(good, **{"tflite/int9": {"max_size_disk": 1}, "tflite/*": {"max_size_disk": "9 GB"}})
    reasons = {item.artifact: item.reason for item in result.not_judged}
    assert "hold for no artifact here: " in reasons["tflite/int9"]
    assert INT8 in reasons["tflite/int9"]
    assert "tflite/*" not in reasons


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_fails(good, value):
    manifest, budget = parse_manifest(good), Budget.parse({"max_peak_memory": "9 GB"})
    assert judge(manifest, budget).verdict is Verdict.PASS
    first = manifest.measurements[0]
    metrics = (replace(item, value=value) if item.name == "peak_memory_bytes" else item for item in first.metrics)
    changed = replace(manifest, measurements=(replace(first, metrics=tuple(metrics)), *manifest.measurements[1:]))
    result = judge(changed, budget)
    assert [check.check for check in result.checks if check.verdict is Verdict.FAIL] == ["peak_memory"]


def test_an_unstable_host_leaves_latency_open(good):
    reason = "unstable: a calibration loop varies by 40%"
    unmeasure(measured(good), reason, "latency_ratio", availability="unstable")
    verdict, checks = failures(good, max_latency_ratio=2)
    assert verdict is Verdict.INCONCLUSIVE
    assert "calibration loop" in checks[INT8, "latency_ratio"].reason
    unmeasure(measured(good), reason, "latency_ratio")
    assert failures(good, max_latency_ratio=2)[0] is Verdict.FAIL


def test_a_ratio_to_something_else_or_without_interval_fails(good):
    measured(good)["details"]["latency_ratio"]["against"] = "onnx/float32"
    assert failures(good, max_latency_ratio=2)[0] is Verdict.FAIL
    measured(good)["details"]["latency_ratio"] = {"value": 0.6, "low": None, "high": None, "against": "tflite/float32"}
    assert failures(good, max_latency_ratio=2)[0] is Verdict.FAIL


def test_a_ratio_whose_interval_holds_the_limit_is_inconclusive(good):
    checks = measured(good)["details"]["latency_ratio"]
    checks.update(low=0.5, high=0.7)
    assert failures(good, **{"tflite/int8": {"max_latency_ratio": 0.6}})[0] is Verdict.INCONCLUSIVE


def test_a_ratio_from_a_single_pair_of_processes_decides_nothing(good):
    """As bundles of earlier versions have it: its interval held 1 in 21 of 60 comparisons of a file with its copy."""
    del measured(good)["details"]["latency_ratio"]["pairs"]
    verdict, checks = failures(good, max_latency_ratio=2)
    assert verdict is Verdict.INCONCLUSIVE
    assert "benchmark again" in checks[INT8, "latency_ratio"].reason


def test_agreement_on_few_samples_is_inconclusive(good):
    parity = measured(good)["details"]["parity"]["scores"]
    parity.update(n=80, agreement=1.0, agreement_low=0.95, agreement_high=1.0, agreement_n=80)
    verdict, checks = failures(good, **{"tflite/int8": {"min_agreement": 0.99}})
    assert verdict is Verdict.INCONCLUSIVE
    assert "samples would decide, there are 80" in checks[INT8, "agreement"].reason


def replace_figures(manifest, truth, server, outputs):
    """What INT8's outputs of these samples are, and whether they are right."""
    details = measured(manifest)["details"]
    compared = to_json(accuracy.compare(truth, server, outputs))
    details["accuracy"].update(compared, outputs={"scores": compared})
    details["parity"]["scores"].update(to_json(parity.compare_output("scores", server, outputs)), sqnr_db=50.0)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_samples_that_are_too_few_decide_nothing_however_wrong_they_are(good, n):
    truth = np.zeros(n, np.int64)
    replace_figures(good, truth, np.eye(10)[truth], np.eye(10)[truth + 1])
    _, checks = failures(good, min_agreement=0.9)
    undecided = {name: check.verdict for (item, name), check in checks.items() if item == INT8}
    assert undecided == dict.fromkeys(
        ("agreement", "margins", "accuracy", "class_drop", "sure_flips"), Verdict.INCONCLUSIVE
    )
    assert f"there are {n}" in checks[INT8, "sure_flips"].reason


def test_a_copy_is_not_decided_by_few_samples_and_passes_by_as_many_as_the_message_asks_for(good):
    truth = np.arange(100) % 10
    replace_figures(good, truth, np.eye(10)[truth], np.eye(10)[truth])
    reason = failures(good)[1][INT8, "accuracy"].reason
    needed = int(reason.split("about ")[1].split(" samples")[0].replace(",", ""))
    truth = np.arange(needed) % 10
    replace_figures(good, truth, np.eye(10)[truth], np.eye(10)[truth])
    assert (INT8, "accuracy") not in failures(good)[1]


def test_a_figure_without_an_interval_is_not_decided(good):
    """An own metric that was the same for any answers passed with [0, 0]."""
    output = measured(good)["details"]["accuracy"]["outputs"]["scores"]
    output.update(low=None, high=None, at_least=None, reason="it is the same where the answers are shuffled")
    check = failures(good)[1][INT8, "accuracy"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "no interval of top1: it is the same" in check.reason


def test_gains_of_a_class_do_not_make_the_loss_of_another_surer(good):
    rows = measured(good)["details"]["accuracy"]["outputs"]["scores"]["per_class"]
    for row in rows:
        row.update(drop=0.0, low=-0.1, high=0.1, p=1.0, p_holm=1.0, significant=False)
    rows[4].update(drop=0.2, low=0.12, high=0.3, p=0.0052, p_holm=0.052)
    assert (INT8, "class_drop") not in failures(good)[1]
    rows[5].update(drop=-0.5, low=-0.6, high=-0.4, p=1e-9, p_holm=1e-8, significant=True)
    rows[4].update(p_holm=0.0468, significant=True)
    assert (INT8, "class_drop") not in failures(good)[1]
    rows[4].update(p=0.004)
    assert (INT8, "class_drop") in failures(good)[1]


def test_agreement_of_a_regression_cannot_be_asked(good):
    for item in good["measurements"]:
        item["details"]["parity"]["scores"].update(agreement=None, agreement_low=None, agreement_high=None)
    verdict, checks = failures(good, min_agreement=0.9)
    assert verdict is Verdict.FAIL
    assert "use max_abs_error" in checks[INT8, "agreement"].reason


def test_agreement_is_not_asked_of_outputs_that_labels_call_a_regression(good):
    item = measured(good)
    item["details"]["parity"]["size"] = {**item["details"]["parity"]["scores"], "agreement": 0.1}
    item["details"]["parity"]["size"].update(agreement_low=0.08, agreement_high=0.12)
    assert (INT8, "agreement:size") in failures(good, min_agreement=0.9)[1]
    item["details"]["accuracy"]["outputs"]["size"] = {
        **item["details"]["accuracy"]["outputs"]["scores"], "share": False, "metric": "mae"
    }  # fmt: skip
    assert (INT8, "agreement:size") not in failures(good, min_agreement=0.9)[1]
    item["details"]["accuracy"]["outputs"]["scores"].update(share=False, metric="mae")
    assert "no output is a class" in failures(good, min_agreement=0.9)[1][INT8, "agreement"].reason


def test_agreement_of_classes_is_judged_whatever_their_metric(good):
    report = measured(good)["details"]["accuracy"]
    report["outputs"]["scores"].update(share=False, metric="log_loss")
    assert (INT8, "agreement") in failures(good, min_agreement=0.9999)[1]


def of_the_same_accuracy(outputs):
    """Another model as good as the first: it is wrong elsewhere, and then as sure."""
    moved = np.arange(len(outputs)) % 20 == 0
    outputs[moved] = np.roll(outputs[moved], 1, axis=1)
    return outputs


def test_sure_answers_that_turn_fail_though_noise_is_within_the_floor(good, replace_outputs):
    replace_outputs(good, INT8, of_the_same_accuracy)
    verdict, checks = failures(good, accuracy="mlperf93")
    assert verdict is Verdict.FAIL
    assert checks[INT8, "sure_flips"].limit == 1
    assert checks[INT8, "sure_flips"].value == pytest.approx(5, abs=1)
    assert (INT8, "sure_flips") not in failures(good, accuracy="mlperf93", max_sure_flips=10)[1]


def test_a_model_that_was_trained_again_may_answer_otherwise(good, replace_outputs):
    replace_outputs(good, INT8, of_the_same_accuracy)
    good["artifacts"][1]["steps"].insert(1, {"name": "prune", "source": "", "recipe": {}, "tools": {}})
    assert (INT8, "sure_flips") not in failures(good)[1]
    assert (INT8, "parity") not in failures(good)[1]
    assert (INT8, "sure_flips") in failures(good, max_sure_flips=1)[1]


def test_a_variant_of_ones_own_has_the_floor_of_its_recipe(good, replace_outputs):
    replace_outputs(good, INT8, stale)
    own = "tflite/mine"
    good["artifacts"][1].update(id=own, variant="mine")
    measured(good)["artifact"] = own
    assert (own, "parity") not in failures(good)[1]
    good["config"]["variants"] = [{"name": "mine", "quantize": "static_w8a8"}]
    assert (own, "parity") in failures(good)[1]


def classes(manifest, artifact, count):
    """An output that is class numbers, of which some are others in the artifact."""
    server = np.arange(2000) % 10
    outputs = server.copy()
    outputs[:count] = 9 - outputs[:count]
    compared = parity.compare_output("classes", server, outputs)
    measured(manifest, artifact)["details"]["parity"]["classes"] = to_json(compared)


def test_class_numbers_are_judged_by_how_many_stay_the_same(good):
    """There is no noise in ids: one near tie that turns from 0 to 9 is no other model, and many are."""
    classes(good, INT8, 40)
    classes(good, "tflite/float32", 0)
    assert failures(good)[0] is Verdict.PASS
    classes(good, INT8, 300)
    verdict, checks = failures(good)
    assert verdict is Verdict.FAIL
    assert list(checks) == [(INT8, "parity:classes")]
    assert "85.00% same answers" in checks[INT8, "parity:classes"].reason
    classes(good, INT8, 0)
    assert list(failures(good, min_sqnr_db=199)[1])
    classes(good, INT8, 300)
    for limit, verdict in (({"min_sqnr_db": 1}, Verdict.FAIL), ({INT8: {"min_sqnr_db": 1}}, Verdict.PASS)):
        assert failures(good, **limit)[0] is verdict


def test_parity_without_figures_or_reason_is_no_pass(good):
    """As a stranger's manifest may have it."""
    output = measured(good)["details"]["parity"]["scores"]
    output.update(agreement_low=None)
    assert "not known" in failures(good, min_agreement=0.9)[1][INT8, "agreement"].reason
    output.update(sqnr_db=None)
    assert "not known" in failures(good)[1][INT8, "outputs"].reason


def test_a_lower_is_better_server_figure_has_a_ceiling(good):
    good["server_measurement"].update(server=4.0, higher_is_better=False, metric="mae")
    assert ("", "server_accuracy") not in failures(good, min_server_accuracy=5)[1]
    assert ("", "server_accuracy") in failures(good, min_server_accuracy=3)[1]


def test_an_unknown_server_figure_fails_its_floor(good):
    good["server_measurement"].update(server=None, reason="3 of 9 output values are NaN")
    assert "not known: 3 of 9" in failures(good, min_server_accuracy=0.5)[1]["", "server_accuracy"].reason
    good["server_measurement"] = None
    assert ("", "server_accuracy") not in failures(good, min_server_accuracy=0.5)[1], "those of earlier versions"
    for item in good["measurements"]:
        item["details"]["accuracy"]["server"] = None
    assert "not known" in failures(good, min_server_accuracy=0.5)[1]["", "server_accuracy"].reason


def test_broken_outputs_of_an_artifact_say_nothing_of_the_server_model(good):
    broken = {"reason": "9 of 9 output values of the artifact are NaN or infinite", "value": None, "server": None}
    for item in good["measurements"]:
        report = item["details"]["accuracy"]
        for part in (report, *report["outputs"].values()):
            part.update(broken)
    checks = failures(good, min_server_accuracy=0.5)[1]
    assert ("", "server_accuracy") not in checks
    assert "of the artifact are NaN" in checks[INT8, "accuracy"].reason


def floor_check(manifest: dict[str, Any], floor: Any) -> Check:
    checks = verdict_of(manifest, min_server_accuracy=floor).checks
    (found,) = [check for check in checks if check.check.startswith("server_accuracy")]
    return found


def test_a_floor_is_only_held_against_its_own_metric(good):
    assert floor_check(good, {"top1": 0.5}).verdict is Verdict.PASS
    assert floor_check(good, {"top1": 0.99}).verdict is Verdict.FAIL
    other = floor_check(good, {"f1": 0.5})
    assert other.verdict is Verdict.INCONCLUSIVE
    assert "is for f1, and the metric here is top1" in other.reason
    good["server_measurement"].update(metric="average_precision", why="2 % of the labels are 1")
    unnamed = floor_check(good, 0.5)
    assert unnamed.verdict is Verdict.INCONCLUSIVE, "with other labels it would be another metric"
    assert "write min_server_accuracy = { average_precision = 0.5 }" in unnamed.reason
    assert floor_check(good, {"average_precision": 0.5}).verdict is Verdict.PASS
    good["server_measurement"].update(why="")
    assert floor_check(good, 0.5).verdict is Verdict.PASS, "the configuration names it"


def test_each_output_is_held_to_the_floor_of_its_metric(good):
    one = {**good["server_measurement"], "outputs": {}}
    error = {**one, "metric": "mae", "share": False, "higher_is_better": False, "server": 4.0}
    good["server_measurement"]["outputs"] = {"scores": one, "effort": error}
    checks = verdict_of(good, min_server_accuracy={"top1": 0.5, "mae": 3}).checks
    found = {item.check: item.verdict for item in checks if item.check.startswith("server_accuracy")}
    assert found == {"server_accuracy:scores": Verdict.PASS, "server_accuracy:effort": Verdict.FAIL}
    assert floor_check(good, {"mae": 5}).check == "server_accuracy:effort", "what is said of one alone"
    assert floor_check(good, 0.5).verdict is Verdict.INCONCLUSIVE, "one number for two metrics"


@pytest.fixture
def undecided(good):
    """Scores that hardly differ, without labels: noise of 14 dB, which the floor of int8 lets pass, turns every other answer."""
    rng = np.random.default_rng(0)
    logits = 0.05 * rng.normal(size=(2000, 10))
    server = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    item = measured(good)
    item["details"]["parity"]["scores"] = found = to_json(
        parity.compare_output("scores", server, server + 0.02 * rng.normal(size=server.shape))
    )
    assert found["sqnr_db"] > 10
    item["details"].pop("accuracy")
    good["measurements"], good["artifacts"] = [item], [part for part in good["artifacts"] if part["id"] == INT8]
    return good


def test_noise_beyond_the_margins_of_the_answers_fails_without_labels(undecided):
    verdict, checks = failures(undecided, accuracy="none", min_sqnr_db=10)
    assert verdict is Verdict.FAIL
    assert checks[INT8, "margins"].verdict is Verdict.FAIL
    assert checks[INT8, "accuracy:scores"].verdict is Verdict.INCONCLUSIVE, "always the mean has less noise"
    _, checks = failures(undecided, accuracy="none", min_sqnr_db=10, **{INT8: {"min_sqnr_db": 10}})
    assert list(checks) == [(INT8, "accuracy:scores")]


def test_numbers_that_nobody_calls_answers_have_no_margins(undecided):
    measured(undecided)["details"]["parity"]["scores"] |= {"probabilities": False, "constant_agreement": 0.1}
    assert list(failures(undecided, accuracy="none", min_sqnr_db=10)[1]) == [(INT8, "accuracy:scores")]
    checks = failures(undecided, accuracy="none", min_agreement=0.15)[1]
    assert list(checks) == [(INT8, "margins")], "a share of same answers is asked for"


@pytest.mark.parametrize(("metric", "judged"), [("top1", True), ("map", False), ("wer", False), ("ndcg@5", False)])
def test_boxes_words_and_rankings_are_no_answers_of_their_own(good, metric, judged):
    report = measured(good)["details"]["accuracy"]
    for part in (report, *report["outputs"].values()):
        part["metric"] = metric
    checks = [check.check for check in verdict_of(good).checks if check.artifact == INT8]
    assert ("margins" in checks) is judged


@pytest.mark.parametrize(("table", "limit"), [({}, 0.2), ({"accuracy": "mlperf99.9"}, 0.063), ({"max_drop": 5}, 0.447)])
def test_the_margins_that_noise_may_reach_follow_from_the_budget(good, table, limit):
    checks = [check for check in verdict_of(good, **table).checks if (check.artifact, check.check) == (INT8, "margins")]
    assert [check.verdict for check in checks] == [Verdict.PASS]
    assert checks[0].limit == pytest.approx(limit, abs=1e-3)


def constant_answer(**figures: Any) -> dict[str, Any]:
    return {"metric": "top1", "answer": "class 3", "share": True, "n": 2000, "label": 3, **figures}


@pytest.mark.parametrize(
    ("figures", "verdict", "words"),
    [
        ({"value": 0.11, "server": 0.9, "gain": 0.79, "low": 0.77, "high": 0.81}, "PASS", "always answering dress gives 11.00 %"),
        ({"value": 0.11, "server": 0.1, "gain": -0.01, "low": -0.03, "high": 0.01}, "FAIL", "is it the right file"),
        ({"value": 0.11, "server": 0.11, "gain": 0, "low": -0.002, "high": 0.002}, "FAIL", "a gain of 0.00 points"),
        ({"value": 0.11, "server": 0.14, "gain": 0.03, "low": 0.01, "high": 0.05}, "INCONCLUSIVE", "= { top1 = 0.14 } in"),
        ({"value": 0.6, "server": 0.7, "gain": 0.1, "low": -0.1, "high": 0.3, "n": 20}, "INCONCLUSIVE", "about 160 samples"),
        ({"value": 1, "server": 1, "gain": 0, "low": -0.1, "high": 0.1}, "INCONCLUSIVE", "tells no model from none"),
    ],
)  # fmt: skip
def test_a_server_model_is_better_than_always_the_same_answer(good, figures, verdict, words):
    good["constant_answers"] = {"scores": constant_answer(**figures)}
    result = verdict_of(good)
    (check,) = [item for item in result.checks if item.check == "constant_answer"]
    assert (check.verdict, result.verdict) == (verdict, verdict)
    assert words in check.reason
    other = verdict_of(good, accuracy="none", min_agreement=0.95)
    assert not [item for item in other.checks if item.check == "constant_answer"], "what accuracy is not asked of"


def test_little_skill_passes_where_somebody_said_that_it_is_enough(good):
    good["constant_answers"] = {"scores": constant_answer(value=0.11, server=0.14, gain=0.03, low=0.01, high=0.05)}
    assert verdict_of(good, min_server_accuracy=0.1).verdict is Verdict.PASS
    good["constant_answers"]["scores"].update(gain=0.0, low=-0.01, high=0.01)
    assert verdict_of(good, min_server_accuracy=0.1).verdict is Verdict.FAIL, "no better is never enough"


def test_each_output_of_the_server_model_is_looked_at(good):
    fine = constant_answer(value=0.11, server=0.9, gain=0.79, low=0.77, high=0.81)
    bad = constant_answer(
        value=3, server=3, gain=0, low=0, high=0, share=False, higher_is_better=False, metric="mae", label=None
    )
    good["constant_answers"] = {"scores": fine, "effort": bad}
    assert list(failures(good)[1]) == [("", "constant_answer:effort")]

"""The gate and devices: what ran is judged, what had to run and did not fails, instructions are held to their limits."""

import copy
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from edgeship.benchmarks.compare import accuracy, parity, parity_matrix
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.benchmarks.report import junit, table_rows, terminal_table
from edgeship.bundle.figures.device_figures import NOT_COMPARED
from edgeship.bundle.manifest import parse_manifest
from edgeship.bundle.verdict import ArtifactReason
from edgeship.errors import InputError
from edgeship.types import Verdict, to_json
from tests.present import present

N = 400


def outputs(noise=0.0, seed=1):
    random = np.random.default_rng(0)
    logits = random.normal(size=(N, 5))
    truth = logits.argmax(axis=1)
    return truth, {"y": logits}, {"y": logits + noise * np.random.default_rng(seed).normal(size=logits.shape)}


def measurement(device, cell, noise=0.0, counted=None, samples=N):
    truth, server, found = outputs(noise)
    part = {"y": server["y"][:samples]}, {"y": found["y"][:samples]}
    report = accuracy.measure({"y": truth[:samples]}, *part)
    details = {"accuracy": to_json(report), "parity": to_json(parity.compare(*part))}
    details["samples"] = {"n": samples, "of": N}
    metrics = [metric("size_disk_bytes", 1000), metric("max_abs_error", 0.1)]
    if cell["state"] in NOT_COMPARED:
        details, metrics = (
            {},
            [metric("size_disk_bytes", 1000), metric("max_abs_error", None, f"not run: {cell['reason']}", "not_run")],
        )
    if counted:
        metrics += [metric("instructions", counted), metric("instructions_ratio", counted / 1000)]
    kind = {"kind": "emulated"}
    return {
        "artifact": "tflite/int8", "runtime": "litert", "device": device, "metrics": metrics,
        "details": {"content": CONTENT, **details, "cell": {**cell, **kind}},
    }  # fmt: skip


def metric(name, value, reason="", availability="available"):
    figure = {"name": name, "value": value, "unit": "", "kind": "emulated"}
    return {**figure, "reason": reason, "availability": availability}


PATH, CONTENT = "tflite/int8.tflite", "aa" * 32
EXACT = {"state": "exact", "text": "bit-exact", "reason": ""}
FAILED = {"state": "failed", "text": "fails", "reason": "no kernel"}
REFUSED = {"state": "refused", "text": "-", "reason": "it takes .onnx files only"}


@pytest.fixture
def manifest():
    artifact = {
        "id": "tflite/int8", "path": PATH, "format": "tflite", "variant": "int8",
        "steps": [{"name": "x", "source": "5e"}], "content": CONTENT,
    }  # fmt: skip
    return {
        "files": {PATH: CONTENT},
        "server_model": {
            "path": "server/server.keras",
            "digest": "5e",
            "inputs": [],
            "outputs": [{"name": "y", "shape": [None, 5], "dtype": "float32"}],
        },
        "config": {},
        "artifacts": [artifact],
        "measurements": [measurement("cortex-a72", EXACT, counted=600)],
    }


def failures(manifest, **budget):
    result = judge(parse_manifest(manifest), Budget.parse(budget))
    return result, [check for check in result.checks if check.verdict is not Verdict.PASS]


def test_a_device_that_agrees_passes_and_is_named_in_its_checks(manifest):
    result, failed = failures(manifest, required_devices=["cortex-a72"])
    assert not failed, failed
    assert result.verdict is Verdict.PASS
    named = {check.device for check in result.checks if check.check == "accuracy"}
    assert named == {"cortex-a72"}
    check = next(check for check in result.checks if check.check == "accuracy")
    assert terminal_table.check_title(check) == "tflite/int8 on litert @ cortex-a72, accuracy"


def test_what_is_printed_and_what_ci_reads_tells_devices_apart(manifest, capsys):
    manifest["measurements"] = [measurement(name, EXACT) for name in ("host", "cortex-a72", "cortex-a53")]
    typed = parse_manifest(manifest)
    judged = replace(typed, gate=judge(typed, Budget.parse({"required_devices": ["cortex-m"]})))
    cases = [item.attrib for item in ElementTree.fromstring(junit.render(judged)).iter("testcase")]
    names = [(item["classname"], item["name"]) for item in cases]
    assert len(set(names)) == len(names)
    assert {"tflite/int8.litert", "tflite/int8.litert.cortex-a72", "bundle.cortex-m"} <= {name for name, _ in names}
    terminal_table.print_checks(present(judged.gate))
    shown = capsys.readouterr().out
    for part in ("litert @ cortex-a72", "litert @ cortex-a53", "@ cortex-m"):
        assert part in shown


def test_a_device_that_computes_otherwise_fails(manifest):
    manifest["measurements"] = [measurement("cortex-a72", EXACT, noise=2.0)]
    _, failed = failures(manifest)
    assert "accuracy" in {check.check for check in failed}


@pytest.mark.parametrize("cell", [FAILED, {**FAILED, "state": "absent"}])
def test_a_required_device_that_could_not_run_is_a_failure_and_another_is_told(manifest, cell):
    manifest["measurements"].append(measurement("field-tflite-2.14", cell))
    result, failed = failures(manifest)
    assert not failed
    assert ArtifactReason("tflite/int8 @ field-tflite-2.14", "no kernel") in result.not_judged
    result, (check,) = failures(manifest, required_devices=["field-tflite-2.14"])
    assert result.verdict is Verdict.FAIL
    assert (check.check, check.device, check.reason) == (
        "device",
        "field-tflite-2.14",
        "required, but did not run: no kernel",
    )


def test_a_required_device_that_was_not_measured_is_a_failure(manifest):
    _, (check,) = failures(manifest, required_devices=["cortex-m"])
    assert "it was not measured (--device)" in check.reason


def test_a_required_device_need_not_take_every_format_but_must_take_one(manifest):
    manifest["measurements"].append(measurement("field-ort-1.17", REFUSED))
    assert failures(manifest)[1] == []
    _, (check,) = failures(manifest, required_devices=["field-ort-1.17"])
    assert "it takes .onnx files only" in check.reason
    other = copy.deepcopy(manifest["measurements"][0]) | {"artifact": "onnx/int8", "device": "field-ort-1.17"}
    manifest["measurements"].append(other)
    onnx = {"id": "onnx/int8", "format": "onnx", "path": "onnx/int8.onnx"}
    manifest["artifacts"].append({**manifest["artifacts"][0], **onnx})
    manifest["files"]["onnx/int8.onnx"] = CONTENT
    assert failures(manifest, required_devices=["field-ort-1.17"])[1] == []
    _, (check,) = failures(manifest, **{"tflite/int8": {"required_devices": ["field-ort-1.17"]}})
    assert (check.artifact, check.device) == ("tflite/int8", "field-ort-1.17")


def test_nothing_that_ran_anywhere_is_a_failure(manifest):
    manifest["measurements"] = [measurement("cortex-a72", FAILED)]
    result, failed = failures(manifest)
    assert result.verdict is Verdict.FAIL
    assert any("cortex-a72: no kernel" in check.reason for check in failed)


def test_a_part_of_the_samples_need_not_decide_but_may_fail(manifest):
    manifest["measurements"].append(measurement("cortex-a53", EXACT, samples=8))
    assert failures(manifest)[1] == []
    manifest["measurements"][-1] = measurement("cortex-a53", EXACT, samples=200, noise=3.0)
    assert any(check.check == "accuracy" for check in failures(manifest)[1])


def test_a_part_of_the_samples_decides_where_nothing_else_does(manifest):
    manifest["measurements"] = [measurement("cortex-a53", EXACT, samples=8)]
    result, failed = failures(manifest)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {check.check for check in failed} == {"accuracy"}


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [
        ({"max_instructions": 606}, Verdict.PASS),
        ({"max_instructions": 594}, Verdict.FAIL),
        ({"max_instructions_ratio": 0.61}, Verdict.PASS),
        ({"max_instructions_ratio": 0.59}, Verdict.FAIL),
    ],
)
def test_instructions_are_held_to_one_percent(manifest, budget, verdict):
    result, failed = failures(manifest, **budget)
    assert result.verdict is verdict
    assert {check.check for check in failed} == (
        set(budget) and {next(iter(budget)).removeprefix("max_")} if failed else set()
    )


def test_instructions_that_could_not_be_counted_or_were_not_fail(manifest):
    for item in manifest["measurements"][0]["metrics"]:
        if item["name"] == "instructions":
            item.update(value=None, reason="took longer", availability="failed")
    _, (check,) = failures(manifest, max_instructions=700)
    assert check.reason == "not counted: took longer"
    manifest["measurements"] = [measurement("field-litert-1.4", EXACT)]
    _, (check,) = failures(manifest, max_instructions_ratio=1)
    assert "no device that counts them was measured" in check.reason


@pytest.mark.parametrize(
    ("budget", "check"), [({"max_latency_ratio": 99}, "latency_ratio"), ({"max_peak_memory": "9 GB"}, "peak_memory")]
)
def test_limits_that_no_device_is_held_to_fail_where_only_devices_ran(manifest, budget, check):
    result, (found,) = failures(manifest, **budget)
    assert result.verdict is Verdict.FAIL
    assert (found.artifact, found.check) == ("tflite/int8", check)
    assert "only devices ran it" in found.reason


def test_required_is_what_is_in_the_bundle_and_ran(manifest):
    """Its figures may be left where it was taken out, and what a device could not run did not run."""
    budget = {"required": ["tflite/int8"], "optional": ["tflite/*"]}
    assert failures(manifest, **budget)[1] == []
    other = {**manifest["artifacts"][0], "id": "tflite/other", "variant": "other"}
    mine = {**manifest["measurements"][0], "artifact": "tflite/other"}
    without = {**manifest, "artifacts": [other], "measurements": [*manifest["measurements"], mine]}
    _, (check,) = failures(without, **budget)
    assert (check.artifact, check.check) == ("tflite/int8", "required")
    manifest["measurements"] = [measurement("cortex-a72", FAILED)]
    manifest["measurements"][0]["metrics"][1].update(reason="no kernel", availability="failed")
    assert "required" in {check.check for check in failures(manifest, **budget)[1]}


@pytest.mark.parametrize("value", ["cortex-a72", ["cortex-a99"], [3], 5])
def test_required_devices_must_be_known(value):
    with pytest.raises(InputError, match=r"cortex-a72|cortex-a99"):
        Budget.parse({"required_devices": value})


def test_rows_show_what_ran_and_the_matrix_the_rest(manifest):
    manifest["measurements"].append(measurement("field-tflite-2.14", FAILED))
    shown = table_rows.build(parse_manifest(manifest)).rows
    assert [row["runtime"] for row in shown] == ["litert @ cortex-a72"]
    assert shown[0]["kind"] == "emulated"
    assert not shown[0]["p50"]
    matrix = parity_matrix.build_parity_matrix(parse_manifest(manifest))
    assert matrix.cells["tflite/int8"]["field-tflite-2.14"].text == "fails"


ESTIMATED = {"state": "estimated", "text": "100% on NPU, 94.1 k cycles", "reason": ""}


def test_an_estimate_judges_nothing_and_alone_is_no_pass(manifest):
    estimate = measurement("ethos-u55-128", ESTIMATED) | {"details": {"cell": ESTIMATED}}
    manifest["measurements"].append(estimate)
    result, failed = failures(manifest, required_devices=["ethos-u55-128"])
    assert not failed
    assert result.not_judged == ()
    assert [row["runtime"] for row in table_rows.build(parse_manifest(manifest)).rows] == ["litert @ cortex-a72"]
    manifest["measurements"] = [estimate]
    result, failed = failures(manifest)
    assert result.verdict is Verdict.FAIL
    assert any("ethos-u55-128: it only estimates" in check.reason for check in failed)

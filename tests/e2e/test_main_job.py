"""The main job through the command line, on real data: train, init, ship, verify, gate, benchmark, report, inspect."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from edgeship.bundle import bundle
from edgeship.types import Availability
from tests.present import metric_value, present

TIMES = re.compile(r"load, latency, memory|in turn")  # steps of which a busy machine withholds times

ARTIFACTS = {
    "tflite/float32",
    "tflite/int8",
    "tflite/mobile",
    "onnx/float32",
    "onnx/int8",
    "tfjs/float32",
    "tfjs/weight_only_w8",
}


def test_ship_makes_measures_and_judges_every_artifact(shipped):
    opened = bundle.open_bundle(shipped.bundle)
    manifest = opened.manifest
    assert {artifact.id for artifact in opened.artifacts} == ARTIFACTS
    names = [(tuple(s.name for s in a.inputs), tuple(s.name for s in a.outputs)) for a in opened.artifacts]
    assert set(names) == {(("window",), ("probabilities",))}
    assert manifest.gate is not None
    assert manifest.gate.verdict in ("PASS", "INCONCLUSIVE", "FAIL")
    assert manifest.gate.checks
    for measurement in manifest.measurements:
        for metric in measurement.metrics:
            assert metric.value is not None or metric.reason, (measurement.artifact, metric.name)
        accuracy = measurement.metric("accuracy")
        assert accuracy
        assert accuracy.value is not None or "node" in accuracy.reason


def test_every_receipt_says_what_the_artifact_holds(shipped):
    receipts = {item.id: present(item.receipt) for item in bundle.open_bundle(shipped.bundle).manifest.artifacts}
    int8 = receipts["tflite/int8"]
    assert present(int8.int8_op_share) > 0.9
    assert int8.inputs[0].dtype == "int8"
    assert present(int8.inputs[0].quantization).scale[0] > 0
    assert receipts["onnx/float32"].opset == 17
    batches = {name: receipt.inputs[0].shape[0] for name, receipt in receipts.items()}
    assert batches == {name: 1 if name == "tflite/mobile" else None for name in ARTIFACTS}


def test_a_second_ship_does_nothing_again(edgeship, shipped):
    first = bundle.open_bundle(shipped.bundle).manifest
    done = edgeship("ship", shipped.model, "--out", "again", PYTHONPROFILEIMPORTTIME="1")
    steps = [line for line in done.stderr.splitlines() if line.strip().startswith("done")]
    assert steps
    # What a busy machine withheld is taken again where it is quiet now.
    withheld = {
        f"{item.artifact} on {item.runtime}"
        for item in first.measurements
        if any(metric.availability is Availability.UNSTABLE for metric in item.metrics)
    }
    again = [step for step in steps if "cached" not in step]
    assert all(any(name in step for name in withheld) and TIMES.search(step) for step in again), done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "edgeship.pipeline.ship" in imported
    slow = {name for name in imported if name.partition(".")[0] in ("scipy", "tensorflow", "onnx")}
    assert not slow or again  # each takes longer than all that a cached run does
    assert bundle.open_bundle(edgeship.folder / "again").manifest.artifacts == first.artifacts


def test_changing_one_recipe_redoes_only_what_depends_on_it(edgeship, shipped):
    done = edgeship("convert", shipped.model, "--out", "out", "--to", "tflite,onnx", "--io", "float32", check=0)
    fresh = [line for line in done.stderr.splitlines() if line.strip().startswith("done") and "cached" not in line]
    assert len(fresh) == 1, done.stderr
    assert "tflite: quantize to int8" in fresh[0]


def test_verify_replays_the_goldens(edgeship, shipped):
    done = edgeship("verify", shipped.bundle, "--json", "-")
    replays = json.loads(done.stdout)["replays"]
    assert {item["artifact"] for item in replays} == ARTIFACTS
    assert all(item["passed"] for item in replays if item["runtime"])


def test_the_goldens_tolerance_is_measured_on_other_kernels(edgeship, shipped):
    runs = json.loads((shipped.bundle / "manifest.json").read_text())["goldens"]["artifacts"]
    replayed = {item["kernels"]: item for item in runs["tflite/int8"]["kernels"]}
    assert set(replayed) == {"without-delegates", "reference"}
    assert replayed["without-delegates"]["samples"] > 16 > replayed["reference"]["samples"] > 0
    for name, run in runs.items():
        for item in run["kernels"]:
            assert item["spread"] is not None, (name, item)
            assert all(item["spread"][output] <= run["tolerance"][output] for output in item["spread"])
    assert {item["kernels"] for item in runs["onnx/int8"]["kernels"]} == {"unoptimized"}


def test_verify_fails_another_answer_that_the_tolerance_would_let_pass(edgeship, shipped):
    """As a bundle with a wide tolerance may meet it: the clear answers are what is left to tell."""
    shutil.copytree(shipped.bundle, edgeship.folder / "other")
    manifest = json.loads((edgeship.folder / "other/manifest.json").read_text())
    run = manifest["goldens"]["artifacts"]["tflite/float32"]
    (output,) = run["clear"]
    assert run["clear"][output], "a trained model is sure of some of its goldens"
    run["tolerance"][output] = 2.0
    goldens = edgeship.folder / "other/goldens/tflite-float32.npz"
    with np.load(goldens) as stored:
        scores = stored[output]
    np.savez(goldens, **{output: np.roll(scores, 1, axis=1)})
    bundle.seal_content(edgeship.folder / "other", manifest)
    done = edgeship("verify", "other", "--json", "-", check=1)
    failed = [item for item in json.loads(done.stdout)["replays"] if not item["passed"] and item["runtime"]]
    assert {item["artifact"] for item in failed} == {"tflite/float32"}
    assert "another answer" in failed[0]["reason"]


def test_gate_writes_what_ci_reads(edgeship, shipped):
    done = edgeship("gate", shipped.bundle, "--junit", "gate.xml", "--markdown", "gate.md", "--json", "gate.json")
    report = json.loads((edgeship.folder / "gate.json").read_text())["gate"]
    assert done.returncode == (0 if report["verdict"] == "PASS" else 1)
    suites = ElementTree.parse(edgeship.folder / "gate.xml").getroot()
    cases = list(suites.iter("testcase"))
    skipped = [case for case in cases if case.find("skipped") is not None]  # without Node, TF.js is not judged
    assert len(cases) - len(skipped) == len(report["checks"])
    assert len(skipped) == len(report.get("not_judged", ()))
    assert report["verdict"] in (edgeship.folder / "gate.md").read_text()


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        # How much int8 costs depends on the training: all that it may cost is allowed.
        ("max_drop = 100\nmax_class_drop = 100\nmax_sure_flips = 100\noptional = ['tfjs/*']", 0),
        ("max_size_disk = 1000", 1),
        ("min_server_accuracy = 0.999", 1),
    ],
)
def test_the_exit_code_follows_the_budget(edgeship, shipped, budget, code):
    (edgeship.folder / "budget.toml").write_text(f"[budget]\n{budget}\n")
    done = edgeship("gate", shipped.bundle, "--config", "budget.toml")
    assert done.returncode == code, done.stdout + done.stderr


def test_benchmark_without_data_fails_closed(edgeship, shipped):
    edgeship("convert", shipped.model, "--out", "bare", "--to", "onnx", "--config", empty(edgeship.folder), check=0)
    done = edgeship("benchmark", "bare")
    assert done.returncode == 1
    assert "no evaluation data" in done.stdout
    assert "no profile.json, by which clients count: it needs evaluation data" in done.stderr


def empty(folder):
    path = folder / "empty.toml"
    path.write_text("")
    return path


def test_the_formats_are_compared_with_each_other(shipped):
    """The same recipe from the same data: int8 in both formats agrees, float32 to the last digits."""
    manifest = json.loads((shipped.bundle / "manifest.json").read_text())
    between = {item["artifact"]: item for item in manifest["between_formats"]}
    assert set(between) == {"onnx/float32", "onnx/int8"}
    assert between["onnx/int8"]["against"] == "tflite/int8"
    figures = {name: item["parity"]["probabilities"] for name, item in between.items()}
    assert figures["onnx/float32"]["max_abs_error"] < 1e-4
    assert 0.9 < figures["onnx/int8"]["agreement"] <= 1
    assert figures["onnx/int8"]["max_abs_error"] > figures["onnx/float32"]["max_abs_error"]
    assert "against tflite/int8" in (shipped.bundle / "report" / "index.html").read_text()


def test_the_report_is_one_file_without_requests(edgeship, shipped):
    edgeship("report", shipped.bundle, "--out", "report.html", check=0)
    html = (edgeship.folder / "report.html").read_text()
    assert "tflite/int8" in html
    assert "<svg" in html
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']+""", html)


def test_inspect_says_what_a_file_holds(edgeship, shipped):
    for name in ("tflite/int8.tflite", "onnx/int8.onnx", "tfjs/float32"):
        report = json.loads(edgeship("inspect", shipped.bundle / name, "--json", "-", check=0).stdout)
        (receipt,) = report["artifacts"].values()
        assert receipt["outputs"][0]["name"] == "probabilities"


def test_a_bundle_travels(edgeship, shipped):
    """It holds the server model: it can be measured elsewhere, with other data, where the first lay no more."""
    moved = shipped.bundle.rename(edgeship.folder / "elsewhere")
    with np.load(shipped.folder / "evaluation.npz") as data:
        np.savez(edgeship.folder / "few.npz", **{name: data[name][:200] for name in data.files})
    shipped.model.unlink()
    done = edgeship("benchmark", moved, "--data", "few.npz", "--runtime", "litert,onnxruntime", "--json", "-")
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert {item["details"]["accuracy"]["n"] for item in report["measurements"] if "accuracy" in item["details"]} == {
        200
    }


def test_benchmark_without_tensorflow_measures_all_but_accuracy(edgeship, shipped):
    """As on a small board: no PASS, and the figures that the bundle has stay."""
    before = {path: path.read_bytes() for path in shipped.bundle.rglob("*") if path.is_file()}
    hidden = "import sys; sys.modules['tensorflow'] = None; from edgeship.cli import main; main()"
    arguments = [shipped.bundle, "--data", shipped.folder / "evaluation.npz", "--runtime", "litert"]
    done = subprocess.run(
        [sys.executable, "-c", hidden, "benchmark", *arguments, "--json", "results.json"],
        cwd=edgeship.folder,
        env={**os.environ, "EDGESHIP_CACHE": str(edgeship.cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"accuracy was not measured, and {shipped.bundle} is as it was" in done.stderr
    assert "report:" not in done.stdout
    results = json.loads((edgeship.folder / "results.json").read_text())
    assert results["gate"]["verdict"] == "FAIL"
    for item in results["measurements"]:
        metrics = {metric["name"]: metric for metric in item["metrics"]}
        assert metrics["size_disk_bytes"]["value"] > 0
        for name in ("accuracy", "accuracy_drop", "agreement", "sqnr_db"):
            assert metrics[name]["value"] is None
            assert "pip install 'edgeship[tensorflow]'" in metrics[name]["reason"]
        if item["runtime"] == "litert":
            assert metrics["peak_memory_bytes"]["value"] > 0
    assert {path: path.read_bytes() for path in shipped.bundle.rglob("*") if path.is_file()} == before


def test_a_batch_that_is_fixed_at_a_number(edgeship, shipped):
    (shipped.folder / "many.toml").write_text(
        '[variants.float32]\nformats = ["tflite"]\n\n[variants.many]\nformats = ["tflite"]\nstatic_batch = 7\n'
    )
    edgeship("convert", shipped.model, "--out", "out", "--config", shipped.folder / "many.toml", check=0)
    data = shipped.folder / "evaluation.npz"
    edgeship("benchmark", "out", "--data", data, "--runtime", "litert")
    opened = bundle.open_bundle(edgeship.folder / "out")
    many = next(item for item in opened.manifest.measurements if item.artifact == "tflite/many")
    one = next(item for item in opened.manifest.measurements if item.artifact == "tflite/float32")
    assert next(item for item in opened.artifacts if item.variant == "many").inputs[0].shape[0] == 7
    # Another batch may round otherwise: a sample on the edge.
    samples = present(many.details.accuracy).n
    assert abs(metric_value(many, "accuracy") - metric_value(one, "accuracy")) * samples <= 1 + 1e-9
    assert metric_value(many, "max_abs_error") < 1e-4
    assert metric_value(many, "peak_memory_bytes") > 0
    for name in ("first_inference_ms", "latency_p50_ms", "latency_ratio"):
        assert present(many.metric(name)).reason == "tflite/many takes 7 samples at once: no cost of one inference"

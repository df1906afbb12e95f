"""What a browser measured comes back into the report, and what is not about this bundle stays out."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeship.benchmarks.report import table_rows
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry, GoldenRun, GoldenSet, Manifest
from edgeship.bundle.verdict import GateResult
from edgeship.demo import selftest
from edgeship.errors import InputError
from edgeship.types import Verdict

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.5 Safari/604.1"
PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537 Edg/126.0.0.0"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"

ARTIFACT = ArtifactEntry("tfjs/float32", "tfjs/float32/model.json", "tfjs", "float32", digest="abc")
GOLDENS = GoldenSet(samples=16, artifacts={"tfjs/float32": GoldenRun("tfjs-node", tolerance={"y": 1e-3})})
MANIFEST = Manifest({}, (ARTIFACT,), (), goldens=GOLDENS, gate=GateResult(Verdict.PASS))


def with_tolerance(tolerance):
    """The manifest with another tolerance of the artifact."""
    return replace(
        MANIFEST, goldens=GoldenSet(16, artifacts={"tfjs/float32": GoldenRun("tfjs-node", tolerance=tolerance)})
    )


@pytest.fixture
def found():
    return {
        "schema": 1, "kind": "edgeship-selftest", "bundle": "b", "artifact": "tfjs/float32", "artifactDigest": "abc",
        "backend": "wasm", "engine": "SIMD, 4 threads", "userAgent": PIXEL,
        "when": "2026-01-01T00:00:00Z", "samples": 16, "passed": True,
        "outputs": {"y": {"maxAbsError": 1e-6, "tolerance": 1e-3, "maxAbsErrorServer": 2e-6, "agreement": 1, "passed": True}},
        "preprocessing": True, "latency": {"runs": 50, "p50Ms": 4, "p90Ms": 5.5, "meanMs": 4.2, "minMs": 3, "isolated": True},
        "loadMs": 80, "firstMs": 12, "accuracy": 0.9,
    }  # fmt: skip


@pytest.fixture
def add(tmp_path):
    (tmp_path / "goldens").mkdir()
    for name in ("outputs", "tfjs-float32"):
        np.savez(tmp_path / "goldens" / f"{name}.npz", y=np.linspace(0, 1, 32, dtype=np.float32).reshape(16, 2))

    def adding(content, manifest=MANIFEST):
        path = tmp_path / "selftest.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return selftest.with_field_results(Bundle(tmp_path, manifest), [path])

    return adding


def test_figures_are_measured_on_the_device_that_the_browser_names(add, found):
    manifest = add(found)
    (item,) = manifest.measurements
    row = table_rows.build(manifest).rows[0]
    assert row["runtime"] == "tfjs-wasm @ Chrome 126 on Android 14"
    assert (row["p50"], row["load"], row["first"], row["kind"], row["verdict"]) == (
        "4 ms",
        "80 ms",
        "12 ms",
        "measured",
        "PASS",
    )
    assert (item.runtime, item.device) == ("tfjs-wasm", "Chrome 126 on Android 14")
    assert item.details.parity["y"].max_abs_error == 2e-6
    assert manifest.gate.verdict == "PASS"
    assert MANIFEST.measurements == ()


def test_a_self_test_that_failed_fails_the_report(add, found):
    found["passed"] = False
    found["outputs"]["y"] |= {"maxAbsErrorServer": None, "maxAbsError": None, "passed": False}
    manifest = add(found)
    assert manifest.gate.verdict == "FAIL"
    assert "FAILED" in manifest.gate.checks[0].reason and "not finite" in manifest.gate.checks[0].reason
    assert table_rows.build(manifest).rows[0]["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"maxAbsError": 1e9}, "is off by 1e+09, allowed are 0.001"),
        ({"maxAbsError": 1e9, "tolerance": 1e12}, "is off by 1e+09, allowed are 0.001"),
        ({"maxAbsError": None}, "'y' is not finite"),
        ({"passed": False}, "the page found it wrong"),
        ({"maxAbsErrorServer": 1e9}, "'y' cannot be off the server model by 1000000000.0, as the goldens are by 0"),
        ({"maxAbsErrorServer": None}, "'y' cannot be off the server model by None"),
    ],
)
def test_what_a_self_test_says_of_itself_is_not_believed(add, found, change, says):
    found["outputs"]["y"] |= change
    manifest = add(found)
    (check,) = manifest.gate.checks
    assert (check.verdict, manifest.gate.verdict) == ("FAIL", "FAIL")
    assert says in check.reason


def test_a_self_test_is_as_far_from_the_server_model_as_the_goldens_are(add, found, tmp_path):
    with np.load(tmp_path / "goldens" / "outputs.npz") as stored:
        np.savez(tmp_path / "goldens" / "outputs.npz", y=stored["y"] + np.float32(0.25))
    assert "'y' cannot be off the server model by 2e-06" in add(found).gate.checks[0].reason
    found["outputs"]["y"]["maxAbsErrorServer"] = 0.25
    assert add(found).gate.verdict == "PASS"


def test_a_self_test_must_have_replayed_what_the_bundle_holds(add, found):
    changes: list[dict[str, Any]] = [
        {"samples": 0},
        {"samples": 15},
        {"outputs": {}},
        {"outputs": {"z": found["outputs"]["y"]}},
    ]
    for change in changes:
        assert add(found | change).gate.verdict == "FAIL", change


def test_without_tolerances_a_self_test_is_not_decided(add, found):
    manifest = add(found, with_tolerance(None))
    assert manifest.gate.checks[0].verdict == manifest.gate.verdict == "INCONCLUSIVE"
    assert table_rows.build(manifest).rows[0]["verdict"] == "INCONCLUSIVE"


def test_what_failed_before_stays_failed(add, found):
    assert add(found, replace(MANIFEST, gate=GateResult(Verdict.FAIL))).gate.verdict == "FAIL"


@pytest.mark.parametrize("tolerance", [1e300, 0.3, 0, -1, None, True, "1"])
def test_an_absurd_tolerance_lets_no_self_test_pass(add, found, tolerance):
    """The range of the outputs in the goldens bounds it, not the manifest."""
    found["outputs"]["y"]["maxAbsError"] = 1e-6
    manifest = add(found, with_tolerance({"y": tolerance}))
    assert manifest.gate.verdict == "FAIL"
    assert "output 'y' has" in manifest.gate.checks[0].reason


def test_a_self_test_needs_goldens_to_be_judged_by(add, found, tmp_path):
    (tmp_path / "goldens" / "tfjs-float32.npz").unlink()
    assert add(found).gate.verdict == "FAIL"


def test_another_artifact_is_refused(add, found):
    with pytest.raises(InputError, match="not in this bundle"):
        add(found | {"artifactDigest": "other"})
    with pytest.raises(InputError, match="not in this bundle"):
        add(found | {"artifact": "tfjs/int8"})


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"kind": "edgeship-selftest", "schema": 2}', '{"kind": "other", "schema": 1}']
)
def test_other_files_are_refused(add, content):
    with pytest.raises(InputError, match=r"not a self-test|cannot be read"):
        add(content)


@pytest.mark.parametrize(
    "change",
    [
        {"latency": {"p50Ms": "fast"}},
        {"loadMs": -1},
        {"outputs": []},
        {"outputs": {"y": {}}},
        {"outputs": {"y": {"maxAbsError": 0, "maxAbsErrorServer": 0, "agreement": 5, "passed": True}}},
        {"samples": "many"},
        {"latency": [1]},
        {"samples": -1},
        {"samples": True},
        {"loadMs": True},
        {"backend": "\x1b[2J"},
        {"backend": ["wasm"]},
    ],
)
def test_values_that_are_no_figures_are_refused(add, found, change):
    with pytest.raises(InputError, match="not a self-test"):
        add(found | change)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        selftest.read_selftest(tmp_path / "nothing.json", Bundle(tmp_path, MANIFEST))


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (PIXEL, "Chrome 126 on Android 14"),
        (EDGE, "Edge 126 on Windows NT 10.0"),
        (FIREFOX, "Firefox 127 on Linux x86_64"),
        (IPHONE, "Safari 17 on CPU iPhone OS 17_5 like Mac OS X"),
        ("curl", "curl"),
    ],
)
def test_devices_are_named_in_a_few_words(agent, name):
    assert selftest.describe_device(agent) == name


def test_a_user_agent_of_any_length_is_read_at_once():
    began = time.process_time()
    assert selftest.describe_device("Chrome/1 " + "(" * 300_000).startswith("Chrome/1")
    assert time.process_time() - began < 5, "it took minutes, as the square of the length"

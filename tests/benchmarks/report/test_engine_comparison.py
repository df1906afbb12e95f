"""What the report says of engines in a browser: for which figures to stay with TF.js, and for which to move."""

from dataclasses import replace

import pytest

from edgeship.benchmarks.report import engine_comparison, html_report
from edgeship.bundle.manifest import parse_manifest
from edgeship.bundle.verdict import Check, GateResult
from edgeship.types import Verdict


@pytest.fixture
def in_browser(manifest):
    """`in_browser(tfjs, other)`: the manifest with these medians (ms), TF.js 0.4 MB to download and the other 2.9 MB."""

    def measured(tfjs, other):
        places = {"tfjs/float32": ("tfjs-web", tfjs, 400_000), "onnx/float32": ("ort-web", other, 2_900_000)}
        manifest["measurements"] = [item for item in manifest["measurements"] if item["artifact"] in places]
        for item in manifest["measurements"]:
            item["runtime"], median, size = places[item["artifact"]]
            item["device"] = "browser"
            item["details"]["latency"] = {"runs_on": {"engine_gzip_bytes": size}}
            for metric in item["metrics"]:
                if metric["name"] == "latency_p50_ms":
                    metric["value"] = median
                if metric["name"] == "size_brotli_bytes":
                    metric["value"] = 100_000
        return parse_manifest(manifest)

    return measured


def test_a_clearly_faster_engine_pays_after_some_inferences(in_browser):
    (group,) = engine_comparison.compare(in_browser(50.0, 30.0))
    assert group.advice.startswith("Move where a visit runs the model often: ONNX Runtime Web with onnx/float32 takes")
    # 2.5 MB at 10 Mbit/s are 2 s, at 20 ms saved each.
    assert "2.5 MB more, 2 s at 10 Mbit/s on the first visit, which 100 inferences make up for" in group.advice
    assert [row["engine"] for row in group.rows] == ["ONNX Runtime Web", "TF.js"]
    assert group.rows[1]["engine's download"] == "400 KB"


@pytest.mark.parametrize("other", [45.0, 80.0])
def test_an_engine_that_is_not_clearly_faster_is_no_reason_to_move(in_browser, other):
    (group,) = engine_comparison.compare(in_browser(50.0, other))
    assert group.advice.startswith("Stay with TF.js")
    assert "2.5 MB more" in group.advice


def test_an_artifact_that_failed_the_gate_is_no_way_out(in_browser):
    check = Check("onnx/float32", "ort-web", "size_disk", Verdict.FAIL, device="browser")
    manifest = replace(in_browser(50.0, 30.0), gate=GateResult(Verdict.FAIL, (check,)))
    (group,) = engine_comparison.compare(manifest)
    assert group.advice == "No advice: TF.js or every other engine failed the gate on this device."


def test_the_report_shows_it_only_where_two_engines_were_timed(in_browser, tmp_path, manifest):
    assert engine_comparison.compare(parse_manifest(manifest)) == []
    html = html_report.render(tmp_path, in_browser(50.0, 30.0), [])
    assert "In a browser: TF.js or another engine" in html and "100 inferences make up for" in html

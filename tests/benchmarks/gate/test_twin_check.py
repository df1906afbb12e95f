"""An artifact beside its twin, the same one made anew: equal, rounded otherwise, noisier, or another computation."""

from __future__ import annotations

import pytest

from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.bundle.manifest import parse_manifest
from edgeship.types import Verdict

INT8 = "tflite/int8"


def checks(manifest, artifact=INT8, **twin):
    """The verdict and reason of the artifact's check, with that comparison in the manifest."""
    content = next(item for item in manifest["measurements"] if item["artifact"] == artifact)["details"]["content"]
    manifest["twins"] = {artifact: {"content": content, **twin}}
    result = judge(parse_manifest(manifest), Budget())
    return [(item.verdict, item.reason) for item in result.checks if item.check.partition(":")[0] == "twin"]


def noise(manifest, artifact=INT8):
    parity = next(item for item in manifest["measurements"] if item["artifact"] == artifact)["details"]["parity"]
    return {name: output["sqnr_db"] for name, output in parity.items()}


def test_the_same_file_needs_no_more(manifest):
    assert checks(manifest, same=True) == [(Verdict.PASS, "the same file as its twin, made anew")]


def test_another_computation_fails_whatever_its_figures(manifest):
    ((verdict, reason),) = checks(manifest, files={"differences": ["3 of 9 numbers of 'conv' differ"], "numbers": 9})
    assert verdict is Verdict.FAIL
    assert "3 of 9 numbers of 'conv' differ" in reason


@pytest.mark.parametrize(("louder", "verdict"), [(-3, Verdict.PASS), (7.9, Verdict.PASS), (8.1, Verdict.FAIL)])
def test_noise_far_above_that_of_the_twin_fails(manifest, louder, verdict):
    twin = {name: value + louder for name, value in noise(manifest).items()}
    ((found, reason),) = checks(manifest, files={"numbers": 9}, sqnr_db=twin)
    assert found is verdict
    assert "its twin made anew has" in reason


def test_what_float32_itself_rounds_is_not_compared(manifest):
    twin = {name: value + 30 for name, value in noise(manifest, "tflite/float32").items()}
    ((verdict, _),) = checks(manifest, "tflite/float32", files={"numbers": 9}, sqnr_db=twin)
    assert verdict is Verdict.PASS


def test_a_remark_is_told_and_no_twin_is_no_check(manifest):
    ((verdict, reason),) = checks(manifest, files={"numbers": 1200, "remark": "another graph"})
    assert (verdict, reason) == (Verdict.PASS, "the 1,200 numbers of its twin, but for rounding (another graph)")
    assert not checks(manifest, reason="no twin: it was trained further")


def test_a_comparison_of_other_content_says_nothing(manifest):
    assert not checks(manifest, content="0" * 64, same=True)


def remarks(manifest, **twin):
    """What is remarked of a file that others made, with that comparison in the manifest; it has no check of a twin."""
    manifest["artifacts"] = [item for item in manifest["artifacts"] if item["id"] == INT8]
    manifest["artifacts"][0]["foreign"] = {"file": "int8.tflite"}
    assert not checks(manifest, **twin)
    return [item.reason for item in judge(parse_manifest(manifest), Budget()).remarks]


def test_of_others_files_a_difference_is_remarked_and_never_fails(manifest):
    twin = {name: value + 9 for name, value in noise(manifest).items()}
    (reason,) = remarks(manifest, files={"differences": ["3 of 9 numbers of 'conv' differ"]}, sqnr_db=twin)
    assert "edgeship's own file of its kind has" in reason and "3 of 9 numbers of 'conv' differ" in reason
    assert not remarks(manifest, files={"numbers": 9}, sqnr_db=noise(manifest))
    assert not remarks(manifest, same=True)
    assert not remarks(manifest, reason="no twin: it cannot be made")

"""A variant that cannot be had is a failure of that variant: the others are made, and the bundle says why and what to try."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgeship import api
from edgeship.bundle import bundle

OPTIONS = ("--to", "tflite,onnx", "--variant", "float32,int8", "--data", "calibration.npz", "--custom-objects", "hard")
FAILED = "tflite/int8"


@pytest.fixture(scope="session")
def hard(odd_models, tmp_path_factory) -> Path:
    """A folder with models whose layers are hard on a format, and data: some samples are zero, some large."""
    folder = tmp_path_factory.mktemp("hard")
    for name in ("waves.keras", "shares.keras", "tangents.keras", "hard.py"):
        shutil.copy(odd_models / name, folder)
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    x[::7], x[1::11] = 0, x[1::11] * 30
    np.savez(folder / "calibration.npz", x=x)
    return folder


def test_one_that_fails_leaves_the_others_and_says_why_everywhere(edgeship, hard):
    folder = shutil.copytree(hard, edgeship.folder, dirs_exist_ok=True)
    done = edgeship("convert", "waves.keras", "--out", "bundle", *OPTIONS, "--json", "result.json", check=1)
    assert "Traceback" not in done.stderr
    (failure,) = json.loads((folder / "result.json").read_text())["failures"]
    assert failure["artifact"] == FAILED and failure["step"] == "check"
    assert set(failure["layers"]) >= {"wave0", "wave3"}
    assert failure["reason"].startswith("int8 was asked for, but only")
    assert "dynamic_w8" in failure["advice"] and "auto" not in failure["advice"]
    assert 'optional = ["tflite/int8"]' in failure["advice"]
    assert " ".join(failure["reason"].split()) in " ".join(done.stdout.split())
    assert f"FAILED {FAILED}" in done.stdout

    opened = bundle.open_bundle(folder / "bundle")
    assert {item.id for item in opened.artifacts} == {"tflite/float32", "onnx/float32", "onnx/int8"}
    assert api.missing_artifacts(opened) == (FAILED,)
    edgeship("verify", "bundle", check=0)
    assert json.loads(edgeship("inspect", "bundle", "--json", "-", check=0).stdout)["damage"] == ""

    done = edgeship("gate", "bundle", "--junit", "gate.xml", "--markdown", "gate.md", "--json", "gate.json", check=1)
    assert "made at all" in done.stdout and "wave0" in done.stdout
    checks = json.loads((folder / "gate.json").read_text())["gate"]["checks"]
    assert [check["verdict"] for check in checks if check["artifact"] == FAILED] == ["FAIL"]
    cases = ElementTree.parse(folder / "gate.xml").getroot().iter("testcase")
    failing = next(case for case in cases if case.get("classname") == FAILED)
    assert failing.get("name") == "made" and "wave0" in ElementTree.tostring(failing, encoding="unicode")
    text = (folder / "gate.md").read_text()
    assert "made at all" in text and f"| {FAILED.replace('_', '-')} |" in text
    edgeship("report", "bundle", "--out", "report.html", check=0)
    page = (folder / "report.html").read_text()
    assert "failed (check)" in page and "wave0" in page

    # Its artifacts are shown even where it was changed, and so is that.
    with (folder / "bundle/tflite/float32.tflite").open("ab") as file:
        file.write(b"more")
    done = edgeship("inspect", "bundle", check=1)
    assert "tflite/float32" in done.stdout and "Traceback" not in done.stderr
    assert "does not match its manifest (tflite/float32.tflite: changed)" in done.stderr

    # Allowed to be missing it is said, and no failure.
    (folder / "edgeship.toml").write_text('[budget]\noptional = ["tflite/int8"]\n')
    done = edgeship("convert", "waves.keras", "--out", "bundle", *OPTIONS, check=0)
    assert f"FAILED {FAILED}" in done.stdout
    done = edgeship("gate", "bundle", "--json", "gate.json")
    result = json.loads((folder / "gate.json").read_text())["gate"]
    assert not [check for check in result["checks"] if check["artifact"] == FAILED]
    assert [item["artifact"] for item in result["not_judged"]] == [FAILED]


def test_where_nothing_that_was_asked_for_can_be_made_float32_is_or_it_is_an_error(edgeship, hard):
    shutil.copytree(hard, edgeship.folder, dirs_exist_ok=True)
    only = ("--to", "tflite", "--variant", "int8", "--data", "calibration.npz", "--custom-objects", "hard")
    done = edgeship("convert", "waves.keras", "--out", "out", *only, check=1)
    assert "FAILED tflite/int8: int8 was asked for" in done.stdout
    assert [item.id for item in bundle.open_bundle(edgeship.folder / "out").artifacts] == ["tflite/float32"]
    done = edgeship("convert", "tangents.keras", "--out", "none", *only, check=2)
    assert "error: TFLite cannot express Tan" in done.stderr
    assert not (edgeship.folder / "none").exists()


def test_a_division_by_what_rounds_to_zero_stays_float(edgeship, hard):
    """LiteRT's int8 kernel refuses such a divisor while it runs (tflite/kernels/div.cc)."""
    shutil.copytree(hard, edgeship.folder, dirs_exist_ok=True)
    only = ("--to", "tflite", "--variant", "int8", "--data", "calibration.npz", "--custom-objects", "hard")
    done = edgeship("convert", "shares.keras", "--out", "bundle", *only, check=0)
    assert "divisor may round to zero in int8: share" in done.stderr
    (item,) = json.loads((edgeship.folder / "bundle/manifest.json").read_text())["artifacts"]
    assert len(item["steps"][-1]["recipe"]["float_operators"]) == 3  # SUM, ADD and DIV
    assert any(island.startswith("DIV: ") and "share" in island for island in item["receipt"]["float_islands"])


def test_what_a_format_cannot_express_is_left_out_of_the_others(edgeship, hard):
    shutil.copytree(hard, edgeship.folder, dirs_exist_ok=True)
    options = ("--to", "tflite,onnx", "--variant", "float32", "--custom-objects", "hard")
    done = edgeship("convert", "tangents.keras", "--out", "bundle", *options, check=1)
    assert "FAILED tflite/float32: TFLite cannot express Tan (layer 'tangent')" in " ".join(done.stdout.split())
    manifest = json.loads((edgeship.folder / "bundle/manifest.json").read_text())
    assert [item["id"] for item in manifest["artifacts"]] == ["onnx/float32"]
    (failure,) = manifest["failures"]
    assert failure["step"] == "convert" and failure["layers"] == ["tangent"] and "--to onnx" in failure["advice"]


def test_what_needs_the_flex_delegate_is_made_and_not_judged(edgeship, hard):
    """No runtime here has the delegate: before, running the file ended the command, and a bundle could never hold it."""
    folder = shutil.copytree(hard, edgeship.folder, dirs_exist_ok=True)
    budget = '[budget]\naccuracy = "none"\nmin_sqnr_db = 40\noptional = ["tflite/*"]\n'
    (folder / "edgeship.toml").write_text(f'[model]\ncustom_objects = "hard"\n{budget}')
    options = ("--to", "tflite,onnx", "--variant", "float32", "--evaluation", "calibration.npz", "--allow-flex")
    done = edgeship(
        "ship", "tangents.keras", "--out", "b", "--config", "edgeship.toml", *options, "--json", "-", check=0
    )
    gate = json.loads(done.stdout)["gate"]
    (left_out,) = gate["not_judged"]
    assert left_out["artifact"] == "tflite/float32"
    assert "needs the Flex delegate for FlexTan" in left_out["reason"]
    assert (folder / "b/tflite/float32.tflite").is_file()
    edgeship("verify", "b", check=0)
    (folder / "strict.toml").write_text('[budget]\naccuracy = "none"\nmin_sqnr_db = 40\n')
    done = edgeship("gate", "b", "--config", "strict.toml", check=1)
    assert "FAIL" in done.stdout and "as optional" in " ".join(done.stdout.split())

"""A right client passes its self-test on the real runtime; one that does what apps get wrong fails it, in every language."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.runtimes.clients.lanes import LANES, Lane
from tests.deploy.codegen.conftest import edgeship
from tests.deploy.codegen.made_up.mutants import MUTANTS

HERE = [language for language in MUTANTS if language not in ("kotlin", "swift")]  # files of their own
LANE_OF = {"c": "client-c", "python": "client-python", "typescript": "client-ts"}
FAULTS = [(language, fault) for language in HERE for fault in MUTANTS[language]]


@pytest.fixture
def lane_of(missing):
    def find(language: str) -> Lane:
        lane = LANES[LANE_OF[language]]
        if reason := lane.unavailable_reason():
            missing(f"{lane.name}: {reason} (make clients)")
        return lane

    return find


def run_client(lane: Lane, client: Path, tmp_path: Path) -> dict[str, Any]:
    work = tmp_path / "work"
    work.mkdir()
    return lane.run_selftest(client, work, 'a "device"')


@pytest.mark.parametrize("language", HERE)
def test_a_right_client_passes(language, clients, tmp_path, lane_of):
    result = run_client(lane_of(language), shutil.copytree(clients / language, tmp_path / language), tmp_path)
    assert result["passed"] is True and result["failures"] == [] and result["preprocessing"] is True
    assert (result["schema"], result["kind"], result["client"]) == (1, "edgeship-selftest", language)
    assert result["samples"] == 21 and result["device"] == 'a "device"'
    assert result["outputs"]["probs"]["passed"] is True and result["outputs"]["probs"]["maxAbsError"] == 0


@pytest.mark.parametrize(("language", "fault"), FAULTS)
def test_a_mutated_client_fails(language, fault, clients, tmp_path, lane_of):
    lane = lane_of(language)
    client = shutil.copytree(clients / language, tmp_path / language)
    for change in MUTANTS[language][fault]:
        change.apply(client)
    result = run_client(lane, client, tmp_path)
    assert result["passed"] is False and result["failures"]


@pytest.mark.parametrize("known_checksum", [False, True], ids=["by its checksum", "by its answers"])
@pytest.mark.parametrize("language", HERE)
def test_a_stale_model_fails(language, known_checksum, clients, tmp_path, lane_of):
    """The weights of a layer in another order: as a model that was trained again, of the same form."""
    lane = lane_of(language)
    client = shutil.copytree(clients / language, tmp_path / language)
    shuffle_weights(client / "model.tflite")
    if known_checksum:
        forget_checksum(client, language)
    failures = run_client(lane, client, tmp_path)["failures"]
    assert {"model"} <= {failure["what"] for failure in failures} or known_checksum
    assert {"output"} <= {failure["what"] for failure in failures}


@pytest.mark.parametrize("language", HERE)
def test_inputs_of_every_other_kind(language, bundles, tmp_path, lane_of):
    """PCM of two channels, a window, a row with a category, a text, a plain tensor; two outputs."""
    edgeship("deploy", "codegen", bundles / "mixed" / "bundle", "--for", language, "--out", tmp_path)
    result = run_client(lane_of(language), tmp_path / language, tmp_path)
    assert result["passed"] is True and result["samples"] >= 16
    assert {name for name, output in result["outputs"].items() if output["passed"]} == {"wide", "narrow"}
    with (tmp_path / language / "goldens" / "3.row.raw").open("ab") as golden:
        golden.write(b"1\n")
    assert (tmp_path / language / "goldens" / "empty.note.raw").read_bytes() == b""
    (tmp_path / language / "goldens" / "empty.note.raw").write_bytes("\u0394".encode())  # bytes beyond ASCII are a word
    shutil.rmtree(tmp_path / "work")
    failures = run_client(lane_of(language), tmp_path / language, tmp_path)["failures"]
    assert [(failure["case"], failure["what"]) for failure in failures] == [("3", "tensor"), ("empty", "tensor")]


@pytest.mark.parametrize("language", HERE)
def test_a_file_that_the_runtime_does_not_open_is_a_result(language, clients, tmp_path, lane_of):
    client = shutil.copytree(clients / language, tmp_path / language)
    (client / "model.tflite").write_bytes((client / "model.tflite").read_bytes()[:400])
    result = run_client(lane_of(language), client, tmp_path)
    assert result["passed"] is False and result["preprocessing"] is True
    assert result["failures"][0]["what"] == "model" and result["outputs"]["probs"]["passed"] is False


def shuffle_weights(model: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()
    details = [
        item for item in interpreter.get_tensor_details() if item["dtype"] == np.int8 and len(item["shape"]) == 4
    ]
    kernels = [item for item in details if list(item["shape"]) == [12, 3, 3, 8]]
    weights = interpreter.get_tensor(kernels[0]["index"])
    content = model.read_bytes()
    assert content.count(weights.tobytes()) == 1
    model.write_bytes(content.replace(weights.tobytes(), weights[::-1].tobytes()))


def forget_checksum(client: Path, language: str) -> None:
    """As an app that cannot read the model's file."""
    patterns = {
        "c": ("selftest.c", r"sum_crc32\(bytes, size\) != contract->checksum", "sum_crc32(bytes, size) == 1"),
        "python": ("edgeship_client/contract.py", r'MODEL_DIGEST = "\w+"', 'MODEL_DIGEST = ""'),
        "typescript": ("src/nodeSelftest.ts", r", device, bytes\)", ", device)"),
    }
    file, old, new = patterns[language]
    text, count = re.subn(old, new, (client / file).read_text())
    assert count == 1
    (client / file).write_text(text)


@pytest.mark.parametrize("place", ["file", "bundle"])
def test_a_place_for_results_is_refused_before_anything_is_compiled(place, bundle, tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" if place == "file" else bundle / "results"
    done = edgeship("deploy", "selftest", bundle, "--for", "python", "--out", out, check=2)
    assert ("is no folder" if place == "file" else "lies in the bundle") in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_selftests_of_a_bundle_join_its_report(bundle, tmp_path, lane_of):
    lane_of("c"), lane_of("typescript")
    edgeship(
        "deploy", "selftest", bundle, "--for", "c,python", "--artifact", "tflite/float32", "--out", tmp_path / "results"
    )
    found = {path.name for path in (tmp_path / "results").iterdir()}
    assert found - {"client-c-arm64.json"} == {"client-c.json", "client-c-litert.json", "client-python.json"}
    result = json.loads((tmp_path / "results" / "client-c.json").read_text())
    assert result["artifact"] == "tflite/float32" and 0 < result["outputs"]["probs"]["maxAbsError"] < 1e-5
    done = edgeship(
        "report", bundle, "--add", tmp_path / "results" / "client-c.json", "--out", tmp_path / "report.html"
    )
    assert "report.html" in done.stdout
    page = (tmp_path / "report.html").read_text()
    assert "client-c @ this machine" in page and "self-test on 21 goldens passed in the c client (TFLite C" in page
    spoiled = {**result, "passed": True, "failures": [{"case": "3", "what": "label", "detail": "red, not blue"}]}
    (tmp_path / "spoiled.json").write_text(json.dumps(spoiled))
    edgeship("report", bundle, "--add", tmp_path / "spoiled.json", "--out", tmp_path / "spoiled.html")
    assert "FAILED in the c client" in (tmp_path / "spoiled.html").read_text()

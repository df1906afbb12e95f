"""Bills of materials: valid by CycloneDX's own validator, equal to the manifest, the same for the same bundle."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgeship import api
from edgeship.cli import cli
from edgeship.errors import InputError
from tests.benchmarks import conftest as made_up
from tests.hostile.bundles import sealed_bundle
from tests.hostile.bundles.mutate import mutate


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    """A bundle of made-up figures."""
    root = tmp_path_factory.mktemp("bom") / "bundle"
    manifest = copy.deepcopy(made_up._GOOD)
    manifest["gate"] = {"verdict": "PASS"}  # a claim: it is judged again
    for item in manifest["artifacts"]:
        if item["variant"] == "int8":
            item["steps"].append({"name": "quantize", "source": "", "recipe": {"recipe": "static_w8a8"}, "tools": {}})
    manifest["tools"]["odd\x1b[31m"] = "1\n2"
    made_up._write_files(root, manifest)
    place = root / manifest["server_model"]["path"]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(made_up.text(manifest["server_model"]["path"]))
    sealed_bundle.seal(root, manifest)
    return root


@pytest.fixture
def bundle(once, tmp_path) -> Path:
    return shutil.copytree(once, tmp_path / "bundle")


@pytest.fixture(scope="module")
def bom(once) -> Any:
    return json.loads(api.render_bom(once))


def fault_of(bom: Any) -> Any:
    """What CycloneDX's strict schema says against it; None: nothing."""
    return JsonStrictValidator(SchemaVersion.V1_7).validate_str(json.dumps(bom))


def component(bom: Any, name: str) -> Any:
    (found,) = [item for item in bom["components"] if item["bom-ref"] == name]
    return found


def figures(part: Any) -> list[Any]:
    return part["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]


def test_a_bill_is_valid_and_a_wrong_key_is_not(bom):
    assert fault_of(bom) is None
    for part in (bom, component(bom, "tflite/int8"), component(bom, "tflite/int8")["modelCard"]):
        part["nonsense"] = 1
        assert "nonsense" in str(fault_of(bom))
        del part["nonsense"]
    assert fault_of(bom) is None


def test_every_reference_leads_to_a_component(bom):
    known = [bom["metadata"]["component"]["bom-ref"], *(item["bom-ref"] for item in bom["components"])]
    assert len(known) == len({*known}) == len(bom["dependencies"])
    links = {name for item in bom["dependencies"] for name in (item["ref"], *item.get("dependsOn", ()))}
    datasets = [ref["ref"] for item in bom["components"] for ref in _parameters(item).get("datasets", ())]
    assert links == {*known}
    assert datasets and {*datasets} <= {*known}
    assert [item["ref"] for item in bom["dependencies"] if item.get("dependsOn") == ["server-model"]] == [
        *made_up.ARTIFACTS
    ]


def _parameters(item: Any) -> Any:
    return item.get("modelCard", {}).get("modelParameters", {})


def test_figures_are_those_of_the_manifest(once, bom):
    manifest = json.loads((once / "manifest.json").read_text())
    for measured in manifest["measurements"]:
        shown = {item["type"]: item for item in figures(component(bom, measured["artifact"]))}
        details = measured["details"]["accuracy"]
        drop = shown[f"{details['metric']} lost against the server model"]
        interval = drop["confidenceInterval"]
        assert float(shown[details["metric"]]["value"]) == details["value"]
        assert float(drop["value"]) == details["drop"]
        assert (float(interval["lowerBound"]), float(interval["upperBound"])) == (details["low"], details["high"])
        (output,) = measured["details"]["parity"].values()
        interval = shown["share of answers that are the server model's"]["confidenceInterval"]
        assert [float(value) for value in interval.values()] == [output["agreement_low"], output["agreement_high"]]
        size = next(item for item in measured["metrics"] if item["name"] == "size_disk_bytes")
        if size["value"] is not None:  # that of the file itself, as in every command
            assert int(shown["size_disk_bytes"]["value"]) == (
                sum(
                    (once / name).stat().st_size
                    for name in manifest["files"]
                    if name.startswith(made_up.place(measured["artifact"]).removesuffix("model.json"))
                )
            )
    server = manifest["server_measurement"]
    assert float(figures(component(bom, "server-model"))[0]["value"]) == server["server"]


def test_digests_are_those_of_the_manifest(once, bom):
    manifest = json.loads((once / "manifest.json").read_text())
    for item in manifest["artifacts"]:
        shown = component(bom, item["id"])
        parts = {part["name"]: part["hashes"] for part in shown.get("components", [])} or {
            item["path"]: shown["hashes"]
        }
        assert parts == {name: [{"alg": "SHA-256", "content": manifest["files"][name]}] for name in parts}
        assert item["path"] in parts
    data = {item["name"]: item for item in bom["components"] if item["type"] == "data"}
    digest = {"name": "edgeship:digest", "value": manifest["data"]["evaluation"]["digest"]}
    assert digest in data["evaluation data"]["properties"]
    assert not any("licenses" in item for item in bom["components"])  # none is guessed


@pytest.mark.parametrize("stated", ["CC-BY-4.0", None])
def test_the_licence_of_the_data_is_what_the_configuration_says(bundle, stated):
    manifest = json.loads((bundle / "manifest.json").read_text())
    config = manifest.get("config") or {}
    manifest["config"] = {**config, "data": {**config.get("data", {}), "license": stated}}
    sealed_bundle.seal(bundle, manifest)
    bom = json.loads(api.render_bom(bundle))
    wanted = [{"license": {"name": stated}}] if stated else None
    assert {item["type"] for item in bom["components"] if item.get("licenses")} == ({"data"} if wanted else set())
    assert [item.get("licenses") for item in bom["components"] if item["type"] == "data"] == [wanted, wanted]
    assert not fault_of(bom)


def test_only_what_was_calibrated_names_calibration_data(bom):
    (calibration,) = [item["bom-ref"] for item in bom["components"] if item["name"] == "calibration data"]
    users = {
        item["bom-ref"] for item in bom["components"] if {"ref": calibration} in _parameters(item).get("datasets", ())
    }
    assert users == {"tflite/int8", "onnx/int8"}


def test_the_same_bundle_gives_the_same_bytes(once, bundle):
    assert api.render_bom(once) == api.render_bom(bundle)
    sealed_bundle.change(bundle, lambda manifest: manifest.update(labels=None))
    other, first = (json.loads(api.render_bom(root)) for root in (bundle, once))
    assert other["serialNumber"] != first["serialNumber"]
    assert other["metadata"]["timestamp"] == first["metadata"]["timestamp"]


def test_the_verdict_is_what_the_figures_give(bundle):
    def spoil(manifest: dict[str, Any]) -> None:
        for item in manifest["measurements"]:
            accuracy = item["details"]["accuracy"]
            for figures_of in (accuracy, *accuracy["outputs"].values()):
                figures_of |= {"value": 0.5, "drop": 0.4, "low": 0.38, "high": 0.42, "at_least": 0.37}

    sealed_bundle.change(bundle, spoil)
    bom = json.loads(api.render_bom(bundle))
    assert {"name": "edgeship:verdict", "value": "FAIL"} in bom["metadata"]["component"]["properties"]
    limits = component(bom, "tflite/int8")["modelCard"]["considerations"]["technicalLimitations"]
    assert limits[0] == "verdict FAIL: it is not to be shipped"
    assert any(text.startswith("accuracy: FAIL: ") for text in limits)


def test_a_foreign_artifact_has_no_parent(bundle):
    sealed_bundle.change(
        bundle, lambda manifest: [item.update(foreign={"file": "a.tflite"}) for item in manifest["artifacts"]]
    )
    bom = json.loads(api.render_bom(bundle))
    assert fault_of(bom) is None
    assert not any(item.get("dependsOn") == ["server-model"] for item in bom["dependencies"])
    card = component(bom, "tflite/int8")["modelCard"]
    assert any("unknown origin" in text for text in card["considerations"]["technicalLimitations"])


def test_the_command_writes_a_file_or_standard_output(bundle, tmp_path):
    done = CliRunner().invoke(cli, ["bom", str(bundle), "--out", str(tmp_path / "new" / "bom.json")])
    assert done.exit_code == 0
    assert CliRunner().invoke(cli, ["bom", str(bundle)]).stdout == (tmp_path / "new" / "bom.json").read_text()
    assert "\x1b" not in (tmp_path / "new" / "bom.json").read_text()
    for arguments, words in (
        ([tmp_path / "none"], "not a bundle"),
        ([bundle, "--out", bundle / "bom.json"], "lies in the bundle"),
        ([bundle, "--out", tmp_path / "new" / "bom.json" / "x"], "cannot be written"),
    ):
        error = CliRunner().invoke(cli, ["bom", *map(str, arguments)]).exception
        assert isinstance(error, InputError)
        assert words in str(error)


def test_what_a_stranger_wrote_gives_a_valid_bill_or_a_sentence(bundle):
    manifest, bills = json.loads((bundle / "manifest.json").read_text()), 0
    for seed in range(40):
        sealed_bundle.seal_manifest(bundle, mutate(manifest, seed))
        try:
            text = api.render_bom(bundle)
        except InputError:
            continue
        assert (seed, fault_of(json.loads(text))) == (seed, None)
        bills += 1
    assert bills > 5


@pytest.mark.parametrize("created", ["", "yesterday", "2026-11-29T08:52:14", "9" * 99])
def test_a_time_that_is_none_is_left_out(bundle, created):
    sealed_bundle.change(bundle, lambda manifest: manifest.update(created=created))
    bom = json.loads(api.render_bom(bundle))
    assert fault_of(bom) is None
    assert "timestamp" not in bom["metadata"]

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgeship.bundle import schema_1
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import Manifest, manifest_schema, parse_manifest
from edgeship.bundle.metric import Metric
from edgeship.errors import InputError
from edgeship.types import Availability, to_json

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).parent / "schema_1.json"  # of `ship`, before schema 2
CHECK = {"artifact": "a", "runtime": "", "check": "b", "verdict": "PASS"}


@pytest.fixture
def old() -> dict[str, Any]:
    return dict(json.loads(STORED.read_text()))


def test_the_published_schema_is_that_of_the_types() -> None:
    published = json.loads((ROOT / "docs" / "manifest.schema.json").read_text())
    assert published == manifest_schema(), "run make references"


def test_a_manifest_of_schema_1_is_read_and_written_as_the_published_schema_says(old: dict[str, Any]) -> None:
    manifest = parse_manifest(schema_1.upgrade_content(old))
    content = json.loads(json.dumps(to_json(manifest)))
    Draft202012Validator(manifest_schema()).validate(content)
    assert parse_manifest(content) == manifest
    int8 = manifest.measurements_of("tflite/int8")[0]
    assert int8.details.accuracy is not None and int8.details.accuracy.value == 0.8884
    assert int8.details.accuracy.per_class[0].label == 0
    assert manifest.gate is not None and manifest.gate.verdict == "PASS"


@pytest.mark.parametrize(
    ("reason", "availability"),
    [
        ("not run: Node.js is not installed", Availability.NOT_RUN),
        ("unstable: 2 other processes want the 2 cores", Availability.UNSTABLE),
        ("the evaluation data has no labels (an array y)", Availability.NO_DATA),
        ("the worker process ended with exit code 1", Availability.FAILED),
    ],
)
def test_what_a_reason_of_schema_1_meant_is_an_availability(
    old: dict[str, Any], reason: str, availability: Availability
) -> None:
    metric = {"name": "latency_p50_ms", "value": None, "unit": "ms", "kind": "measured", "reason": reason}
    old["measurements"][0]["metrics"] = [metric]
    assert parse_manifest(schema_1.upgrade_content(old)).measurements[0].metrics[0].availability is availability


def test_a_value_and_its_availability_belong_together() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Metric("x", None, "ms", availability=Availability.FAILED)
    with pytest.raises(ValueError, match="does not fit the value"):
        Metric("x", None, "ms", reason="because")
    with pytest.raises(ValueError, match="does not fit the value"):
        Metric("x", 1.0, "ms", availability=Availability.UNSTABLE)


def test_too_much_for_a_table_is_refused(old: dict[str, Any]) -> None:
    manifest = parse_manifest(schema_1.upgrade_content(old))
    many = (Measurement("tflite/int8", "litert", "host", ()),) * 5001
    with pytest.raises(InputError, match="it has 5,001 measurements, at most 5,000 are taken"):
        replace(manifest, measurements=many)


def test_later_versions_may_write_more(old: dict[str, Any]) -> None:
    content = {**schema_1.upgrade_content(old), "lineage": {"parents": []}}
    assert isinstance(parse_manifest(content), Manifest)


def test_an_output_that_is_called_as_an_old_key_keeps_its_name(old: dict[str, Any]) -> None:
    details = old["measurements"][0]["details"]
    details["parity"] = {"why": next(iter(details["parity"].values()))}
    details["accuracy"]["outputs"] = {"alone": next(iter(details["accuracy"]["outputs"].values()))}
    details = parse_manifest(schema_1.upgrade_content(old)).measurements[0].details
    assert details.parity is not None and list(details.parity) == ["why"]
    assert details.accuracy is not None and list(details.accuracy.outputs) == ["alone"]
    assert details.accuracy.outputs["alone"].per_class[0].label == 0


def test_whole_figures_stay_whole(old: dict[str, Any]) -> None:
    metrics = [{"name": name, "value": value, "unit": "bytes"} for name, value in (("size", 44949504), ("mean", 2.0))]
    old["measurements"][0]["metrics"] = metrics
    old["gate"]["checks"] = [{**CHECK, "value": 5, "limit": 7}]
    manifest = parse_manifest(schema_1.upgrade_content(old))
    values = [metric.value for metric in manifest.measurements[0].metrics]
    assert json.dumps([*values, manifest.gate and manifest.gate.checks[0].limit]) == "[44949504, 2.0, 7]"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"artifacts": {}}, "artifacts must be a list, not {}"),
        ({"config": None}, "config is missing"),
        ({"labels": [3]}, "labels[0] must be a text, not 3"),
        ({"measurements": [{"artifact": "a"}]}, "measurements[0] has no runtime"),
        (
            {"gate": {"verdict": "PASS", "checks": [{**CHECK, "value": "5"}]}},
            "gate.checks[0].value must be a number, not '5'",
        ),
    ],
)
def test_another_form_is_told_with_its_place(old: dict[str, Any], change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_manifest({**schema_1.upgrade_content(old), **change})
    assert str(caught.value) == sentence

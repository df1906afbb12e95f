from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgeship.deploy.contract.contract import (
    Contract,
    contract_json,
    contract_schema,
    parse_contract,
    read_contract,
)
from edgeship.deploy.contract.file import FILE
from edgeship.deploy.contract.steps import Affine, Resize
from edgeship.errors import InputError
from tests.deploy.contract.examples import example_contract
from tests.hostile.bundles.mutate import mutate, swap

ROOT = Path(__file__).resolve().parents[3]


def test_the_published_schema_is_that_of_the_types() -> None:
    published = json.loads((ROOT / "docs" / "apps" / "contract.schema.json").read_text())
    assert published == contract_schema(), "run make references"


def test_a_contract_is_read_and_written_as_the_published_schema_says(tmp_path: Path) -> None:
    contract = parse_contract(example_contract())
    assert contract.inputs[0].step(Resize) == Resize(8, 8, "contain", "area", 0)
    assert contract.inputs[0].step(Affine) == Affine((1.0,), (0.0,))
    (tmp_path / FILE).write_text(contract_json(contract))
    Draft202012Validator(contract_schema()).validate(json.loads(contract_json(contract)))
    assert read_contract(tmp_path) == contract
    assert json.loads(contract_json(contract))["artifacts"][0]["inputs"][0]["shape"] == [None, 8, 8, 1]
    assert "threshold" not in json.loads(contract_json(contract))["outputs"][0]
    assert contract_json(contract) == contract_json(parse_contract(json.loads(contract_json(contract))))


def test_what_is_nothing_is_left_out_and_read_as_nothing() -> None:
    """As the artifacts of formats without signatures."""
    content = example_contract()
    content["artifacts"][0] |= {"signature": None, "digest": None}
    content["artifacts"][0]["inputs"][0]["quantization"] = None
    contract = parse_contract(content)
    stored = json.loads(contract_json(contract))
    assert "signature" not in stored["artifacts"][0] and "quantization" not in stored["artifacts"][0]["inputs"][0]
    assert parse_contract(stored) == contract


def test_keys_of_later_versions_are_left_alone() -> None:
    assert isinstance(parse_contract({**example_contract(), "later": 1}), Contract)


def _put(*path: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-2]:
            content = content[key]
        content[path[-2]] = path[-1]

    return change


def _extend(content: Any, *path: Any) -> None:
    for key in path:
        content = content[key]
    content.append(content[0])


BROKEN: list[tuple[Callable[[Any], None], str]] = [
    (_put("kind", "other"), "no contract of edgeship"),
    (_put("schema", 2), "schema 2, and this edgeship reads 1"),
    (_put("name", "A B"), "name must be lower-case letters"),
    (_put("server_model", "x"), "server_model must be a digest"),
    (_put("inputs", []), "inputs must be"),
    (_put("inputs", 0, "name", "../x"), "is no plain name"),
    (_put("inputs", 0, "name", "a/b"), "is no plain name"),
    (_put("inputs", 0, "kind", "smell"), "kind must be one of"),
    (_put("inputs", 0, "raw", "dtype", "int16"), "the raw form of image is uint8, HWC"),
    (_put("inputs", 0, "raw", "colour", "rgb"), "its colour is not that of its 1 channels"),
    (_put("inputs", 0, "raw", "alpha", False), "opacity is flattened where there may be some"),
    (_put("inputs", 0, "raw", "orientation", None), "a picture is turned where its orientation is told"),
    (_put("inputs", 0, "steps", 0, "step", "explode"), "explode"),
    (_put("inputs", 0, "steps", 0, {"step": "mono"}), "the steps of image are orient, flatten_alpha"),
    (_put("inputs", 0, "steps", [{"step": "orient"}]), "the steps of image lack resize, affine"),
    (_put("inputs", 0, "steps", 2, "weights", [1, 2, 3]), "add up to 1000, not 6"),
    (_put("inputs", 0, "steps", 4, "height", 70_000), "height must be a whole number <= 65535"),
    (_put("inputs", 0, "steps", 4, "height", 9), "the tensor's shape is (1, height, width, channels)"),
    (_put("inputs", 0, "steps", 4, "resampler", "lanczos"), "resampler must be one of area, pil-bilinear, tf-bilinear"),
    (_put("inputs", 0, "steps", 4, "border", "sea"), "border"),
    (_put("inputs", 0, "steps", 5, "multiply", [1.0, 2.0]), "2 numbers multiply and 1 are added"),
    (_put("inputs", 0, "steps", 5, "multiply", [float("nan")]), "must be a number"),
    (_put("inputs", 0, "steps", 5, "multiply", [1e39]), "must be a number <= 3.4e+38"),
    (_put("inputs", 0, "tensor", "shape", [1, 9, 8, 1]), "here [1, 8, 8, 1], not [1, 9, 8, 1]"),
    (_put("inputs", 0, "known", {"fit": "perhaps"}), "one of inferred, stated, unknown"),
    (_put("outputs", 0, "labels", ["one", "two", "three"]), "3 labels do not fit the shape [1, 2]"),
    (_put("outputs", 0, "labels", ["\u202e", "x"]), "is not printable"),
    (_put("outputs", 0, "threshold", 1e301), "threshold must be a number"),
    (_put("artifacts", 0, "path", "../../etc/passwd"), "does not stay inside"),
    (_put("artifacts", 0, "path", "/etc/passwd"), "does not stay inside"),
    (_put("artifacts", 0, "id", "a/b/c"), "is no plain name"),
    (_put("artifacts", 0, "id", '""";print(1);"""/x'), "is no name of an artifact, as tflite/int8"),
    (_put("artifacts", 0, "id", "*/ int evil; /x"), "is no"),
    (_put("artifacts", 0, "inputs", []), "its inputs are not those of the contract"),
    (_put("artifacts", 0, "outputs", 0, "output", "y"), "an output that the contract does not have"),
    (_put("artifacts", 0, "inputs", 0, "quantization", "scale", 0), "scale must be a number > 0"),
    (_put("artifacts", 0, "outputs", 0, "tolerance", -1), "tolerance must be a number > 0"),
    (_put("goldens", "folder", "/"), "folder must be one of goldens/raw"),
    (_put("goldens", "samples", 3), "it has 1 cases and says 3"),
    (_put("goldens", {"samples": 0}), "without cases it needs a reason"),
    (_put("goldens", "cases", 0, "name", ".."), "is no plain name"),
    (_put("goldens", "cases", 0, "input", {}), "case 0: its inputs are not those of the contract"),
    (_put("goldens", "cases", 0, "input", "image", "orientation", 9), "orientation must be a whole number <= 8"),
    (lambda content: _extend(content, "inputs"), "two of the inputs are called 'image'"),
    (lambda content: _extend(content, "outputs"), "two of the outputs are called 'scores'"),
    (lambda content: _extend(content, "artifacts"), "two of the artifacts are called 'tflite-int8'"),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_what_does_not_fit_is_one_sentence(change: Callable[[Any], None], sentence: str) -> None:
    content = example_contract()
    change(content)
    with pytest.raises(InputError) as caught:
        parse_contract(content)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("change", [mutate, swap])
def test_a_contract_of_any_structure_is_read_or_refused_in_a_sentence(change: Callable[[Any, int], Any]) -> None:
    refused = [sentence for seed in range(1500) if (sentence := _read_mutant(change(example_contract(), seed), seed))]
    assert len(refused) > 500 and max(map(len, refused)) < 1500


def _read_mutant(content: Any, seed: int) -> str:
    """Why it is refused, or an empty text."""
    try:
        contract = parse_contract(content)
        assert parse_contract(json.loads(contract_json(contract))) == contract, seed
    except InputError as error:
        return str(error)
    except Exception:
        pytest.fail(f"seed {seed}: {traceback.format_exc()}")
    return ""


def test_a_folder_without_a_contract_has_none_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    assert read_contract(tmp_path) is None
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError, match=r"contract\.json: cannot be read"):
        read_contract(tmp_path)
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(InputError, match=r"contract\.json: it is no contract of edgeship.*; make the bundle again"):
        read_contract(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="a link, not a regular file"):
        read_contract(tmp_path)

"""One bundle, made through the command line, with its contract and raw goldens; and what a stranger may do to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeship.benchmarks.report.html_report import render
from edgeship.bundle.bundle import open_bundle, seal_content
from edgeship.cli.bundles.inspect import inspect
from edgeship.cli.bundles.verify import verify
from edgeship.cli.models.convert import convert
from edgeship.deploy.contract.check import check_contract
from edgeship.deploy.contract.contract import Contract, read_contract
from edgeship.deploy.contract.file import record_temperatures
from edgeship.deploy.contract.golden_files import decode_raw, float_bytes, read_raw, read_rows
from edgeship.deploy.contract.preprocess import dequantize_values, preprocess_input, quantize_values
from edgeship.errors import EdgeshipError
from edgeship.runtimes.session import open_session

LABELS = ["shirt", "shoe", "bag", "hat", "sock"]
RAW = Path("goldens") / "raw"


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def made(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a small classifier of grey pictures of bytes."""
    folder = tmp_path_factory.mktemp("contract")
    shutil.copyfile(tiny_models / "cnn.keras", folder / "small.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.float32)
    for rim in (pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]):
        rim[:] = 0
    np.savez(folder / "calibration.npz", image=pixels)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    options = ["--to", "tflite", "--variant", "float32,int8", "--out", folder / "bundle"]
    for _ in range(2):  # the second is of the cache, and the same
        done = run(convert, folder / "small.keras", *options)
        assert done.exit_code == 0, done.output
        content = (folder / "bundle" / "contract.json").read_bytes()
        assert content == (folder / "first.json").read_bytes() if (folder / "first.json").exists() else True
        (folder / "first.json").write_bytes(content)
    return folder / "bundle"


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


WRONG: list[tuple[str, str]] = [
    ("[input.image]\nmultiply = 0.5", "its numbers make 0 to 127.5 of bytes, and the data's values are 0 to 255"),
    ("[input.image]\nkind = 'audio'", "[input.image]: PCM has the shape (n) or (n, channels)"),
    ("[input.image]\nresampler = 'lanczos'", "must be area, pil-bilinear or tf-bilinear"),
    ("[input.photo]\nkind = 'image'", "unknown input 'photo'"),
    ("[data]\nlabels = ['a', 'b']", "2 labels ([data] labels, or labels.txt), and 'probs' gives 5"),
]


@pytest.mark.parametrize(("table", "why"), WRONG)
def test_what_contradicts_model_or_data_is_refused_before_any_work(
    made: Path, tmp_path: Path, table: str, why: str
) -> None:
    config = tmp_path / "edgeship.toml"
    config.write_text(table)
    options = [
        "--config",
        config,
        "--data",
        made.parent / "calibration.npz",
        "--out",
        tmp_path / "out",
        "--to",
        "tflite",
    ]
    done = run(convert, made.parent / "small.keras", *options)
    assert isinstance(done.exception, EdgeshipError) and done.exception.exit_code == 2
    assert why in str(done.exception) and str(config) in str(done.exception)
    assert not list(tmp_path.glob("**/manifest.json"))


def contract_of(bundle: Path) -> Contract:
    contract = read_contract(bundle)
    assert contract
    return contract


def test_a_bundle_says_what_an_app_must_know(made: Path) -> None:
    contract = contract_of(made)
    assert (contract.name, contract.server_model) == ("small", open_bundle(made).manifest.server.digest)
    (item,), (output,) = contract.inputs, contract.outputs
    assert (item.kind, item.known["kind"], item.known["resampler"]) == ("image", "inferred", "unknown")
    assert (output.activation, output.labels) == ("softmax", tuple(LABELS))
    names = [case.name for case in contract.goldens.cases]
    assert names == [*map(str, range(16)), "larger", "smaller", "turned", "mirrored", "opaque"]
    assert any(case.clear for case in contract.goldens.cases)


def test_tensors_are_found_in_the_file_by_name_index_and_scale(made: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    for artifact in contract_of(made).artifacts:
        interpreter = Interpreter(model_path=str(made / artifact.path))
        assert artifact.signature in interpreter.get_signature_list()
        for items, details in (
            (artifact.inputs, interpreter.get_input_details()), (artifact.outputs, interpreter.get_output_details()),
        ):  # fmt: skip
            for item in items:  # type: ignore[attr-defined]
                found = details[item.index]
                assert (found["name"], np.dtype(found["dtype"]).name) == (item.tensor, item.dtype)
                if item.quantization:
                    assert found["quantization"] == (np.float32(item.quantization.scale), item.quantization.zero_point)


def test_every_case_is_replayed_from_its_raw_form_alone(made: Path) -> None:
    """As a client does it: raw value, steps, quantize, run, dequantize; and its label, where that is clear."""
    contract = contract_of(made)
    (item,), (output,), cases = contract.inputs, contract.outputs, contract.goldens.cases
    raws, tensors = read_raw(made, item, cases), read_rows(made, "image.tensor", item.tensor.shape, len(cases))
    for artifact in contract.artifacts:
        (source,), (target,) = artifact.inputs, artifact.outputs
        answers = read_rows(made, f"probs.{artifact.file_id}", output.shape, len(cases))
        with open_session("litert", made / artifact.path) as session:
            for case, raw, golden, expected in zip(cases, raws, tensors, answers, strict=True):
                sample = decode_raw(raw, item, case.input["image"])
                tensor = preprocess_input(item, sample.value, sample.orientation)
                assert float_bytes(tensor) == golden
                if source.quantization:  # what the file takes stands for the same numbers
                    steps = quantize_values(tensor, source.quantization, source.dtype)
                    np.testing.assert_allclose(dequantize_values(steps, source.quantization), tensor, atol=1.0)
                answer = session.run({"image": tensor})["probs"][0]
                stored = np.frombuffer(expected, "<f4")
                assert target.tolerance and np.abs(answer - stored).max() <= target.tolerance
                if artifact.id in case.clear and output.labels:
                    assert output.labels[int(answer.argmax())] == case.label


def test_verify_says_that_raw_goldens_give_their_tensors(made: Path) -> None:
    done = run(verify, made, "--json", "-")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["contract"] == {"contract": True, "cases": 21, "problems": []}
    assert "contract: 21 raw goldens give their tensors to the byte" in run(verify, made).output


def edit_contract(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        content = json.loads((root / "contract.json").read_text())
        change(content)
        (root / "contract.json").write_text(json.dumps(content))

    return edit


def flip(name: str, place: float) -> Callable[[Path], None]:
    """Change a byte of a file of raw goldens: that after such a share of it."""

    def edit(root: Path) -> None:
        content = bytearray((root / RAW / name).read_bytes())
        content[int(len(content) * place)] ^= 64
        (root / RAW / name).write_bytes(content)

    return edit


def put(*path: Any) -> Callable[[Path], None]:
    def change(content: Any) -> None:
        for key in path[:-2]:
            content = content[key]
        content[path[-2]] = path[-1]

    return edit_contract(change)


SPOILED: list[tuple[Callable[[Path], Any], str]] = [
    (flip("image.raw", 0), "raw golden '0' does not give the tensor of 'image'"),
    (flip("image.tensor", 3.5 / 21), "raw golden '3' does not give the tensor of 'image'"),
    (put("inputs", 0, "steps", 4, "resampler", "pil-bilinear"), "raw golden 'larger' does not give the tensor"),
    (put("inputs", 0, "steps", 2, "weights", [333, 333, 334]), "raw golden 'larger' does not give the tensor"),
    (put("inputs", 0, "steps", 5, "add", [1.0]), "raw golden '0' does not give the tensor"),
    (put("inputs", 0, "steps", 1, "ground", 255), "raw golden 'opaque' does not give the tensor"),
    (put("goldens", "cases", 18, "input", "image", "orientation", 1), "raw golden 'turned' does not give the tensor"),
    (put("goldens", "cases", 0, "input", "image", "height", 9), "image.raw: does not have the size"),
    (put("server_model", "0" * 64), "the contract is of another server model"),
    (put("artifacts", 1, "inputs", 0, "quantization", "scale", 0.5), "tflite/int8 is not what the manifest says"),
    (put("artifacts", 0, "digest", "0" * 64), "tflite/float32 is not what the manifest says"),
    (put("artifacts", []), "is not what the manifest says"),
    (put("outputs", 0, "labels", LABELS[::-1]), "labels of 'probs' are not those of the manifest"),
    (put("outputs", 0, "name", "other"), ""),
    (lambda root: (root / RAW / "probs.tflite-int8").unlink(), "probs.tflite-int8: no such file"),
    (lambda root: (root / RAW / "probs.server").write_bytes(b"1234"), "probs.server: does not have the size"),
    (lambda root: (root / RAW / "image.tensor").write_bytes(b"1234"), "image.tensor: does not have the size"),
    (lambda root: (root / RAW / "image.raw").unlink(), "image.raw: no such file"),
]


@pytest.mark.parametrize(("spoil", "why"), SPOILED)
def test_what_a_stranger_changed_and_sealed_again_is_found(
    bundle: Path, spoil: Callable[[Path], Any], why: str
) -> None:
    spoil(bundle)
    seal_content(bundle, json.loads((bundle / "manifest.json").read_text()))
    if not why:  # a contract that contradicts itself is none
        with pytest.raises(EdgeshipError, match=r"contract\.json: "):
            check_contract(open_bundle(bundle))
        return
    problems = check_contract(open_bundle(bundle)).problems
    assert any(why in problem for problem in problems), problems
    assert all(len(problem) < 500 for problem in problems)


def test_verify_fails_a_bundle_that_breaks_its_contract(bundle: Path) -> None:
    flip("image.raw", 0)(bundle)
    seal_content(bundle, json.loads((bundle / "manifest.json").read_text()))
    done = run(verify, bundle)
    assert done.exit_code == 1
    assert "contract: raw golden '0' does not give the tensor of 'image'" in done.output


def test_a_contract_that_was_changed_is_a_changed_bundle(bundle: Path) -> None:
    put("name", "other")(bundle)
    done = run(verify, bundle)
    assert isinstance(done.exception, EdgeshipError) and "contract.json: changed" in str(done.exception)


def test_a_bundle_of_an_earlier_version_has_none(bundle: Path) -> None:
    (bundle / "contract.json").unlink()
    shutil.rmtree(bundle / RAW)
    seal_content(bundle, json.loads((bundle / "manifest.json").read_text()))
    done = run(verify, bundle)
    assert done.exit_code == 0 and "contract: none" in done.output


def test_inspect_and_the_report_show_the_contract(made: Path, tmp_path: Path) -> None:
    text = run(inspect, made).output
    for part in (
        "image",
        "uint8",
        "grey",
        "contain, 8 x 8",
        "dark: others are inverted",
        "unknown",
        "softmax",
        "shirt, shoe",
    ):
        assert part in text, part
    assert "21 cases in goldens/raw" in text and "[input.image] in edgeship.toml" in text
    lines = json.loads(run(inspect, made, "--json", "-").stdout)["contract"]
    assert {"tensor": "image", "fact": "resampler", "value": "area", "known": "unknown"} in lines
    page = render(made, open_bundle(made).manifest, plots=[])
    assert "Contract with the app" in page and "dark: others are inverted" in page


def test_temperatures_are_recorded_and_an_old_bundle_stays_as_it_is(bundle: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.hardlink_to(bundle / "contract.json")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["artifacts"][1]["temperature"] = {"probs": {"value": 1.25, "reason": ""}}
    seal_content(bundle, manifest)
    entries = open_bundle(bundle).manifest.artifacts
    record_temperatures(bundle, entries)
    seal_content(bundle, manifest)
    contract = contract_of(bundle)
    assert [item.outputs[0].temperature for item in contract.artifacts] == [None, 1.25]
    assert not check_contract(open_bundle(bundle)).problems
    assert "temperature" not in old.read_text() and old.read_bytes() != (bundle / "contract.json").read_bytes()
    record_temperatures(bundle, [replace(item, temperature=None) for item in entries])
    assert (bundle / "contract.json").read_bytes() == old.read_bytes()

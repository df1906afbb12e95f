"""Files that cannot be converted: one or two clear lines, nothing half-written."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgeship.errors import CheckError, InputError
from edgeship.server_model.adapter import root_cause


@dataclass(frozen=True)
class Refused:
    model: str
    says: tuple[str, ...]
    options: dict[str, object] = field(default_factory=dict)


REFUSED = [
    Refused("lambda", ("'twice'", "--allow-unsafe", "execute")),
    Refused("custom", ("'Scale'", "--custom-objects")),
    Refused("custom", ("no_such_module", "cannot be imported"), {"custom_objects": "no_such_module"}),
    Refused("unbuilt", ("input shape",)),
    Refused("four_at_once", ("computes 4 samples at once and no other number", "a batch axis of any length")),
    Refused("weights_only", ("weights only", "load_weights")),
    Refused("text", ("'text'", "string", "on text work StringLength")),
    Refused("signatures", ("first, second", "--signature")),
    Refused("signatures", ("unknown signature 'third'", "first, second"), {"signature": "third"}),
]


def export(tensorflow, model, tmp_path, **options):
    from edgeship.convert.export import export

    return tensorflow.call(export.run, model=str(model), out=str(tmp_path / "out"), **options)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.model}-{'-'.join(case.options)}")
def test_a_model_that_cannot_be_loaded(case, tensorflow, zoo, tmp_path):
    with pytest.raises(InputError) as error:
        export(tensorflow, zoo_copy(zoo, case.model, tmp_path), tmp_path, **case.options)
    assert all(word in str(error.value) for word in case.says), str(error.value)
    assert len(str(error.value)) < 500
    assert not (tmp_path / "out").exists()


def zoo_copy(zoo, name, tmp_path):
    """`custom` under another registered name, so that nothing that other tests imported knows it."""
    path = Path(zoo(name))
    if name != "custom":
        return path
    copy = tmp_path / "custom.keras"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for item in source.namelist():
            data = source.read(item)
            if item == "config.json":
                data = data.replace(b"zoo>Scale", b"other>Scale").replace(b'"zoo_layers"', b'"their_module"')
            target.writestr(item, data)
    return copy


def test_lambda_when_allowed(tensorflow, zoo, tmp_path):
    assert export(tensorflow, zoo("lambda"), tmp_path, allow_unsafe=True).outputs[0].name == "twice"


def damaged(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    return target


@pytest.mark.parametrize("name", ["functional", "legacy_h5"])
def test_truncated_files(name, tensorflow, zoo, tmp_path):
    source = Path(zoo(name))
    with pytest.raises(InputError, match="damaged or truncated"):
        export(tensorflow, damaged(source, tmp_path / source.name), tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.keras", None, "no such file"),
        ("empty.keras", b"", "empty"),
        ("text.keras", b"hello", "not a Keras model"),
        ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(80), "converted already"),
        ("model.onnx", b"\x08\x08" + bytes(80), "ONNX"),
        ("model.pkl", b"\x80\x04" + bytes(80), "pickle"),
        ("pointer.keras", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("other.keras", b"PK\x05\x06" + bytes(18), "no config.json"),
    ],
)
def test_files_of_another_kind(name, content, says, tensorflow, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        export(tensorflow, tmp_path / name, tmp_path)


def with_changed_layer(source: Path, target: Path, change) -> Path:
    """A `.keras` file whose first layer has another configuration."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                content = json.loads(data)
                change(next(item for item in content["config"]["layers"] if item["class_name"] != "InputLayer"))
                data = json.dumps(content).encode()
            new.writestr(name, data)
    return target


def test_what_a_layer_itself_says_is_told_and_not_what_stands_around_it(tensorflow, zoo, tmp_path):
    """Keras puts the cause behind the whole configuration of the model."""
    path = with_changed_layer(
        Path(zoo("functional")), tmp_path / "newer.keras", lambda layer: layer["config"].update(shiny=1)
    )
    with pytest.raises(InputError, match=r"layer '\w+' \(\w+\): .*[Kk]eyword argument.*shiny") as error:
        export(tensorflow, path, tmp_path)
    assert len(str(error.value)) < 500


CALL = "Exception encountered when calling {}.\n\n{}\n\nArguments received by {}:\n  * args=('x',)"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("plain", "plain"),
        (CALL.format("Bad.call()", "\x1b[1mhelper() got an unexpected keyword argument 'scale'\x1b[0m", "Bad.call()"),
         "Bad.call(): \x1b[1mhelper() got an unexpected keyword argument 'scale'\x1b[0m"),
        (CALL.format("Functional.call()", CALL.format("Inner.call()", "no such axis", "Inner.call()"), "Functional"),
         "Inner.call(): no such axis"),
        ("Exception encountered: " + CALL.format("layer 'a' (type A)", "It failed. Error encountered:\n\nb() lacks c", "A"),
         "'a' (type A): b() lacks c"),
        ("<class 'M'> could not be deserialized properly.\n\nconfig={}.\n\nException encountered: Error when deserializing class "
         "'Dense' using config={'name': 'first', 'units': 3}.\n\nException encountered: unexpected keyword argument 'shiny'",
         "layer 'first' (Dense): unexpected keyword argument 'shiny'"),
    ],
    ids=["another", "call", "nested", "wrapped", "config"],
)  # fmt: skip
def test_the_cause_of_an_error_of_keras(message, told):
    assert root_cause(ValueError(message)) == told


def test_folders_of_another_kind(tensorflow, tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match=r"without saved_model\.pb"):
        export(tensorflow, tmp_path / "plain", tmp_path)
    (tmp_path / "plain" / "saved_model.pb").write_bytes(b"\x0a\xff\xff\xff\xff\x0f" + bytes(9))
    with pytest.raises(InputError, match="damaged"):
        export(tensorflow, tmp_path / "plain", tmp_path)


def test_a_model_that_takes_no_single_sample(tensorflow, zoo, tmp_path):
    with pytest.raises(InputError, match=r"the model has no form with batch 1 \(.*evenly divisible"):
        export(tensorflow, zoo("pairs"), tmp_path, static_batch=1)
    assert not (tmp_path / "out").exists()


def test_a_model_whose_weights_are_nan(tensorflow, zoo, tmp_path):
    with pytest.raises(InputError, match="NaN"):
        export(tensorflow, zoo("nan"), tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("format", "place"), [("tflite", "out_file"), ("onnx", "out_file"), ("tfjs", "out_dir")])
def test_an_op_that_no_format_has_is_named(format, place, tensorflow, zoo, tmp_path):
    export(tensorflow, zoo("svd"), tmp_path)
    target = tmp_path / "made" / "artifact"
    with pytest.raises(InputError, match="cannot express Svd"):
        tensorflow.call(
            f"edgeship.convert.{format}.convert:run", saved_model=str(tmp_path / "out"), **{place: str(target)}
        )
    assert not target.exists()
    assert not [item for item in (tmp_path / "made").rglob("*")] if (tmp_path / "made").exists() else True


@pytest.mark.parametrize(("format", "place"), [("tflite", "out_file"), ("onnx", "out_file"), ("tfjs", "out_dir")])
def test_an_op_on_text_is_named_where_only_numbers_come_in(format, place, tensorflow, zoo, tmp_path):
    """Also where a tool ends with an assertion; only what the signature computes is told, and its idle table is left out."""
    export(tensorflow, zoo("words_inside"), tmp_path)
    arguments = {"saved_model": str(tmp_path / "out"), place: str(tmp_path / "artifact")}
    op = (
        r"LookupTableFindV2 \(at 'lookup/" if format == "onnx" else r"AsString \(at 'lookup'"
    )  # ONNX casts numbers to text
    with pytest.raises(InputError, match=f"cannot express {op}") as error:
        tensorflow.call(f"edgeship.convert.{format}.convert:run", **arguments)
    assert "elsewhere" not in str(error.value) and "StringLength" not in str(error.value)


def test_an_op_is_named_by_the_node_that_a_tool_complains_of(tensorflow, zoo, tmp_path):
    export(tensorflow, zoo("numbered"), tmp_path)
    arguments = {"saved_model": str(tmp_path / "out"), "out_file": str(tmp_path / "artifact.onnx")}
    with pytest.raises(InputError, match=r"ONNX cannot express LookupTableFindV2 \(layer 'numbering'\)") as error:
        tensorflow.call("edgeship.convert.onnx.convert:run", **arguments)
    assert error.value.layers == ("numbering",)


def test_flex_only_where_it_is_allowed(tensorflow, zoo, tmp_path):
    from edgeship.convert.receipts import receipt

    exported = export(tensorflow, zoo("determinant"), tmp_path)
    target = tmp_path / "flex.tflite"
    tensorflow.call(
        "edgeship.convert.tflite.convert:run", saved_model=str(tmp_path / "out"), out_file=str(target), allow_flex=True
    )
    contents = receipt.read(target)
    assert contents.flex_ops == ("FlexMatrixDeterminant",)
    receipt.check(contents, receipt.ExpectedArtifact(exported, allow_flex=True))
    with pytest.raises(CheckError, match="FlexMatrixDeterminant"):
        receipt.check(contents, receipt.ExpectedArtifact(exported))

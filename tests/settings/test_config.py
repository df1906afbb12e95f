import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeship.errors import InputError
from edgeship.formats.formats import FORMATS
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant, built_in_variant, default_variants, unsupported_reason
from edgeship.types import to_json

GOOD = """
[data]
calibration = "calibration.npz"
evaluation = "my.module:data"
labels = ["a", "b"]

[variants.float32]

[variants.int8]
io = "float32"
formats = ["tflite"]

[variants.small]
quantize = "static_w8a8"

[budget]
accuracy = "mlperf99"
"""


def read(tmp_path, text):
    path = tmp_path / "edgeship.toml"
    path.write_text(text)
    return Config.read(path)


def test_a_threshold_of_an_output_is_read_and_restored(tmp_path):
    config = read(tmp_path, "[output.scores]\nthreshold = 0.7\n")
    assert config.output["scores"].threshold == 0.7
    assert Config.restore(json.loads(json.dumps(to_json(config.to_manifest())))).output == config.output
    with pytest.raises(InputError, match=r"\[output.scores\]: threshold"):
        read(tmp_path, '[output.scores]\nthreshold = "high"\n')
    with pytest.raises(InputError, match=r"outputs are tables, as \[output.NAME\]"):
        read(tmp_path, "output = 3\n")


def test_a_good_file_is_read_with_paths_relative_to_it(tmp_path):
    config = read(tmp_path, GOOD)
    assert config.data.calibration == str(tmp_path / "calibration.npz")
    assert config.data.evaluation == "my.module:data"
    assert [(v.name, v.quantize, v.io) for v in config.variants] == [
        ("float32", "float32", "auto"),
        ("int8", "static_w8a8", "float32"),
        ("small", "static_w8a8", "auto"),
    ]
    restored = Config.restore(to_json(config.to_manifest()))
    assert restored.data.evaluation is None, "code is named by the user, never by a bundle"
    assert replace(restored, data=replace(restored.data, evaluation="my.module:data")) == config


def test_a_student_lies_beside_the_configuration(tmp_path):
    config = read(tmp_path, "[variants.client]\ndistill = { student = 'client.keras' }")
    assert config.variants[0].recipes.distill.student == str(tmp_path / "client.keras")


def test_a_page_takes_any_batch_of_tfjs():
    many = Variant("many", static_batch=64)
    assert "static_batch = 64 is for .tflite and .onnx" in (unsupported_reason(many, "tfjs") or "")
    assert not unsupported_reason(many, "tflite")
    assert not unsupported_reason(Variant("one", static_batch=True), "tfjs")


def test_sparse_encoding_is_of_tflite_only():
    variant = Variant("sparse", prune=0.8, sparse_encoding=True)
    assert [name for name in FORMATS if not unsupported_reason(variant, name)] == ["tflite"]
    assert "onnx has no such storage" in (unsupported_reason(variant, "onnx") or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[dta]", "unknown key 'dta'"),
        ("[data]\ncalibraton = 'x'", "known: calibration, calibration_samples"),
        ("[data]\ncalibration = 3", "must be a string"),
        ('[variants.many]\nstatic_batch = "64"', "must be true, false or a whole number"),
        ("[variants.many]\nstatic_batch = -1", "static_batch = -1 must be true, false or a whole number of samples"),
        ("[data]\ncalibration_samples = true", "must be a whole number"),
        ("[data]\ncalibration_samples = 0", "at least 1"),
        ("[data]\nlabels = 'missing.txt'", "cannot read labels"),
        ("[variants.int4]\nquantize = 'w4'", "unknown quantization recipe 'w4'"),
        ("[variants.int8]\nformats = ['coreml']", "unknown format 'coreml'"),
        ("[variants.int8]\nio = 'uint8'", "known: auto, float32, int8"),
        ("[variants.int8]\ncalibration_method = 'max'", "known: entropy, min-max, moving-average, mse, percentile"),
        ("[variants.float16]\ncalibration_method = 'mse'", "float16 has no ranges to calibrate"),
        ("[variants.int8]\nweight_bits = 6", 'weight_bits = 6 must be 7, 8 or "auto", as weight_bits = 8'),
        (
            "[variants.float16]\nweight_bits = 7",
            "weight_bits is for int8 .static_w8a8, auto.: variant 'float16' has float16",
        ),
        ("[variants.int8]\nsparse_encoding = true", "sparse_encoding is for float32 .tflite files"),
        ("variants = 3", r"\[variants.int8\]"),
        ("[benchmark]\nprofile = 'fast'", "known: full, normal, quick, rapid"),
        ("[benchmark]\ndevices = ['pixel']", "unknown device 'pixel'"),
        ("data = 3", "expected a table"),
        ("[data", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


OLD = "[variants.int8]\ncalibration = 'percentile'"


def test_a_key_under_its_former_name_is_understood_and_said(tmp_path, capsys):
    config = read(tmp_path, f"[data]\ncalibration = 'calibration.npz'\n{OLD}")
    assert config.variants[0].calibration_method == "percentile"
    (line,) = capsys.readouterr().err.splitlines()
    assert "edgeship.toml, [variants.int8]: calibration is now called calibration_method" in line
    assert line.endswith('write calibration_method = "percentile"')


def test_todays_name_is_said_nothing_of(tmp_path, capsys):
    assert read(tmp_path, OLD.replace("calibration", "calibration_method")) == read(tmp_path, OLD)
    capsys.readouterr()
    read(tmp_path, OLD.replace("calibration", "calibration_method"))
    assert capsys.readouterr().err == ""


def test_both_names_at_once_are_refused(tmp_path):
    with pytest.raises(InputError, match="both are given; keep calibration_method alone"):
        read(tmp_path, f"{OLD}\ncalibration_method = 'mse'")


def test_what_an_earlier_version_stored_is_read_without_a_word(tmp_path, capsys):
    config = read(tmp_path, OLD.replace("calibration", "calibration_method"))
    stored = json.loads(json.dumps(to_json(config.to_manifest())))
    stored["variants"][0]["calibration"] = stored["variants"][0].pop("calibration_method")
    assert Config.restore(stored) == config
    assert capsys.readouterr().err == ""


def test_where_it_was_read_from_is_named_and_not_stored(tmp_path):
    config = read(tmp_path, GOOD)
    assert config.source == str(tmp_path / "edgeship.toml")
    assert "source" not in config.to_manifest()
    assert Config.restore(to_json(config.to_manifest())).source == "the bundle's configuration"
    with pytest.raises(InputError, match="unknown key 'source'"):
        read(tmp_path, "source = 'x'")


def test_the_default_variants_make_no_pair_without_meaning():
    def pairs(data):
        return {(item, v.name) for v in default_variants(("tflite", "onnx", "tfjs"), data) for item in v.formats}

    floats = {("tflite", "float32"), ("onnx", "float32"), ("tfjs", "float32"), ("tfjs", "weight_only_w8")}
    assert pairs(False) == floats
    assert pairs(True) == floats | {("tflite", "int8"), ("onnx", "int8")}


def test_a_variant_that_is_trained_further(tmp_path):
    """Recipes are checked when the file is read; they survive the way through a manifest."""
    path = tmp_path / "edgeship.toml"
    path.write_text(
        '[data]\ntrain = "train.npz"\n[training]\nepochs = 2\n'
        '[variants.small]\nquantize = "static_w8a8"\nprune = { sparsity = 0.5, layers = ["conv*"] }\nqat = true\n'
    )
    read = Config.read(path)
    assert read.data.train == str(tmp_path / "train.npz")
    assert read.variants is not None
    (variant,) = read.variants
    assert variant.recipes.prune is not None
    assert variant.recipes.prune.layers == ("conv*",)
    assert variant.recipes.qat and not variant.recipes.cluster
    again = Config.restore(json.loads(json.dumps(to_json(read))))
    assert again.variants == read.variants
    assert again.training.epochs == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[variants.small]\nprune = 1.0", "must be a share of zeros"),
        ("[variants.small]\nprune = { layer = 'conv' }", "unknown key 'layer'"),
        ("[variants.int8]\nqat = true", "is the plain one: call what is trained further otherwise"),
        ("[training]\nepoch = 3", "unknown key 'epoch'"),
    ],
)
def test_recipes_that_make_no_sense(tmp_path, text, message):
    path = tmp_path / "edgeship.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        Config.read(path)


def test_mobile_stands_for_what_phones_take(tmp_path):
    config = read(tmp_path, "[variants.mobile]\n[variants.tiny]\nquantize = 'float16'\nmobile = 'rgb'")
    told = [(v.name, v.quantize, v.io, v.static_batch, v.formats, v.mobile) for v in config.variants]
    assert told == [
        ("mobile", "static_w8a8", "float32", True, ("tflite",), True),
        ("tiny", "float16", "float32", True, ("tflite",), "rgb"),
    ]
    assert Config.restore(to_json(config.to_manifest())).variants == config.variants
    assert built_in_variant("mobile", FORMATS) == config.variants[0]


@pytest.mark.parametrize("key", ["io = 'int8'", "static_batch = 4", "static_batch = false", "formats = ['onnx']"])
def test_mobile_is_no_other_form(key, tmp_path):
    with pytest.raises(
        InputError, match=r"variant 'mobile' is mobile.*batch 1 and float edges: leave out formats, io, stat"
    ):
        read(tmp_path, f"[variants.mobile]\n{key}")


def test_mobile_is_true_false_or_rgb(tmp_path):
    with pytest.raises(InputError, match="mobile = 'bgr' must be true, false or \"rgb\""):
        read(tmp_path, "[variants.mobile]\nmobile = 'bgr'")


def test_what_training_says_of_inputs_counts_without_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ship` without `init` has the same contract; it is said that the file is used, and one that holds more is refused."""
    from edgeship.notices import set_visibility
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    model, forms = tmp_path / "server.keras", tmp_path / "inputs.toml"
    model.touch()
    forms.write_text('[input.x]\nkind = "window"\n[output.y]\nthreshold = 0.25\n')
    with set_visibility(True):
        settings = model_settings(model, None, ModelOptions())
    assert settings.input["x"].kind == "window" and settings.output["y"].threshold == 0.25
    assert f"using inputs.toml beside {model}" in capsys.readouterr().err
    (tmp_path / "edgeship.toml").write_text("")
    assert not model_settings(model, None, ModelOptions()).input, "a configuration says all"
    (tmp_path / "edgeship.toml").unlink()
    forms.write_text("[inputs]\n")
    with pytest.raises(InputError, match=r"inputs\.toml"):
        model_settings(model, None, ModelOptions())
    forms.unlink()
    (tmp_path / "other").write_text('[input.x]\nkind = "window"\n')
    forms.symlink_to(tmp_path / "other")
    assert not model_settings(model, None, ModelOptions()).input

"""Whatever a user gets wrong is one or two lines and exit code 2, without a traceback, with nothing written or lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeship.bundle import bundle


def check_refused(done, *parts: str) -> None:
    assert done.returncode == 2, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    lines = done.stderr[done.stderr.rindex("error:" if "error:" in done.stderr else "Error:") :].strip().splitlines()
    assert len(lines) <= 2, done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr


def nothing_written(folder: Path, out: str = "out") -> None:
    assert not [path.name for path in folder.iterdir() if path.name.lstrip(".").startswith(out)]


@pytest.fixture
def plain(odd_models, tmp_path):
    """A good model with data of its own, to be given wrong things with."""
    shutil.copy(odd_models / "plain.keras", tmp_path)
    x = np.random.default_rng(0).random((32, 4), np.float32)
    np.savez(tmp_path / "good.npz", x=x, y=np.arange(32) % 3)
    np.savez(tmp_path / "shape.npz", x=x[:, :2])
    np.savez(tmp_path / "dtype.npz", x=x.astype(np.complex64))
    np.savez(tmp_path / "name.npz", picture=x)
    np.savez(tmp_path / "empty.npz", x=x[:0])
    np.savez(tmp_path / "nan.npz", x=np.where(x > 0.9, np.nan, x))
    np.savez(tmp_path / "unlabelled.npz", x=x)
    np.savez(tmp_path / "labels.npz", x=x, y=np.full(32, 7))
    (tmp_path / "text.npz").write_text("no zip")
    return tmp_path / "plain.keras"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path, _: None, "no such file or folder"),
        (lambda path, good: path.write_bytes(good.read_bytes()[:700]), "wrong.keras"),
        (lambda path, _: path.write_text("just text"), "wrong.keras"),
        (lambda path, _: path.write_bytes(b""), "wrong.keras"),
        (lambda path, _: path.mkdir(), "wrong.keras"),
    ],
    ids=["missing", "truncated", "text", "empty", "folder"],
)
def test_what_is_no_model(edgeship, plain, make, message):
    path = edgeship.folder / "wrong.keras"
    make(path, plain)
    check_refused(edgeship("convert", path, "--out", "out"), message)
    nothing_written(edgeship.folder)


def test_a_lambda_layer_is_refused_unless_it_is_allowed(edgeship, odd_models):
    model = odd_models / "lambda.keras"
    check_refused(edgeship("convert", model, "--out", "out"), "Lambda", "--allow-unsafe")
    nothing_written(edgeship.folder)
    edgeship("convert", model, "--out", "out", "--to", "onnx", "--allow-unsafe", check=0)


def test_an_unknown_custom_layer_is_named_and_can_be_given(edgeship, odd_models):
    model = odd_models / "custom.keras"
    check_refused(edgeship("convert", model, "--out", "out"), "Doubled", "--custom-objects")
    nothing_written(edgeship.folder)
    shutil.copy(odd_models / "mylayers.py", edgeship.folder)
    edgeship("convert", model, "--out", "out", "--to", "onnx", "--custom-objects", "mylayers", check=0)
    check_refused(edgeship("convert", model, "--out", "out", "--custom-objects", "no.such"), "no.such")


def test_custom_objects_given_to_init_need_no_further_word_and_are_given_to_a_bundle_again(edgeship, odd_models, plain):
    """The file that init writes is the user's own; a bundle may have been anybody's."""
    for name in ("custom.keras", "mylayers.py"):
        shutil.copy(odd_models / name, edgeship.folder)
    edgeship("init", "custom.keras", "--custom-objects", "mylayers", check=0)
    done = edgeship("convert", "custom.keras", "--out", "out", "--to", "onnx", "--variant", "float32", check=0)
    assert "next: edgeship benchmark out --data evaluation.npz --custom-objects mylayers" in done.stderr
    arguments = ("benchmark", "out", "--data", "good.npz", "--json", "result.json")
    check_refused(edgeship(*arguments), 'custom_objects = "mylayers"', "add --custom-objects mylayers")
    for granted in (("--custom-objects", "mylayers"), ("--config", "edgeship.toml")):
        done = edgeship(*arguments, *granted)
        assert done.returncode in (0, 1), done.stderr
        assert json.loads((edgeship.folder / "result.json").read_text())["measurements"][0]["details"]["accuracy"]
    check_refused(edgeship(*arguments), "--custom-objects mylayers")
    (edgeship.folder / "edgeship.toml").write_text('[model]\ncustom_objects = "mylayers" # changed\n')
    check_refused(edgeship("convert", "custom.keras", "--out", "again"), "edgeship.toml: was changed", "edgeship trust")


def test_an_op_that_a_format_cannot_express_is_named_and_leaves_no_stub(edgeship, odd_models):
    for name in ("tflite", "onnx", "tfjs"):
        check_refused(edgeship("convert", odd_models / "svd", "--out", "out", "--to", name), "Svd")
        nothing_written(edgeship.folder)
    check_refused(edgeship("convert", odd_models / "svd", "--out", "out", "--to", "tfjs,onnx"), "Svd", "out with --to")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("missing.npz", "no such file"),
        ("text.npz", "not an .npz"),
        ("shape.npz", "takes 4"),
        ("dtype.npz", "complex64"),
        ("name.npz", "no array for model input 'x'"),
        ("empty.npz", "empty"),
        ("nan.npz", "NaN"),
        ("no_module:thing", "no_module"),
    ],
)
def test_representative_data_that_does_not_fit(edgeship, plain, data, message):
    done = edgeship("convert", plain, "--out", "out", "--variant", "float32,int8", "--data", data)
    check_refused(done, message)
    assert not re.search("export|convert|calibrate", done.stderr.partition("error:")[0]), done.stderr
    nothing_written(edgeship.folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("shape.npz", "array 'x' has samples of shape 2, model input 'x' takes 4"),
        ("dtype.npz", "complex64"),
        ("name.npz", "no array for model input 'x'"),
        ("empty.npz", "empty"),
        ("nan.npz", "NaN"),
        ("unlabelled.npz", "unlabelled.npz: no labels in it"),
        ("labels.npz", "labels.npz: top1: labels run from 7 to 7, but the model tells 3 classes apart"),
    ],
)
def test_evaluation_data_that_does_not_fit(edgeship, plain, data, message):
    done = edgeship("ship", plain, "--out", "out", "--evaluation", data)
    check_refused(done, message)
    assert not re.search("export|convert|answer", done.stderr.partition("error:")[0]), done.stderr
    if data == "unlabelled.npz":
        assert 'without labels: accuracy = "none" and min_agreement = 0.98' in done.stderr
    nothing_written(edgeship.folder)


def test_a_word_beyond_the_vocabulary_is_told_in_a_line(edgeship, odd_models):
    ids = np.arange(60).reshape(10, 6)
    np.savez(edgeship.folder / "words.npz", ids=ids, y=ids[:, 0] % 3)
    arguments = ("--to", "tflite", "--variant", "float32", "--evaluation", "words.npz")
    done = edgeship("ship", odd_models / "words.keras", "--out", "out", *arguments)
    check_refused(done, "words.npz: the model cannot answer some samples", "is not in [0, 50)")
    nothing_written(edgeship.folder)


def test_training_data_that_does_not_fit(edgeship, plain):
    text = "[data]\ntrain = '{}'\n[variants.small]\nprune = 0.5\n"
    for data, message in (("shape.npz", "takes 4"), ("unlabelled.npz", "training needs labels")):
        (edgeship.folder / "edgeship.toml").write_text(text.format(data))
        done = edgeship("convert", plain, "--out", "out")
        check_refused(done, data, message)
        assert not re.search("export|convert|train further", done.stderr.partition("error:")[0]), done.stderr
    nothing_written(edgeship.folder)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[budget]\nacuracy = 'mlperf99'", "unknown budget key 'acuracy' in other.toml [budget]; known: "),
        ("[benchmark]\nruntimes = ['tensorrt']", "unknown runtime 'tensorrt' in other.toml, [benchmark]"),
        ("[benchmark]\nmetric = 'top3'", "unknown metric 'top3' in other.toml, [benchmark]"),
        ("[variants.int8]\ncalibraton = 'mse'", "unknown key 'calibraton' in other.toml, [variants.int8]"),
    ],
)
def test_errors_name_the_file_that_was_read(edgeship, plain, toml, message):
    """Another file beside the model is read by none of them."""
    (edgeship.folder / "edgeship.toml").write_text("[nonsense]")
    (edgeship.folder / "other.toml").write_text(toml)
    for command in (("ship", plain, "--evaluation", "good.npz"), ("convert", plain)):
        done = edgeship(*command, "--out", "out", "--config", "other.toml")
        check_refused(done, message)
        assert "edgeship.toml" not in done.stderr
        assert "done" not in done.stderr
    nothing_written(edgeship.folder)


def test_int8_without_data_says_how_to_give_some(edgeship, plain):
    check_refused(edgeship("convert", plain, "--out", "out", "--variant", "int8"), "--data calibration.npz")
    check_refused(edgeship("convert", plain, "--out", "out", "--to", "tfjs", "--variant", "int8"), "weight_only_w8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--variant", "int4"),
            "known: auto, dynamic_w4, dynamic_w8, float16, float32, int8, mobile, weight_only_w4, weight_only_w8",
        ),
        (("--to", "coreml"), "known: onnx, tfjs, tflite"),
        (("--io", "uint8"), "int8"),
        (("--config", "missing.toml"), "edgeship init"),
        (("--samples", "0"), "--samples"),
        (("--frobnicate",), "--frobnicate"),
    ],
)
def test_unknown_names_list_the_known_ones(edgeship, plain, arguments, message):
    check_refused(edgeship("convert", plain, "--out", "out", *arguments), message)
    nothing_written(edgeship.folder)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[budget]\nacuracy = 'mlperf99'", "unknown budget key 'acuracy'"),
        ("[budget]\nmax_size_disk = 'small'", "max_size_disk"),
        ("[benchmark]\nruntimes = ['tensorrt']", "known: client-c"),
        ("[benchmark]\nruntimes = ['client-c']", "client-c runs its own self-test and no artifacts"),
        ("[variant.int8]", "known: benchmark, budget, data, input, learning, model, output, training, variants"),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_work(edgeship, plain, toml, message):
    (edgeship.folder / "edgeship.toml").write_text(toml)
    done = edgeship("ship", plain, "--out", "out", "--evaluation", "good.npz")
    check_refused(done, message)
    assert "done" not in done.stderr
    nothing_written(edgeship.folder)


def test_labels_missing_or_impossible_where_accuracy_is_asked(edgeship, plain):
    check_refused(edgeship("ship", plain, "--out", "out", "--to", "tflite", "--evaluation", "unlabelled.npz"), "labels")
    check_refused(edgeship("ship", plain, "--out", "out", "--to", "tflite", "--evaluation", "labels.npz"), "label")
    nothing_written(edgeship.folder)


def test_a_place_that_cannot_be_written(edgeship, plain):
    (edgeship.folder / "outfile").write_text("mine")
    check_refused(edgeship("convert", plain, "--out", "outfile"), "exists and is not a bundle")
    assert (edgeship.folder / "outfile").read_text() == "mine"
    check_refused(edgeship("convert", plain, "--out", "outfile/below"), "outfile")
    check_refused(edgeship("convert", plain, "--out", "/proc/out"), "/proc")


def test_a_full_disk_leaves_nothing(edgeship, plain):
    """A file size limit stands in for the disk: writing beyond it fails the same way, in the middle of a file."""
    command = [sys.executable, "-m", "edgeship.cli", "convert", str(plain), "--out", "out", "--to", "tflite"]
    env = {**os.environ, "EDGESHIP_CACHE": str(edgeship.cache)}
    edgeship("convert", plain, "--out", "warm", "--to", "tflite", check=0)
    full = edgeship.folder / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(full)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a small file system")
    try:
        done = subprocess.run(
            [*command[:-3], str(full / "out"), *command[-2:]], env=env, capture_output=True, text=True, check=False
        )
        check_refused(done, "No space left")
        nothing_written(full)
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_a_bundle_edited_by_hand(edgeship, shipped):
    (shipped.bundle / "tflite" / "int8.tflite").write_bytes(b"other")
    for command in (("gate",), ("verify",), ("benchmark",), ("report",)):
        check_refused(edgeship(*command, shipped.bundle), "int8.tflite", "does not match its manifest")
    manifest = shipped.bundle / "manifest.json"
    data = json.loads(manifest.read_text())
    data["gate"]["verdict"] = "PASS"
    manifest.write_text(json.dumps(data))
    check_refused(edgeship("gate", shipped.bundle), "was changed after it was written")
    check_refused(edgeship("gate", edgeship.folder), "not a bundle")


def test_a_file_is_no_bundle(edgeship, plain):
    for command in ("verify", "report"):
        check_refused(edgeship(command, plain), "plain.keras: not a bundle, which is a folder")
    done = edgeship("gate", plain)
    assert done.returncode == 2
    assert "plain.keras is no bundle: to judge a model file, name what it is compared with: --server" in done.stderr


def test_a_bundle_of_an_earlier_version_is_read(edgeship, shipped):
    """It holds the calibration method of a variant under the key's former name."""

    def rename(config):
        for item in config["variants"]:
            method = item.pop("calibration_method")
            item["calibration"] = "percentile" if item["quantize"] == "static_w8a8" else method

    shipped.change(rename)
    judged = edgeship("gate", shipped.bundle)
    assert judged.returncode in (0, 1), judged.stderr
    assert not judged.stderr
    edgeship("report", shipped.bundle, check=0)
    done = edgeship("debug", shipped.bundle, "--data", shipped.folder / "evaluation.npz", "--samples", "8", check=0)
    assert "calibrate closely" in done.stderr


def test_commands_on_a_bundle_name_the_file_that_was_read(edgeship, shipped):
    other = edgeship.folder / "other.toml"
    other.write_text("[budget]\nacuracy = 'mlperf99'")
    for command in ("gate", "benchmark"):
        check_refused(
            edgeship(command, shipped.bundle, "--config", other), f"unknown budget key 'acuracy' in {other} [budget]"
        )
    other.write_text("[benchmark]\noutput = 'nothing'")
    done = edgeship("benchmark", shipped.bundle, "--config", other, "--data", shipped.folder / "evaluation.npz")
    check_refused(done, f"unknown output 'nothing' in {other}, [benchmark]")


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_killed_at_any_moment_the_old_bundle_stays(edgeship, shipped, moment):
    """The kill comes after a line of progress, not after a time: the first, a middle one, the last before the move."""
    before = bundle.open_bundle(shipped.bundle).manifest.created
    command = [
        sys.executable,
        "-m",
        "edgeship.cli",
        "ship",
        str(shipped.model),
        "--out",
        str(shipped.bundle),
        "--to",
        "tflite",
    ]
    env = {**os.environ, "EDGESHIP_CACHE": str(edgeship.folder / f"cache{moment}" if moment < 2 else edgeship.cache)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for _ in range((1, 3, 9)[moment]):
            process.stderr.readline()
        process.send_signal(signal.SIGKILL)
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    assert bundle.open_bundle(shipped.bundle).manifest.created == before


def test_two_runs_at_once_on_one_cache(edgeship, shipped):
    env = {**os.environ, "EDGESHIP_CACHE": str(edgeship.folder / "one-cache")}
    command = [sys.executable, "-m", "edgeship.cli", "convert", str(shipped.model), "--to", "tflite,onnx", "--out"]
    runs = [
        subprocess.Popen([*command, str(edgeship.folder / name)], env=env, stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    logs = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], logs
    files = [bundle.open_bundle(edgeship.folder / name).manifest.files for name in "ab"]
    assert files[0] == files[1]

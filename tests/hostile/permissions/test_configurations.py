"""No edgeship.toml that lies beside a model allows code to run, or reads outside its folder, unasked."""

from __future__ import annotations

import json
import os
import tomllib

import pytest

from edgeship.benchmarks.gate.budget import Budget
from edgeship.errors import InputError

GRANTS = {
    'custom_objects = "evil"': "[model]\ncustom_objects = 'evil'\n",
    "allow_unsafe = true": "[model]\nallow_unsafe = true\ncustom_objects = 'evil'\n",
    'calibration = "evil:data"': "[data]\ncalibration = 'evil:data'\n",
    'metric = "evil:data"': "[benchmark]\nmetric = 'evil:data'\n",
    'metrics = {"a": "f1", "b": "evil:data"}': "[benchmark.metrics]\na = 'f1'\nb = 'evil:data'\n",
    'devices = ["evil.toml"]': "[benchmark]\ndevices = ['evil.toml']\n[model]\ncustom_objects = 'evil'\n",
}


@pytest.mark.parametrize(
    ("command", "grant"),
    [
        *((("convert",), grant) for grant in GRANTS),
        *(
            (command, next(iter(GRANTS)))
            for command in (("ship", "--evaluation", "data.npz"), ("optimize", "--qat", "--data", "data.npz"))
        ),
    ],
)
def test_a_configuration_beside_a_model_grants_nothing_in_silence(stranger, command, grant):
    (stranger.folder / "evil.toml").write_text('kind = "measured"\n[launch]\nhow = "direct"\n')
    (stranger.folder / "edgeship.toml").write_text(GRANTS[grant])
    out = {"optimize": "out.keras"}.get(command[0], "out")
    arguments = ("model.keras", "--out", out, *command[1:])
    stranger.refuses(command[0], *arguments, words=("edgeship.toml", grant, "edgeship trust edgeship.toml", "--trust"))
    assert not (stranger.folder / out).exists()


def test_a_file_called_like_code_makes_it_no_data(stranger):
    """What is a file here is a module to a process that works in another folder."""
    (stranger.folder / "data.npz").rename(stranger.folder / "evil:data")
    (stranger.folder / "edgeship.toml").write_text("[data]\ncalibration = 'evil:data'\n")
    stranger.refuses("convert", "model.keras", "--out", "out", words=('calibration = "evil:data"', "edgeship trust"))


def test_training_data_that_is_code_is_found_too(stranger):
    (stranger.folder / "edgeship.toml").write_text("[data]\ntrain = 'evil:data'\n")
    stranger.refuses("optimize", "model.keras", "--out", "out.keras", "--qat", words=('train = "evil:data"',))


def test_what_a_file_grants_is_asked_for_once_and_again_when_it_changes(stranger):
    file = stranger.folder / "edgeship.toml"
    file.write_text("[model]\ncustom_objects = 'evil'\n")
    arguments = ("convert", "model.keras", "--out", "out", "--to", "onnx")
    stranger.refuses(*arguments, words=("lies beside the model", 'custom_objects = "evil"'))
    shown = stranger("trust", "edgeship.toml").stdout
    assert '[model] custom_objects = "evil" (imports that module)' in shown
    assert not stranger.canary.exists()
    stranger.runs(*arguments)
    assert str(file) in stranger("trust", "--list").stdout
    file.write_text("[model]\ncustom_objects = 'evil'\nallow_unsafe = true\n")
    stranger.refuses(*arguments, words=("changed since you trusted it", "allow_unsafe = true"))
    file.write_text("[model]\ncustom_objects = 'evil'\n")
    stranger.runs(*arguments)
    stranger("trust", "--remove", "edgeship.toml")
    stranger.refuses(*arguments, words=("lies beside the model",))
    copy = stranger.folder / "other"
    copy.mkdir()
    stranger("trust", "edgeship.toml")
    (stranger.folder / "model.keras").rename(copy / "model.keras")
    file.rename(copy / "edgeship.toml")
    stranger.refuses(
        *arguments[:1], "other/model.keras", *arguments[2:], words=("other/edgeship.toml", "lies beside the model")
    )


def test_naming_the_file_or_trusting_the_run_is_enough(stranger):
    (stranger.folder / "edgeship.toml").write_text("[model]\ncustom_objects = 'evil'\n")
    arguments = ("convert", "model.keras", "--out", "out", "--to", "onnx")
    assert "is trusted for this run: [model] custom_objects" in stranger.runs(*arguments, "--trust")
    stranger.runs(*arguments, "--config", "edgeship.toml")
    stranger.runs(*arguments, "--custom-objects", "evil")  # the command line says it already
    stranger.refuses(*arguments, words=("lies beside the model",))


def test_a_configuration_that_grants_nothing_needs_no_trust(stranger):
    (stranger.folder / "edgeship.toml").write_text(
        "[data]\ncalibration = 'data.npz'\n[benchmark]\ndevices = ['host']\n"
    )
    stranger.refuses("convert", "missing.keras", "--out", "out", words=("missing.keras", "no such file"))
    assert "lets no code run" in stranger("trust", "edgeship.toml").stdout


def test_a_list_of_trusted_files_that_others_may_write_is_not_believed(stranger):
    (stranger.folder / "edgeship.toml").write_text("[model]\ncustom_objects = 'evil'\n")
    stranger("trust", "edgeship.toml")
    store = stranger.folder / "trust/trusted.json"
    assert store.stat().st_mode & 0o777 == 0o600
    assert store.parent.stat().st_mode & 0o777 == 0o700
    arguments = ("convert", "model.keras", "--out", "out", "--to", "onnx")
    store.chmod(0o666)
    stranger.refuses(*arguments, words=("not yours alone to write",))
    store.chmod(0o600)
    store.rename(stranger.folder / "elsewhere.json")
    store.symlink_to(stranger.folder / "elsewhere.json")
    stranger.refuses(*arguments, words=("cannot be read",))
    store.unlink()
    store.write_text("[]")
    store.chmod(0o600)
    stranger.refuses(*arguments, words=("not a list of trusted files",))


def link(place, target):
    try:
        place.symlink_to(target)
    except OSError:  # Windows lets not everybody make links
        pytest.skip("no links here")


PRIVATE = ("elsewhere/labels.txt", "elsewhere/private.npz", "model/labels.txt", "model/data.npz")


@pytest.fixture
def beside(stranger):
    """A model with a folder of its own, and private files elsewhere."""
    for name in ("model", "elsewhere", "model/linked"):
        (stranger.folder / name).mkdir()
    stranger.write_model(stranger.folder / "model/model.keras")
    for name in PRIVATE:
        data = stranger.folder / "data.npz"
        (stranger.folder / name).write_bytes(b"a\nb\n" if name.endswith("txt") else data.read_bytes())
    link(stranger.folder / "model/link.txt", stranger.folder / "elsewhere/labels.txt")
    link(stranger.folder / "model/link.npz", stranger.folder / "elsewhere/private.npz")
    link(stranger.folder / "model/linked/1.npz", stranger.folder / "elsewhere/private.npz")
    link(stranger.folder / "model/there", stranger.folder / "elsewhere")
    return stranger


@pytest.mark.parametrize(
    "line",
    [
        *("labels = '../elsewhere/labels.txt'", "labels = 'link.txt'", "labels = 'there/labels.txt'"),
        *("calibration = '{}/elsewhere/private.npz'", "calibration = 'link.npz'", "evaluation = 'linked'"),
        *("train = 'there/private.npz'", "validation = 'model/../../elsewhere/private.npz'"),
    ],
)
def test_a_configuration_beside_a_model_reads_nothing_outside_its_folder(beside, line):
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    path = beside.folder / "model/edgeship.toml"
    path.write_text("[data]\n" + line.format(beside.folder))
    with pytest.raises(InputError, match=r"(?s)names files outside its folder: \[data\] .*edgeship trust"):
        model_settings(beside.folder / "model/model.keras", None, ModelOptions())
    model_settings(beside.folder / "model/model.keras", path, ModelOptions())
    model_settings(beside.folder / "model/model.keras", None, ModelOptions(trust=True))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no colon in names")
@pytest.mark.parametrize(
    "line",
    [
        *("labels = 'link:1'", "labels = 'a:b/../../elsewhere/labels.txt'"),
        *("calibration = 'C:\\link.npz'", "train = 'c:/data.npz'"),
    ],
)
def test_a_colon_leads_nowhere_else(beside, line):
    """Labels are never code, and what Windows takes for a drive is looked for in the working folder, where anything lies."""
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    link(beside.folder / "model/link:1", beside.folder / "elsewhere/labels.txt")
    (beside.folder / "model/a:b").mkdir()
    (beside.folder / "model/edgeship.toml").write_text(f"[data]\n{line}\n")
    with pytest.raises(InputError, match=r"names files outside its folder: \[data\]"):
        model_settings(beside.folder / "model/model.keras", None, ModelOptions())


def test_a_student_outside_the_folder_is_asked_for(beside):
    (beside.folder / "model/edgeship.toml").write_text(
        "[variants.small.distill]\nstudent = '../elsewhere/model.keras'\n"
    )
    words = ("[variants.small] distill.student", "is read from outside its folder", "edgeship trust")
    beside.refuses("convert", "model/model.keras", "--out", "out", words=words)
    assert "distill.student" in beside("trust", "model/edgeship.toml").stdout


def test_data_inside_the_folder_needs_no_trust(beside):
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    (beside.folder / "model/edgeship.toml").write_text("[data]\nlabels = './labels.txt'\ncalibration = 'data.npz'\n")
    files = model_settings(beside.folder / "model/model.keras", None, ModelOptions()).data
    assert files.labels == ("a", "b")
    assert files.calibration == str(beside.folder / "model/data.npz")


def test_links_beside_a_model_are_not_used_unasked(beside, capsys):
    from edgeship.settings import config
    from edgeship.settings.sections import Data

    folder = beside.folder / "model"
    (folder / "labels.txt").unlink()
    (folder / "link.txt").rename(folder / "labels.txt")
    (folder / "link.npz").rename(folder / "calibration.npz")
    assert config.default_config(folder / "model.keras").data == Data()
    warnings = capsys.readouterr().err
    assert "labels.txt is a link, so it is not used unasked" in warnings
    assert "calibration.npz is a link" in warnings


def test_init_names_no_link_beside_a_model(beside, monkeypatch, capsys):
    """The command that it proposes names the file, which then may read whatever it names."""
    from edgeship.pipeline import init_config
    from edgeship.processes.child import FunctionProcess
    from edgeship.server_model.description import ServerModelDescription
    from edgeship.types import TensorSpec

    folder = beside.folder / "model"
    (folder / "labels.txt").unlink()
    (folder / "link.txt").rename(folder / "labels.txt")
    (folder / "link.npz").rename(folder / "evaluation.npz")
    (folder / "data.npz").rename(folder / "calibration.npz")
    described = ServerModelDescription(
        (TensorSpec("x", (None, 4), "float32"),), (TensorSpec("y", (None, 4), "float32"),)
    )
    monkeypatch.setattr(FunctionProcess, "call", lambda *_, **__: described)
    init_config.write_config(folder / "model.keras", None, {}, force=False)
    assert "labels.txt is a link, so it is not used unasked" in capsys.readouterr().err
    data = tomllib.loads((folder / "edgeship.toml").read_text(encoding="utf-8"))["data"]
    assert data == {"calibration": "calibration.npz"}


def test_a_link_to_a_trusted_configuration_is_not_trusted(beside):
    own = beside.folder / "elsewhere/edgeship.toml"
    own.write_text("[model]\ncustom_objects = 'evil'\n")
    beside("trust", own)
    link(beside.folder / "model/edgeship.toml", own)
    beside.refuses("convert", "model/model.keras", "--out", "out", words=("lets code run", "edgeship trust"))


def test_all_that_is_trusted_is_shown(stranger):
    devices = [f"{number:03d}-{'x' * 40}.toml" for number in range(20)]
    (stranger.folder / "edgeship.toml").write_text(f"[benchmark]\ndevices = {json.dumps(devices)}\n")
    assert devices[-1] in stranger("trust", "edgeship.toml").stdout


def test_a_configuration_nested_without_end_is_a_sentence(stranger):
    (stranger.folder / "edgeship.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    stranger.refuses("convert", "model.keras", "--out", "out", words=("not valid TOML",))


LONG, HUGE = "a" * 5000, "0x" + "f" * 5000


@pytest.mark.parametrize(
    "text",
    [
        *(f"[data]\nlabels = '{LONG}'", '[data]\nlabels = "a\\u0000b"', f"[data]\ncalibration = '{LONG}.npz'"),
        *('[data]\ncalibration = "a\\u0000:b"', "[variants.a]\ndistill = {student = 5}"),
        *('[variants.a.distill]\nstudent = "a\\u0000"', f"[budget]\nmax_size_disk = {10**400}"),
        *(f"[budget]\nmax_drop = {10**400}", f"[budget]\nmax_size_disk = '{'9' * 400} B'"),
        *(f"[data]\nlabels = {HUGE}", f"[data]\ncalibration_samples = {HUGE}", f"[variants.a]\nprune = [{HUGE}]"),
        *(f"[training]\nepochs = {HUGE}", f"[benchmark]\ndevices = ['host', {HUGE}]", f"budget{'.a' * 3000} = 1"),
        *(f"[variants.a]\nprune{'.a' * 3000} = 1", f"[variants.a]\nqat = -{10**30}"),
    ],
)
def test_names_and_numbers_without_end_are_a_sentence(stranger, text):
    (stranger.folder / "edgeship.toml").write_text(text)
    stranger.refuses("convert", "model.keras", "--out", "out", "--config", "edgeship.toml", words=())


@pytest.mark.parametrize(
    "text",
    [
        *(
            '["a\\ngate: PASS\\nb"]\nx = 1',
            '[variants."a\\ngate: PASS\\nb"]',
            '[variants.a]\nformats = ["a\\nPASS\\nb"]',
        ),
        *('[budget."tflite/a\\nPASS\\nb"]\nx = 1', '[benchmark]\nprofile = "a\\nPASS\\nb"'),
        *('[benchmark]\ndevices = ["a\\nPASS\\nb"]', '[variants.a]\nprune = {pattern = "a\\nPASS\\nb"}'),
    ],
)
def test_names_of_many_lines_are_told_in_one(stranger, text):
    """Else a line of an error could look like one of edgeship's own."""
    from edgeship.settings.config import Config

    path = stranger.folder / "edgeship.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        Budget.parse(Config.read(path).budget)
    assert "\n" not in str(error.value)


def test_a_configuration_without_end_is_a_sentence(stranger):
    with (stranger.folder / "edgeship.toml").open("wb") as file:
        file.truncate(1 << 40)  # no byte of it takes room
    stranger.refuses("convert", "model.keras", "--out", "out", words=("edgeship.toml: larger than",))


def test_labels_are_not_read_from_a_pipe(stranger):
    os.mkfifo(stranger.folder / "names")
    (stranger.folder / "edgeship.toml").write_text("[data]\nlabels = 'names'\n")
    stranger.refuses("convert", "model.keras", "--out", "out", words=("names", "a pipe, not a regular file"))

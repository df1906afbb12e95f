"""What `edgeship init` writes for a model that has been read already; the reading is tested end to end."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.benchmarks.gate import server_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.figures.comparisons import ConstantAnswer
from edgeship.cli.models.init import init
from edgeship.deploy.contract.describe import describe_inputs
from edgeship.errors import InputError
from edgeship.pipeline import init_config
from edgeship.pipeline.run_settings import first_measurement, input_tables
from edgeship.processes.child import FunctionProcess
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings import trust
from edgeship.settings.config import Config
from edgeship.settings.inputs import InputForm
from edgeship.storage import digest
from edgeship.types import TensorSpec

SCORES = TensorSpec("scores", (None, 3), "float32")


@pytest.fixture
def calls() -> list[dict[str, Any]]:
    """The arguments of what TensorFlow was asked."""
    return []


@pytest.fixture
def write(monkeypatch, tmp_path, calls):
    """`write_config` with TensorFlow's answer made up."""

    def answer(_, function, **arguments):
        calls.append(arguments)
        return ServerModelDescription((SCORES,), (SCORES,))

    monkeypatch.setattr(FunctionProcess, "__init__", lambda _: None)
    monkeypatch.setattr(FunctionProcess, "call", answer)
    monkeypatch.setattr(FunctionProcess, "close", lambda _: None)

    def write(name="model", **loading):
        return init_config.write_config(tmp_path / name, None, loading, force=False)

    return write


def test_how_the_model_is_loaded_is_kept(write, calls):
    loading = {"custom_objects": "my.layers", "signature": 'an "odd" one', "allow_unsafe": True}
    read = Config.read(write(**loading)).model
    assert {name: getattr(read, name) for name in loading} == loading
    assert calls[-1]["signature"] == loading["signature"]


def test_what_is_not_given_stands_as_a_comment(write):
    read = Config.read(write(custom_objects=None, signature=None, allow_unsafe=False))
    assert (read.model.custom_objects, read.model.signature, read.model.allow_unsafe) == (None, None, False)


def test_what_was_given_to_the_command_is_trusted_and_nothing_else(write, tmp_path):
    path = write(custom_objects="my.layers", signature=None, allow_unsafe=False)
    assert trust.is_trusted(path, path.read_bytes())
    path.unlink()
    path = write("model\n[model]\nallow_unsafe = true\n#", custom_objects=None, signature=None, allow_unsafe=False)
    assert not Config.read(path).model.allow_unsafe, "a model's file name is part of a comment"
    assert not trust.is_trusted(path, path.read_bytes())


def test_what_stands_as_a_comment_can_be_taken_as_it_is(write, tmp_path):
    path = write()
    (tmp_path / "labels.txt").write_text("a\nb\n")
    sections = re.split(r"^(?=\[)", path.read_text(), flags=re.MULTILINE)
    plain = [part for part in sections if re.match(r"\[(model|data|benchmark|budget)\]", part)]
    assert len(plain) == 4
    path.write_text(re.sub(r"^# (?=\w+ = )", "", "".join(plain), flags=re.MULTILINE))
    read = Config.read(path)
    assert (read.model.signature, read.data.evaluation_samples, read.benchmark.metric) == (
        "serving_default",
        2000,
        "f1",
    )
    assert Budget.parse(read.budget).max_size_disk == 1_500_000


def test_a_neighbour_that_cannot_be_read_leaves_nothing(write, tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot read labels"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["labels.txt"]


def test_what_is_to_be_done_next_is_said(write, tmp_path):
    (tmp_path / "calibration.npz").touch()
    told = CliRunner().invoke(init, [str(tmp_path / "my model")], catch_exceptions=False).stderr
    assert "name your evaluation data in its [data], then: edgeship ship '" in told
    (tmp_path / "evaluation.npz").touch()
    told = CliRunner().invoke(init, [str(tmp_path / "model"), "--force"], catch_exceptions=False).stderr
    assert "; next: edgeship ship " in told


CARD: dict[str, Any] = {"results": {"accuracy": {"value": 0.8767, "low": 0.8612, "high": 0.8902, "samples": 1900}}}


@pytest.mark.parametrize(
    ("change", "floor"),
    [
        ({}, 0.86),
        ({"model": {"sha256": "00" * 32}}, None),
        ({"model": {}}, None),
        ({"results": {"accuracy": {"value": 0.9, "low": 2, "samples": 9}}}, None),
        ({"results": {"accuracy": {"value": 0.9, "low": "0.8", "samples": 9}}}, None),
        ({"results": []}, None),
    ],
)
def test_the_model_card_beside_the_very_model_gives_the_floor(write, tmp_path, change, floor):
    (tmp_path / "model").write_bytes(b"a model")
    card = {**CARD, "model": {"sha256": digest.of_path(tmp_path / "model")}, **change}
    (tmp_path / "model-card.json").write_text(json.dumps(card))
    path = write()
    assert Config.read(path).budget.get("min_server_accuracy") == (floor and {"top1": floor})
    assert ("it has accuracy 0.8767 on 1,900 test samples" in path.read_text()) == bool(floor)


@pytest.mark.parametrize(
    ("figures", "floor"),
    [
        ({"share": True, "server": 0.912, "gain": 0.8, "low": 0.786}, 0.89),
        ({"share": True, "server": 0.9, "gain": 0.8, "low": 0.8}, 0.9),
        ({"share": True, "server": 0.02, "gain": 0.01, "low": -0.01}, None),
        ({"higher_is_better": False, "server": 3.14, "gain": 1.0, "low": 0.9}, 3.3),
        ({"higher_is_better": False, "server": 0.000314, "gain": 0.1, "low": 0.1}, 0.00032),
        ({"server": 0.457, "gain": 0.457, "low": 0.4}, 0.4),
        ({"server": None, "gain": None, "low": None}, None),
    ],
)
def test_a_floor_lies_where_the_server_model_surely_reaches_it(figures, floor):
    answer = ConstantAnswer("some", "class 1", n=100, **figures)
    other = replace(answer, metric="other")
    assert server_checks.suggest_floors({"out": answer}) == ({"some": floor} if floor else {})
    assert set(server_checks.suggest_floors({"out": answer, "next": other})) == ({"some", "other"} if floor else set())


def test_outputs_of_one_metric_share_the_floor_of_the_worst():
    answers = {
        name: ConstantAnswer("f1", "yes", n=100, share=True, server=server, gain=0.5, low=0.5)
        for name, server in (("one", 0.8), ("two", 0.6))
    }
    assert server_checks.suggest_floors(answers) == {"f1": 0.6}


def write_with_data(write, monkeypatch, tmp_path, outputs, arrays):
    """What `init` writes beside such evaluation data, of a model that answers `outputs`."""
    monkeypatch.setattr(first_measurement, "_answer_samples", lambda *_: outputs)
    n = len(next(iter(outputs.values())))
    np.savez(tmp_path / "evaluation.npz", scores=np.zeros((n, 3), np.float32), **arrays)
    path = write()
    return Config.read(path), path.read_text()


def test_the_metric_that_was_chosen_stands_with_the_floor_that_is_of_it(write, monkeypatch, tmp_path):
    """Chosen by the very labels, it could be another one with other data."""
    rng = np.random.default_rng(0)
    truth = (rng.random(1500) < 0.04).astype(np.int64)
    scores = np.clip(0.8 * truth + 0.35 * rng.random(1500), 0, 1)
    rows = np.stack([1 - scores, scores], axis=1).astype(np.float32)
    read, text = write_with_data(write, monkeypatch, tmp_path, {"scores": rows}, {"y": truth})
    assert read.benchmark.metric == "f1"
    assert "% of the labels are 1: accuracy would hardly fall" in text
    assert list(read.budget["min_server_accuracy"]) == ["f1"]
    assert Budget.parse(read.budget).server_floor("average_precision") is None


def test_evaluation_data_that_is_too_little_is_told(write, monkeypatch, tmp_path, capsys):
    labels = np.arange(400) % 3
    write_with_data(write, monkeypatch, tmp_path, {"scores": np.eye(3, dtype=np.float32)[labels]}, {"y": labels})
    told = capsys.readouterr().err
    assert (
        "evaluation.npz: only 400 evaluation samples: a margin of 1.00 points of top1 takes about 1,100 where 1% of"
        in told
    )


def test_each_labelled_output_has_its_metric_in_a_table(write, monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    digit, size = rng.integers(0, 3, 600), rng.normal(size=(600, 1)).astype(np.float32)
    outputs = {"digit": np.eye(3, dtype=np.float32)[digit], "a b": size + 0.01}
    described = ServerModelDescription((SCORES,), (replace(SCORES, name="digit"), replace(SCORES, name="a b")))
    monkeypatch.setattr(FunctionProcess, "call", lambda *_, **__: described)
    read, _ = write_with_data(write, monkeypatch, tmp_path, outputs, {"y_digit": digit, "y_a b": size})
    assert (read.benchmark.metric, read.benchmark.metrics) == (None, {"digit": "top1", "a b": "mae"})
    assert set(read.budget["min_server_accuracy"]) == {"top1", "mae"}


@pytest.mark.parametrize(("mean", "floor"), [(0.0, 10.0), (29.0, 35.0)])
def test_values_without_labels_are_held_to_more_than_their_mean(write, monkeypatch, tmp_path, mean, floor):
    values = np.random.default_rng(0).normal(mean, 1, (200, 3)).astype(np.float32)
    read, text = write_with_data(write, monkeypatch, tmp_path, {"scores": values}, {})
    assert read.budget["min_sqnr_db"] == floor
    assert ("what int8 is held to anyway" in text) == (mean == 0)


@pytest.mark.parametrize(("probabilities", "limit"), [(True, "min_agreement"), (False, "min_sqnr_db")])
def test_without_labels_the_own_answers_are_the_measure(write, monkeypatch, tmp_path, capsys, probabilities, limit):
    """Scores that are no probabilities may be values as well, of which the largest is no answer."""
    scores = np.random.default_rng(0).normal(size=(200, 3))
    rows = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) if probabilities else scores
    read, _ = write_with_data(write, monkeypatch, tmp_path, {"scores": rows.astype(np.float32)}, {})
    assert read.budget["accuracy"] == "none"
    assert limit in read.budget and not Budget.parse(read.budget).wants_accuracy
    assert "no labels in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("licence", "stated"),
    [("MIT", "MIT"), ("see where it came from", None), (["MIT"], None), ('"\n[model]', '"\n[model]')],
)
def test_the_licence_of_built_in_data_is_that_of_the_card(tmp_path, write, licence, stated):
    (tmp_path / "model-card.json").write_text(json.dumps({"data": {"licence": licence}}))
    read = Config.read(write())
    assert read.data.license == stated


PICTURE = TensorSpec("photo", (None, 8, 9, 3), "float32")


def test_what_the_data_tells_of_a_picture_is_written_and_the_rest_is_asked(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 9, 3)) / 255
    np.savez(tmp_path / "calibration.npz", photo=pixels.astype(np.float32))
    lines = input_tables.input_lines(tmp_path / "calibration.npz", (PICTURE,)).splitlines()[2:]
    table = Config.parse("\n".join(lines).encode(), tmp_path / "edgeship.toml").input["photo"]
    assert table == InputForm(kind="image", multiply=float(np.float32(1 / 255)), add=0.0)
    asked = [line.split(" = ")[0] for line in lines if line.startswith("# ")]
    assert asked == ["# colour", "# fit", "# resampler", "# border", "# ground"]
    whole = "\n".join(line.removeprefix("# ") for line in lines).encode()
    assert Config.parse(whole, tmp_path / "edgeship.toml").input["photo"].fit == "cover"


def test_what_a_training_left_beside_the_model_is_taken_over(tmp_path, write):
    """Of this model's inputs and outputs alone: the file may be that of another one."""
    (tmp_path / "inputs.toml").write_text(
        '[input.scores]\nkind = "table"\nadd = [0.0, 3.0, 5.0]\ncolumns = [\n'
        '{ name = "a b", kind = "number", missing = -1.5 },\n'
        '{ name = "c", kind = "category", values = ["", "x\\"y"], unknown = 2 },\n'
        '{ name = "d", kind = "number" },\n]\n[input.other]\nkind = "tensor"\n'
        "[output.scores]\nthreshold = 0.25\n[output.other]\nthreshold = 0.5\n"
    )
    read, stated = Config.read(write()), Config.read(tmp_path / "inputs.toml")
    assert read.input == {"scores": stated.input["scores"]}
    assert read.output == {"scores": stated.output["scores"]}


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        *(((8, 9, 3), "image"), ((8, 9, 1), "image"), ((50, 3), "window"), ((None, 3), "window"), ((), "table")),
        *(((4,), "table"), ((40,), "table"), ((4000,), "audio"), ((4000, 2), "audio"), ((3, 32, 32), "tensor")),
        *(((8, 9, 5), "tensor"), ((4, 8, 9, 3), "tensor")),
    ],
)
def test_an_input_of_which_nothing_is_known_is_asked_for(tmp_path, shape, kind):
    """By what fits its shape: were it all true, the contract would take it."""
    spec = TensorSpec("x", (None, *shape), "float32")
    text = input_tables.input_lines(tmp_path / "calibration.npz", (spec,))
    assert not Config.parse(text.encode(), tmp_path / "edgeship.toml").input
    asked = [line for line in text.splitlines()[2:] if line != input_tables.WITHOUT_FORM]
    whole = "\n".join(line.removeprefix("# ") for line in asked).encode()
    form = Config.parse(whole, tmp_path / "edgeship.toml").input["x"]
    assert form.kind == kind
    assert ("no picture" in text.lower()) == (kind == "tensor")
    if kind == "table" and shape == (40,):
        return  # more columns than an example has
    samples = np.random.default_rng(0).integers(0, 256, (4, *(size or 7 for size in shape)))
    scaled = ((samples - np.asarray(form.mean or 0)) / np.asarray(form.std or 1)).astype(np.float32)
    (item,) = describe_inputs((spec,), {"x": scaled}, {"x": form})
    assert item.kind == kind

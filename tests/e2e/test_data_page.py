"""docs/data.md, followed by a newcomer with files and models of their own: every block runs, every data file is taken."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import filelock
import numpy as np
import pytest

from edgeship.bundle import bundle
from edgeship.processes.child import FunctionProcess
from edgeship.settings import config
from scripts.maintain import evaluation_samples
from tests.e2e.lab.page_blocks import ROOT, commands_below, read_blocks
from tests.present import present

PAGE = "docs/data.md"
# What stands under each heading is run in the folder that `newcomer.prepare` has filled for it.
FOLDERS = {"Pictures": "pictures", "A table": "table", "Text": "text", "Several inputs and outputs": "several"}
LONGER = ("text", "several")  # two of four are for test-more
METRICS = {"pictures": "top1", "table": "top1", "text": "binary_accuracy"}


def shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run share."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="module")
def newcomer_once(tmp_path_factory) -> Path:
    """The folders with the newcomer's files, in which the page's Python blocks were run."""
    folder = shared(tmp_path_factory) / "newcomer"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent / "lab")}) as python:
                python.call("newcomer:prepare", folder=str(folder))
                for block in python_blocks():
                    python.call("newcomer:run", code=block.text, folder=str(folder / FOLDERS[block.heading]))
            (folder / "done").touch()
    return folder


def python_blocks():
    return [block for block in read_blocks(PAGE) if block.language == "python"]


def test_every_block_is_run():
    assert sorted(block.heading for block in python_blocks()) == sorted(FOLDERS)
    others = [block for block in read_blocks(PAGE) if block.language != "python"]
    assert [(block.heading, block.language) for block in others] == [("Then", "")]


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.more] * (kind in LONGER)) for kind in FOLDERS.values()]
)
def test_the_data_and_a_fitting_model_are_shipped(newcomer_once, tmp_path, edgeship, kind):
    folder = shutil.copytree(newcomer_once / kind, tmp_path / kind)
    init, ship = (command.split()[1:] for command in commands_below(PAGE, "Then"))
    run = type(edgeship)(folder, edgeship.cache)
    run(*init, check=0)
    read = config.Config.read(folder / config.NAME)
    assert Path(present(read.data.calibration)).name == "calibration.npz"
    assert Path(present(read.data.evaluation)).name == "evaluation.npz"
    done = run(*ship, "--to", "tflite", "--variant", "int8")  # one artifact needs both files, and is quick
    manifest = bundle.open_bundle(folder / "bundle").manifest
    assert done.returncode == (0 if present(manifest.gate).verdict == "PASS" else 1), done.stderr
    assert {item.id for item in manifest.artifacts} == {"tflite/int8"}
    for measurement in manifest.measurements:
        accuracy = present(measurement.details.accuracy)
        metrics = {name: one.metric for name, one in accuracy.outputs.items()}
        if kind == "several":
            assert metrics == {"exercise": "top1", "effort": "mae"}
        else:
            assert set(metrics.values()) == {METRICS[kind]}
        with np.load(folder / "evaluation.npz") as data:
            assert accuracy.n == len(data["y" if "y" in data.files else "y_exercise"])
    if kind == "pictures":
        assert list(present(manifest.labels)) == (folder / "labels.txt").read_text().split("\n")


def test_the_model_without_its_text_layer_answers_alike(newcomer_once):
    """The page says that the weights stay the same and what the numbers of words are."""
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent / "lab")}) as python:
        largest = python.call("newcomer:compare_text", folder=str(newcomer_once / "text"))
    assert largest < 1e-6


def test_a_model_that_takes_text_is_refused_with_the_way_out(newcomer_once, edgeship):
    done = edgeship("convert", newcomer_once / "text" / "with_text.keras", "--out", "bundle", check=2)
    assert re.search(r"type string, which no device format takes", done.stderr)


@pytest.mark.more
def test_the_table_of_samples_is_what_its_script_writes():
    begin, end = evaluation_samples.MARKS
    assert (ROOT / PAGE).read_text().split(begin)[1].split(end)[0].strip() == evaluation_samples.table().strip()


@pytest.mark.parametrize(("disagreement", "margin"), [(0.01, 0.02), (0.05, 0.01), (0.1, 0.02)])
def test_so_many_samples_pass_nine_times_of_ten(disagreement, margin):
    """Drawn evaluations, judged by the gate's own test; half as many samples pass far more rarely."""
    n = evaluation_samples.samples_for(disagreement, margin)
    assert evaluation_samples.simulate(n, disagreement, margin, 1000) == pytest.approx(0.9, abs=0.03)
    assert evaluation_samples.simulate(n // 2, disagreement, margin, 1000) < 0.75


def test_where_disagreement_stands(newcomer_once, edgeship):
    """The page's r, in the JSON that it names."""
    folder = newcomer_once / "table"
    edgeship("convert", folder / "model.keras", "--out", "bundle", "--to", "tflite", "--variant", "float32", check=0)
    done = edgeship("benchmark", "bundle", "--data", folder / "evaluation.npz", "--json", "-")
    (measurement,) = json.loads(done.stdout)["measurements"]
    assert measurement["details"]["accuracy"]["disagreement"] == 0

"""Networks whose answers accuracy says little of go through `ship` with the metric that fits: see odd_tasks.py."""

import re
import shutil
from pathlib import Path

import filelock
import numpy as np
import pytest

from edgeship.bundle import bundle as bundles
from edgeship.bundle.manifest import Manifest
from edgeship.processes.child import FunctionProcess
from edgeship.types import Verdict
from tests.present import present

BUDGETS = {
    "rare": ("", "max_drop = 3\ngroups = 'site'"),
    "boxes": ("metric = 'map'", "max_drop = 2"),
    "masks": ("[benchmark.metrics]\nmask = 'mean_iou'", "max_drop = 1"),
    "words": ("metric = 'wer'", "max_drop = 1"),
}
SHIP = ("ship", "server.keras", "--out", "bundle", "--to", "tflite", "--variant", "int8")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Trains a network of a kind once per test run, and gives its folder."""

    def train(kind: str) -> Path:
        base = tmp_path_factory.getbasetemp()
        folder = (base.parent if base.name.startswith("popen-") else base) / f"odd-task-{kind}"
        with filelock.FileLock(folder.with_suffix(".lock")):
            if not (folder / "edgeship.toml").exists():
                with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parents[1] / "lab")}) as process:
                    process.call("odd_tasks:build", kind=kind, folder=str(folder))
                benchmark, budget = BUDGETS[kind]
                data = "[data]\ncalibration = 'calibration.npz'\nevaluation = 'evaluation.npz'\n"
                (folder / "edgeship.toml").write_text(f"{data}[benchmark]\n{benchmark}\n[budget]\n{budget}\n")
        return folder

    return train


@pytest.fixture
def run(edgeship, tmp_path):
    """Runs a command in a copy of a network's folder."""

    def start(folder: Path, *arguments: object, check: int | None = None):
        place = tmp_path / folder.name
        if not place.exists():
            shutil.copytree(folder, place)
        return type(edgeship)(place, edgeship.cache)(*arguments, check=check), place

    return start


def read(place: Path) -> Manifest:
    return bundles.open_bundle(place / "bundle").manifest


def judged(manifest: Manifest, check: str) -> Verdict:
    (verdict,) = {item.verdict for item in present(manifest.gate).checks if item.check == check}
    return verdict


def test_rare_positives(trained, run):
    """Seen by f1, unasked, and by group; a metric of one's own; and what of it is refused."""
    done, place = run(trained("rare"), *SHIP)
    assert done.returncode in (0, 1), done.stderr
    manifest = read(place)
    (measurement,) = manifest.measurements
    report = present(measurement.details.accuracy)
    assert report.metric == "f1" and 0.5 < present(report.server) < 1
    assert {group.group for group in report.groups} == {"0", "1", "2"}
    assert re.search(r"accuracy: f1 \([\d.]+ % of the labels are 1", " ".join(done.stdout.split()))
    assert "worst group" in done.stdout
    assert "Groups of samples" in (place / "bundle/report/index.html").read_text()
    assert judged(manifest, "accuracy") is not Verdict.FAIL

    (place / "mine.py").write_text("def error(labels, outputs):\n    return abs(labels - outputs)[:, 0] ** 2\n")
    settings = (place / "edgeship.toml").read_text().replace("[benchmark]", "[benchmark]\nmetric = 'mine:error'")
    (place / "own.toml").write_text(settings)
    done, _ = run(place, *SHIP, "--config", "own.toml", check=2)
    assert "error: metric 'mine:error' does not say which way is better" in done.stderr
    with (place / "mine.py").open("a") as file:
        file.write("error.higher_is_better = False\n")
    run(place, *SHIP, "--config", "own.toml")
    report = present(read(place).measurements[0].details.accuracy)
    with np.load(place / "evaluation.npz") as data:
        assert report.n == len(data["y"])
    assert (report.metric, report.higher_is_better) == ("mine:error", False)
    assert 0 < present(report.server) < 0.05

    (place / "own.toml").write_text(settings.replace("'site'", "'place'").replace("mine:error", "map"))
    done, _ = run(place, *SHIP, "--config", "own.toml", check=2)
    assert "groups = 'place': no such array in" in done.stderr
    (place / "own.toml").write_text(settings.replace("mine:error", "map"))
    done, _ = run(place, *SHIP, "--config", "own.toml", check=2)
    assert "map: labels of shape 2000x1" in done.stderr and ", f1, " in done.stderr


@pytest.mark.more
def test_auto_keeps_the_metric_that_sees_rare_positives(trained, run, tmp_path):
    """int8 answers 997 of 1,000 samples as the server model does, and loses 5 points of F1."""
    place = tmp_path / "stretched"
    shutil.copytree(trained("rare"), place)
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parents[1] / "lab")}) as process:
        process.call("odd_tasks:stretch", folder=str(place))
    data = "[data]\ncalibration = 'calibration.npz'\nevaluation = 'evaluation.npz'\n"
    (place / "edgeship.toml").write_text(
        f"{data}[variants.int8]\n[variants.auto]\nquantize = 'auto'\n[budget]\nmax_drop = 4\n"
    )
    run(place, "ship", "server.keras", "--out", "bundle", "--to", "tflite", "--variant", "int8,auto", check=1)
    reports = {item.artifact: present(item.details.accuracy) for item in read(place).measurements}
    assert {report.metric for report in reports.values()} == {"f1"}
    assert present(reports["tflite/int8"].drop) > 0.02
    assert present(reports["tflite/auto"].high) < 0.04


@pytest.mark.more
@pytest.mark.parametrize(
    ("kind", "metric", "server", "verdict"),
    [
        # A box of 24 pixels in steps of 1/256 is off by a tenth of one, too much for an overlap of 95 %.
        ("boxes", "map", (0.6, 0.9), Verdict.FAIL),
        ("masks", "mean_iou", (0.8, 0.95), Verdict.PASS),
        ("words", "wer", (0.1, 0.4), Verdict.PASS),
    ],
)
def test_other_answers(trained, run, kind, metric, server, verdict):
    _, place = run(trained(kind), *SHIP)
    manifest = read(place)
    report = present(manifest.measurements[0].details.accuracy)
    assert report.metric == metric
    assert server[0] < present(report.server) < server[1]
    assert judged(manifest, "accuracy") is verdict

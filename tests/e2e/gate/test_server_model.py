"""The server model behind a bundle: what it must reach, whether it is still the one, and where its data lies."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import filelock
import numpy as np
import pytest

from edgeship.processes.child import FunctionProcess
from edgeship.settings.config import Config
from tests.e2e.conftest import Command, shared

ONE = ("--to", "tflite", "--variant", "float32")


@pytest.fixture(scope="session")
def known_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is right on 9 of 10 samples, as `init` and `ship` left it; the bundle lies in another folder."""
    root = shared(tmp_path_factory)
    folder = root / "known"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            draft = root / "known.draft"
            (draft / "project").mkdir(parents=True)
            with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parents[1] / "lab")}) as process:
                process.call("odd:build_known", folder=str(draft / "project"))
            rng = np.random.default_rng(0)
            x = rng.normal(size=(600, 4)).astype(np.float32)
            y = np.where(rng.random(600) < 0.1, (x[:, :3].argmax(1) + 1) % 3, x[:, :3].argmax(1))
            np.savez(draft / "project/evaluation.npz", x=x, y=y)
            np.savez(draft / "unlabelled.npz", x=x)
            run = Command(draft, root / "cache")
            (draft / "init.log").write_text(run("init", "project/server.keras", check=0).stderr)
            done = run("ship", "project/server.keras", "--out", "out/bundle", *ONE)
            (draft / "ship.log").write_text(f"{done.returncode}\n{done.stderr}")
            draft.rename(folder)
    return folder


@pytest.fixture
def known(known_once: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(known_once, tmp_path / "known")


def checks_of(done) -> dict[str, dict[str, str]]:
    return {item["check"]: item for item in json.loads(done.stdout)["gate"]["checks"]}


def test_init_demands_what_the_server_model_reaches(known):
    text = (known / "project/edgeship.toml").read_text()
    settings = Config.read(known / "project/edgeship.toml")
    (metric, floor), *others = settings.budget["min_server_accuracy"].items()
    assert (metric, others, settings.benchmark.metric) == ("top1", [], "top1")
    assert 0.8 < floor < 0.9
    assert "on 600 evaluation samples" in text
    code, log = (known / "ship.log").read_text().split("\n", 1)
    assert code == "0", log
    (answered,) = [line for line in log.splitlines() if "server model: answer 600 evaluation samples" in line]
    assert "cached" in answered, "what init measured is not measured again"


def test_data_that_is_too_little_is_told_by_init_and_ship_alike(known):
    notes = [
        re.findall(
            r"only 600 evaluation samples: a margin of 0\.\d+ points of top1 takes about 1,\d00 where .*",
            log.read_text(),
        )
        for log in (known / "init.log", known / "ship.log")
    ]
    assert len(notes[0]) == 1
    assert notes[0] == notes[1]


def test_a_bundle_is_measured_from_another_folder(known, edgeship):
    """With the data that it was made with; where that is gone, what to give is told."""
    done = edgeship("benchmark", known / "out/bundle", "--json", "-", check=0)
    assert checks_of(done)["constant_answer"]["verdict"] == "PASS"
    again = json.loads((known / "out/bundle/manifest.json").read_text())
    assert again["config"]["data"]["evaluation"] == "known/project/evaluation.npz"
    assert edgeship("benchmark", "known/out/bundle", check=0)
    elsewhere = edgeship.folder / "some/other/place/elsewhere"
    elsewhere.parent.mkdir(parents=True)
    shutil.move(known / "out/bundle", elsewhere)
    (known / "project/evaluation.npz").rename(known / "kept.npz")
    for command in ("benchmark", "debug"):
        done = edgeship(command, elsewhere, check=2)
        assert "elsewhere: its evaluation data," in done.stderr
        assert "evaluation.npz: no such file\nname the data to use: add --data, or [data] evaluation" in done.stderr


def test_data_without_labels_is_judged_by_other_limits(known, edgeship):
    (edgeship.folder / "budget.toml").write_text("[budget]\nmin_agreement = 0.98\n")
    data = ("--data", known / "unlabelled.npz", "--config", "budget.toml")
    done = edgeship("benchmark", known / "out/bundle", *data, "--json", "-", check=0)
    assert {"agreement", "parity"} <= set(checks_of(done))
    assert "accuracy" not in checks_of(done)


def test_the_gate_notices_a_newer_server_model(known, edgeship):
    edgeship("gate", known / "out/bundle", check=0)
    newer = known / "project/newer.keras"
    done = edgeship("gate", known / "out/bundle", "--server", newer, check=1)
    assert "newer.keras is another model than the one that this bundle was made from" in " ".join(done.stdout.split())
    edgeship("gate", known / "out/bundle", "--server", known / "project/server.keras", check=0)
    newer.replace(known / "project/server.keras")
    done = edgeship("gate", known / "out/bundle", "--json", "-", check=1)
    assert checks_of(done)["server_model"]["verdict"] == "FAIL"


def test_a_server_model_that_learned_nothing_fails(known, edgeship):
    """Its float32 artifact answers exactly as it does."""
    data = ("--evaluation", known / "project/evaluation.npz")
    (known / "plain.toml").write_text("")
    done = edgeship(
        "ship",
        known / "project/same.keras",
        "--out",
        "out",
        *ONE,
        *data,
        "--config",
        known / "plain.toml",
        "--json",
        "-",
        check=1,
    )
    checks = checks_of(done)
    assert [name for name, item in checks.items() if item["verdict"] == "FAIL"] == ["constant_answer"]
    assert "is it the right file" in checks["constant_answer"]["reason"]

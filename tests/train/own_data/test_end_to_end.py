"""`edgeship train --data` as its users run it, and what follows from it."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.train.own_data.card import OwnDataCard
from edgeship.typed_json import convert
from tests.e2e.lab.page_blocks import commands_below
from tests.present import present
from tests.train.own_data.tables import SHOP, shop_rows, write_table
from tests.train.own_data.test_files import SENSOR, write_sounds

FILES = {
    "server.keras", "model-card.json", "model-card.md", "model-card.html", "inputs.toml", "labels.txt",
    "train.npz", "validation.npz", "calibration.npz", "evaluation.npz",
}  # fmt: skip


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "EDGESHIP_CACHE": str(folder / "cache")}
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def write_note(day: int, bought: str) -> str:
    """What somebody wrote of a visit; nothing now and then."""
    mood = "Liked it" if (bought == "yes") == (day % 4 > 0) else "Too dear"
    return f"{mood}, {'sehr schön, ' * (day % 3)}visit {day}" if day % 7 else ""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and the model of it, `out`."""
    folder = tmp_path_factory.mktemp("shop")
    joined = [datetime.date(2024, 1, 1) + datetime.timedelta(number * 7 % 400) for number in range(240)]
    rows = [
        (day, joined[day] if day % 9 else "", write_note(day, row[-1]), *row) for day, row in enumerate(shop_rows(240))
    ]
    write_table(folder / "shop.csv", ("day", "joined", "note", *SHOP), rows)
    # By time one network is trained, and not one for each fold.
    done = run(folder, "edgeship train --data shop.csv --label bought --time day --epochs 12 --out out --json -")
    assert done.returncode == 0, done.stderr
    card = json.loads((folder / "out" / "model-card.json").read_text())
    assert json.loads(done.stdout) == card
    assert "240 samples, 2 classes; hold-out by time (day)" in done.stderr
    return folder


@pytest.fixture(scope="module")
def card(shop: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((shop / "out" / "model-card.json").read_text())
    return document


def test_all_files_are_there_and_are_those_of_the_card(shop: Path, card: dict[str, Any]) -> None:
    assert {path.name for path in (shop / "out").iterdir()} == FILES
    assert card["files"] == {name: digest.of_path(shop / "out" / name) for name in FILES - {"model-card.json"}}
    assert convert(OwnDataCard, card).record() == card
    page = (shop / "out" / "model-card.md").read_text()
    assert "of 48 samples that it had not seen are right" in page and "boosted trees" in page
    whole = (shop / "out" / "model-card.html").read_text()
    assert "boosted trees</td>" in whole and "data:image/svg+xml;base64," in whole, "the thresholds' curve"


def test_the_card_tells_the_baselines_and_how_often_it_was_tested(card: dict[str, Any]) -> None:
    results = card["results"]
    assert [item["name"] for item in results["baselines"]] == ["constant", "linear model", "boosted trees"]
    assert results["accuracy"]["value"] > results["baselines"][0]["accuracy"]
    assert sum(map(sum, results["confusion"])) == 48
    assert (card["test_uses"], card["protocol"]["method"], card["worse_than"]) == (1, "hold-out", [])
    wrong = 48 - sum(row[place] for place, row in enumerate(results["confusion"]))
    assert len(results["failures"]) == min(10, wrong)
    assert all("age=" in item["content"] and item["sample"].startswith("row ") for item in results["failures"])


def test_the_data_files_are_the_splits(shop: Path, card: dict[str, Any]) -> None:
    sizes = {}
    for name in ("train", "validation", "evaluation"):
        with np.load(shop / "out" / f"{name}.npz") as arrays:
            sizes[name] = len(arrays["y"])
            assert arrays["numbers"].shape == (sizes[name], 3) and arrays["categories"].dtype == np.int32
            assert arrays["dates"].shape == (sizes[name], 1) and arrays["dates"].dtype == np.int32
            assert arrays["text_note"].shape == (sizes[name], 8) and arrays["text_note"].dtype == np.int32
    assert sizes["evaluation"] == card["data"]["splits"]["test"]["samples"] == 48
    assert sum(sizes.values()) == 240
    tables = Config.read(shop / "out" / "inputs.toml")
    assert tables.output["probability"].threshold == 0.5
    assert [column.name for column in tables.input["numbers"].columns] == ["age", "income", "visits"]


def test_bad_input_is_one_line_and_leaves_nothing(shop: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("x", "label"), [(n, "same") for n in range(40)])
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for options, why in (
        ("--data t.csv --label label --out new/out", "one class only"),
        ("--data t.csv --label lable --out new/out", "no column 'lable'; there are: x, label"),
        (f"--data {shop}/shop.csv --label bought --out file", "cannot be written"),
        ("--data t.csv", "Name it with --label"),
        ("motion --data t.csv --label x", "not both"),
        ("motion --tune 5", "--tune goes with --data and with flights and spoken-digits-synthetic"),
        ("flights --tune 5 --engine moon", "unknown engine 'moon'"),
        ("--data t.csv --label x --processes 2", "--processes goes with --tune"),
        ("--data t.csv --label x --tune 3 --engine moon", "unknown engine 'moon'"),
        ("motion --label x", "--label goes with --data"),
        ("--data t.csv --label x --data-dir .", "--data-dir goes with a built-in TASK"),
        ("", "give a built-in TASK or --data"),
    ):
        done = run(tmp_path, f"EDGESHIP_CACHE={shop}/cache edgeship train {options}")
        assert done.returncode == 2, (options, done.stderr)
        assert why in done.stderr and "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.more
def test_a_network_that_beats_nothing_ends_with_1_and_is_counted_again(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    write_table(tmp_path / "t.csv", ("x", "z", "label"), [(*random.normal(size=2), "ab"[n % 2]) for n in range(100)])
    command = "edgeship train --data t.csv --label label --epochs 3 --out out"
    done = run(tmp_path, command)
    assert done.returncode == 1 and "the network does not beat the constant" in done.stderr, done.stderr
    assert (tmp_path / "out" / "server.keras").exists()
    assert run(tmp_path, f"{command} --allow-worse --seed 1").returncode == 0
    card = json.loads((tmp_path / "out" / "model-card.json").read_text())
    assert card["protocol"]["folds"] == 5 and sum(map(sum, card["results"]["confusion"])) == 100
    assert card["test_uses"] == 2 and card["worse_than"] == ["constant"]
    assert "does not beat: constant" in (tmp_path / "out" / "model-card.md").read_text()


@pytest.mark.more
def test_five_commands_lead_from_a_table_to_a_gated_bundle(tmp_path: Path) -> None:
    """Those of the README: somebody else's table passes in three formats."""
    commands = commands_below("README.md", "Your own data")
    assert len(commands) == 5
    for command in commands:
        done = run(tmp_path, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    manifest = open_bundle(tmp_path / "digits" / "bundle").manifest
    assert present(manifest.gate).verdict == "PASS"
    assert {item.id.partition("/")[0] for item in manifest.artifacts} == {"tflite", "onnx", "tfjs"}


@pytest.mark.more
def test_gaps_and_unknown_categories_are_answered_alike_in_every_format(shop: Path) -> None:
    """The goldens are raw rows with a day and a text: one without all that may be missing, one with categories that nobody
    has seen, texts of words that nobody has.
    """
    for command in (
        "edgeship init out/server.keras --force",
        "edgeship convert out/server.keras --out bundle --variant float32,int8",
        "edgeship verify bundle",
        "edgeship deploy selftest bundle --out selftest --artifact tflite/float32",
    ):
        done = run(shop, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    contract = json.loads((shop / "bundle" / "contract.json").read_text())
    assert {"unknown", "missing", "written", "empty"} <= {case["name"] for case in contract["goldens"]["cases"]}
    assert {item["name"] for item in contract["inputs"]} == {"numbers", "categories", "dates", "text_note"}
    results = [json.loads(path.read_text()) for path in (shop / "selftest").glob("*.json")]
    assert results and all(item["passed"] and not item["failures"] for item in results)


@pytest.mark.more
@pytest.mark.parametrize("kind", ["recordings", "windows"])
def test_recordings_and_windows_go_through_to_a_bundle(kind: str, tmp_path: Path) -> None:
    if kind == "recordings":
        write_sounds(tmp_path / "data", 40)
        options = "--data data"
    else:
        random = np.random.default_rng(2)
        rows = [
            (f"p{p}", t, *(random.normal(size=2) * (1 if does == "sit" else 3)).round(3), does)
            for p in range(6) for t, does in ((t, "sit" if t < 200 else "run") for t in range(400))
        ]  # fmt: skip
        write_table(tmp_path / "log.csv", SENSOR, rows)
        options = "--data log.csv --label does --group who --time t --window 40"
    for command in (
        f"edgeship train {options} --epochs 2 --out out --allow-worse",
        "edgeship init out/server.keras",
        "edgeship convert out/server.keras --out bundle --variant float32,int8",
        "edgeship verify bundle",
    ):
        done = run(tmp_path, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    listed = json.loads((tmp_path / "out" / "model-card.json").read_text())["files"]
    assert listed.keys() == FILES - {"model-card.json"}, "nothing that training kept on disk for itself"
    (item,) = json.loads((tmp_path / "bundle" / "contract.json").read_text())["inputs"]
    assert item["kind"] == {"recordings": "audio", "windows": "window"}[kind]
    if kind == "recordings":  # 8 bits do not hold the powers of a spectrum, nor PCM of 16 bits
        (int8,) = (item for item in open_bundle(tmp_path / "bundle").manifest.artifacts if item.id == "tflite/int8")
        assert int8.inputs[0].dtype == "float32" and int8.outputs[0].dtype == "int8"

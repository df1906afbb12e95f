"""The built-in tasks that are learned as a person's own data is: what is embedded, and how it is split."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from edgeship import api
from edgeship.bundle.bundle import open_bundle
from edgeship.errors import InputError
from edgeship.train import embedded
from edgeship.train.own_data import protocol
from edgeship.train.own_data.built_in import flights, spoken_digits
from edgeship.train.own_data.built_in.catalogue import BUILT_IN
from edgeship.train.own_data.samples import OwnData
from tests.present import present
from tests.train.own_data.test_end_to_end import run

MOST_BYTES = 5_000_000  # of a file that is embedded


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> OwnData:
    return flights.read_flights(tmp_path_factory.mktemp("flights"))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> OwnData:
    return spoken_digits.read_spoken_digits(tmp_path_factory.mktemp("digits"))


def test_embedded_files_are_small_and_say_whose_they_are() -> None:
    for module, name in ((flights, "flights"), (spoken_digits, "spoken-digits-synthetic")):
        assert (embedded.FOLDER / module.FILE).stat().st_size < MOST_BYTES
        assert "licence" in (embedded.FOLDER / f"LICENSE-{name}.txt").read_text().lower()
        assert module.FILE in (embedded.FOLDER / "README.md").read_text()


def test_flights_are_a_table_with_numbers_categories_and_gaps(table: OwnData) -> None:
    """Some of each, and no column that the contract cannot say."""
    prepared = table.prepare(np.arange(0, len(table.targets), 2))
    numbers, categories = (prepared.forms[name]["columns"] for name in ("numbers", "categories"))
    assert any("missing" in column for column in numbers) and any("" in column["values"] for column in categories)
    assert {"carrier", "origin", "destination", "weekday"} <= {column["name"] for column in categories}
    assert np.isfinite(prepared.inputs["numbers"]).all()
    assert table.target.labels == ("no", "yes") and 0.1 < table.targets.mean() < 0.4
    assert table.licence == "CC0-1.0" and "not learned from" not in " ".join(table.notes)


def test_no_day_of_flights_is_in_two_splits(table: OwnData) -> None:
    days = present(table.groups)
    how, (split,) = protocol.choose_splits(table)
    parts = [set(days[rows]) for rows in (split.train, split.validation, split.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 365
    assert "groups (day)" in how.unit and len(split.test) > 10_000


def test_no_voice_is_in_two_splits(sounds: OwnData) -> None:
    voices = present(sounds.groups)
    how, (split,) = protocol.choose_splits(sounds)
    parts = [set(voices[rows]) for rows in (split.train, split.validation, split.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 48 and len(parts[2]) == spoken_digits.TEST_VOICES
    assert how.method == "hold-out" and "synthetic" in sounds.name + " ".join(sounds.notes)
    for rows in (split.train, split.validation, split.test):
        assert set(sounds.targets[rows]) == set(range(10))


def test_sounds_are_words_in_noise_and_always_the_same(sounds: OwnData, tmp_path: Path) -> None:
    pcm = sounds.prepare(np.arange(1)).inputs["sound"]
    assert pcm.shape == (len(sounds.targets), spoken_digits.LENGTH) and pcm.dtype == np.int16
    peaks = np.abs(pcm[::10].astype(np.int32)).max(axis=1)
    assert peaks.max() <= 32767 and peaks.min() >= 32767 * 10 ** (-15 / 20) - 1
    assert (np.abs(pcm[::10]) > 0).mean() > 0.95  # noise everywhere, and no digital silence
    again = spoken_digits.read_spoken_digits(tmp_path)
    np.testing.assert_array_equal(again.prepare(np.arange(1)).inputs["sound"][::7], pcm[::7])
    assert again.digest == sounds.digest
    words, _ = spoken_digits.read_words()
    assert (words.lengths < spoken_digits.LENGTH).all() and np.bincount(words.labels).tolist() == [96] * 10


def test_companding_keeps_a_sound_within_its_steps() -> None:
    values = np.linspace(-1, 1, 10_001)
    error = np.abs(spoken_digits.expand(spoken_digits.compress(values)) - values)
    assert error.max() < 0.022 and error[np.abs(values) < 0.01].max() < 0.0005


def test_another_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    (tmp_path / flights.FILE).write_bytes(lzma.compress(b"late,x\nyes,1\n"))
    (tmp_path / spoken_digits.FILE).write_bytes(b"no xz")
    for task in BUILT_IN.values():
        with pytest.raises(InputError, match="install edgeship again"):
            task.read(tmp_path)


def test_what_these_tasks_do_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no --data-dir"):
        api.train_model("flights", tmp_path / "out", data_dir=tmp_path)
    with pytest.raises(InputError, match=r"unknown task 'flight'; known: .*fashion-mnist.*flights.*digits"):
        api.train_model("flight", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.more
@pytest.mark.parametrize("task", sorted(BUILT_IN))
def test_a_task_passes_the_gate_in_three_formats(task: str, tmp_path: Path) -> None:
    for command in (
        f"edgeship train {task} --out run",
        "edgeship init run/server.keras",
        "edgeship ship run/server.keras --out bundle --profile rapid",
    ):
        done = run(tmp_path, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    card = json.loads((tmp_path / "run" / "model-card.json").read_text())
    assert (card["task"], card["title"]) == (task, BUILT_IN[task].title) and not card["worse_than"]
    manifest = open_bundle(tmp_path / "bundle").manifest
    assert present(manifest.gate).verdict == "PASS"
    assert {"tflite/int8", "onnx/int8", "tfjs/float32"} <= {item.id for item in manifest.artifacts}


@pytest.mark.more
def test_a_task_is_tuned_as_own_data_is(tmp_path: Path) -> None:
    """In processes of its own, which read the task for themselves."""
    command = "edgeship train flights --epochs 1 --tune 3 --processes 2 --allow-worse --out run"
    done = run(tmp_path, command)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "run" / "model-card.json").read_text())
    (search,) = card["tuning"]["searches"]
    assert (card["task"], len(search["trials"])) == ("flights", 3) and search["chosen_loss"] <= search["usual_loss"]

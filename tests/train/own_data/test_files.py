"""Pictures, recordings, windows and arrays as samples; what of them cannot be used."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeship.api.own_data.training import train_on_data
from edgeship.bundle.bundle import SCHEMA_MARK
from edgeship.errors import InputError
from edgeship.train import idx
from edgeship.train.own_data import protocol
from edgeship.train.own_data.samples import OwnData
from edgeship.train.own_data.sources.source import Source, read_source
from tests.train.own_data.tables import write_table
from tests.train.test_idx import write_set

DICE = np.random.default_rng(4)


def read(path: Path, label: str | None = None, **more: Any) -> OwnData:
    (work := path.parent / "work").mkdir(exist_ok=True)
    return read_source(Source(path, label, **more), work)


def write_pictures(folder: Path, count: int = 24, *, side: int = 12, mode: str = "RGB") -> Path:
    for number in range(count):
        (place := folder / ("cat", "dog")[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = DICE.integers(0, 256, (side, side + 4, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(place / f"{number}.png")
    return folder


def write_wav(path: Path, values: Any, rate: int = 8000, channels: int = 1, width: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.asarray(values, f"<i{width}").tobytes())


def write_sounds(folder: Path, count: int = 24) -> Path:
    for number in range(count):
        write_wav(folder / ("high", "low")[number % 2] / f"{number}.wav", DICE.integers(-9000, 9000, 400 + number))
    return folder


def test_a_folder_of_pictures_is_read_as_an_app_would(tmp_path: Path) -> None:
    data = read(write_pictures(tmp_path / "pets"))
    assert data.target.labels == ("cat", "dog") and data.kind == "pictures"
    prepared = data.prepare(np.arange(24))
    pixels = prepared.inputs["image"]
    assert (pixels.shape, pixels.dtype) == ((24, 12, 16, 3), np.uint8)
    row = next(row for row in range(24) if data.describe_row(row) == "dog/11.png")
    np.testing.assert_array_equal(pixels[row], np.asarray(Image.open(tmp_path / "pets" / "dog" / "11.png")))
    assert data.targets[row] == 1 and data.features(np.arange(3)).shape == (3, 12 * 16 * 3)
    grey = read(write_pictures(tmp_path / "grey", mode="L")).prepare(np.arange(24))
    assert grey.inputs["image"].shape == (24, 12, 16, 1) and grey.forms["image"]["colour"] == "grey"


def test_large_and_turned_pictures_are_brought_to_one_size(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets", side=300)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.zeros((400, 300, 4), np.uint8)).convert("RGB").save(folder / "cat" / "t.jpg", exif=turned)
    data = read(folder)
    assert data.prepare(np.arange(3)).inputs["image"].shape == (25, 95, 96, 3)


def test_a_picture_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets")
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n")
    data = read(folder)
    assert len(data.targets) == 24 and "cat/broken.png" in data.notes[0]
    (folder / "dog" / "empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 26 files cannot be read: cat/broken.png \(.*dog/empty.jpg"):
        read(folder)


def test_a_table_of_names_and_labels_names_the_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pets")
    files = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "pets").glob("*/*"))
    rows = [(name, "new" if number % 3 else "old", f"box {number % 4}") for number, name in enumerate(files)]
    table = write_table(tmp_path / "pets.csv", ("file", "label", "box"), rows)
    data = read(table, "label", group="box")
    assert data.kind == "pictures" and data.target.labels == ("new", "old") and data.grouped_by == "box"
    assert [data.describe_row(row) for row in range(24)] == files
    np.testing.assert_array_equal(data.targets, [number % 3 == 0 for number in range(24)])
    write_table(table, ("file", "label"), [*((name, label) for name, label, _ in rows), ("../../x.png", "old")])
    with pytest.raises(InputError, match="outside of the table's folder"):
        read(table, "label")


def test_recordings_are_pcm_of_one_length(tmp_path: Path) -> None:
    data = read(write_sounds(tmp_path / "sounds"))
    prepared = data.prepare(np.arange(24))
    sounds = prepared.inputs["sound"]
    assert sounds.dtype == np.int16 and sounds.shape == (24, 420) and prepared.forms["sound"]["rate"] == 8000
    assert data.target.labels == ("high", "low")
    row = next(row for row in range(24) if data.describe_row(row) == "high/0.wav")
    with wave.open(str(tmp_path / "sounds" / "high" / "0.wav")) as file:
        np.testing.assert_array_equal(sounds[row, :400], np.frombuffer(file.readframes(400), "<i2"))
    assert not sounds[row, 400:].any()


@pytest.mark.parametrize(
    ("more", "why"), [({"rate": 16000}, "recordings differ"), ({"channels": 2}, "recordings differ")]
)
def test_recordings_that_differ_are_refused(more: Any, why: str, tmp_path: Path) -> None:
    folder = write_sounds(tmp_path / "sounds")
    write_wav(folder / "low" / "other.wav", np.zeros(800), **more)
    with pytest.raises(InputError, match=why):
        read(folder)


def test_recordings_of_other_bits_and_empty_ones_are_named(tmp_path: Path) -> None:
    folder = write_sounds(tmp_path / "sounds")
    write_wav(folder / "low" / "wide.wav", np.zeros(400), width=4)
    assert "32 bits a value, not 16" in read(folder).notes[0]
    write_wav(folder / "low" / "empty.wav", [])
    with pytest.raises(InputError, match="2 of 26 files cannot be read"):
        read(folder)


def sensor_rows() -> list[tuple[object, ...]]:
    rows = []
    for person in ("ann", "bob", "cem", "dan"):
        for step in range(200):
            rows.append((person, step, *DICE.normal(size=2).round(3), "walk" if step < 110 else "sit"))
    return rows


SENSOR = ("who", "t", "x", "z", "does")


def test_windows_hold_one_person_and_one_label(tmp_path: Path) -> None:
    rows = sensor_rows()
    path = write_table(tmp_path / "log.csv", SENSOR, [rows[n] for n in DICE.permutation(len(rows))])
    data = read(path, "does", group="who", time="t", window=40)
    windows = data.prepare(np.arange(4)).inputs["window"]
    assert (windows.shape, windows.dtype) == ((4 * (4 + 3), 40, 2), np.float32)
    number = next(n for n in range(len(windows)) if data.targets[n] == data.target.labels.index("walk"))
    person = str(np.asarray(data.groups)[number])
    walks = np.array([row[2:4] for row in rows if row[0] == person and row[4] == "walk"], np.float32)
    np.testing.assert_array_equal(windows[number], walks[:40])
    np.testing.assert_array_equal(windows[number + 1], walks[20:60])


def test_windows_that_overlap_stay_in_one_split_without_a_group_too(tmp_path: Path) -> None:
    rows = [(n, float(DICE.normal()), "ab"[n // 50 % 2]) for n in range(1000)]
    data = read(write_table(tmp_path / "log.csv", ("t", "x", "does"), rows), "does", time="t", window=20)
    groups = np.asarray(data.groups)
    assert len(np.unique(groups)) == 20
    for split in protocol.choose_splits(data)[1]:
        assert not set(groups[split.train]) & set(groups[split.test])


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        (lambda row: row, {"window": 500}, "--window is too long"),
        (lambda row: row, {"window": 2}, "at least 8 rows"),
        (
            lambda row: (*row[:2], "" if row[1] == 7 else row[2], *row[3:]),
            {"window": 20},
            "column 'x' is missing in 4 rows",
        ),
        (lambda row: (row[0], row[1], "a", "b", row[4]), {"window": 20}, "no column of numbers"),
    ],
)
def test_windows_that_cannot_be_cut_are_refused(change: Any, options: Any, why: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "log.csv", SENSOR, map(change, sensor_rows()))
    with pytest.raises(InputError, match=why):
        read(path, "does", group="who", time="t", **options)


def test_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    values = DICE.normal(size=(30, 5)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=values, y=np.arange(30) % 3)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    data = read(tmp_path / "d.npz")
    assert data.target.labels == ("red", "green", "blue") and data.trees
    np.testing.assert_array_equal(data.prepare(np.arange(3)).inputs["numbers"], values)
    np.savez(tmp_path / "d.npz", x=values, y=values[:, 0])
    assert not read(tmp_path / "d.npz").target.is_class


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"x": np.zeros((9, 2))}, "one input and its labels"),
        ({"x": np.zeros((9, 2)), "y": np.arange(8)}, r"shape \(9, 2\) for 8 labels"),
        ({"x": np.full((9, 2), np.nan), "y": np.arange(9)}, "NaN or infinity; fill it in"),
        ({"x": np.zeros((9, 2)), "y": np.full(9, np.nan)}, "y holds NaN"),
        ({"x": np.zeros((9, 2)), "y": np.arange(9) - 1}, "y runs from -1 to 7"),
        ({"x": np.zeros((9, 2)), "y": np.arange(9) * 10**15}, "y runs from 0 to 8000000000000000 in 9 samples"),
        ({"x": np.full((9, 2), 1e39), "y": np.arange(9) % 2}, "holds NaN or infinity"),
        ({"x": np.zeros((9, 2)), "y": np.arange(9) * 1e39}, "y holds NaN or infinity"),
        ({"x": np.zeros(9), "y": np.arange(9)}, "it takes numbers as"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(arrays: Any, why: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=why):
        read(tmp_path / "d.npz")


def test_results_do_not_go_into_a_bundle(tmp_path: Path) -> None:
    """Its manifest lists every file: no command would take it any more."""
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_bytes(b"{" + SCHEMA_MARK + b": 1}")
    for out in ("bundle", "bundle/run"):
        with pytest.raises(InputError, match="lies in the bundle"):
            train_on_data(tmp_path / "t.csv", tmp_path / out, label="y")


def test_what_no_reader_takes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.docx").write_text("x")
    (tmp_path / "empty").mkdir()
    write_pictures(tmp_path / "pets")
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    for path, options, why in (
        (tmp_path / "absent.csv", {"label": "y"}, "no such file"),
        (tmp_path / "notes.docx", {}, "nothing that can be learned from"),
        (tmp_path / "empty", {}, "no folder in it holds pictures"),
        (tmp_path / "pets", {"label": "kind"}, "--label names a column"),
        (tmp_path / "t.csv", {}, "Name it with --label"),
    ):
        with pytest.raises(InputError, match=why):
            read(path, **options)
    (tmp_path / "pets" / "dog").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="one class only, 'cat'"):
        read(tmp_path / "pets")


def test_idx_files_are_tested_on_their_own_test_pictures(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    write_set(folder, samples=90, side=12, classes=3, gzipped=True)
    (folder / "labels.txt").write_text("dark\ngrey\nbright\n")
    data = read(folder)
    assert data.kind == "pictures" and data.target.labels == ("dark", "grey", "bright")
    prepared = data.prepare(np.arange(9))
    assert prepared.inputs["image"].shape == (180, 12, 12, 1) and prepared.forms["image"]["colour"] == "grey"
    how, (split,) = protocol.choose_splits(data)
    assert how.method == "hold-out" and "comes with samples to test on" in how.reason
    np.testing.assert_array_equal(split.test, np.arange(90, 180))
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.validation])), np.arange(90))
    _, _, images, labels = idx.read_set(folder)
    np.testing.assert_array_equal(prepared.inputs["image"][90:, ..., 0], images)
    np.testing.assert_array_equal(data.targets[90:], labels)
    assert data.describe_row(91) == "test picture 1"


def test_idx_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, samples=30, side=6)
    with pytest.raises(InputError, match="6 x 6 are too small"):
        read(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"PNG!")
    with pytest.raises(InputError, match="not an idx file"):
        read(tmp_path)

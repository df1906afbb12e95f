"""`edgeship data check` of folders of pictures and of `.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgeship.cli import cli
from edgeship.data_checks.check import check_path
from edgeship.errors import CheckError, InputError

Pictures = dict[str, list[np.ndarray[Any, Any]]]


def draw_pictures(seed: int, count: int = 60) -> Pictures:
    """Grey pictures of bars that stand or lie, at random places, with noise."""
    rng = np.random.default_rng(seed)
    pictures: Pictures = {"lying": [], "standing": []}
    for _ in range(count):
        for name in pictures:
            picture = rng.integers(0, 60, (16, 16))
            place = int(rng.integers(3, 11))
            picture[
                (slice(place, place + 3), slice(None)) if name == "lying" else (slice(None), slice(place, place + 3))
            ] += 150
            pictures[name].append(picture.astype(np.uint8))
    return pictures


def write_pictures(folder: Path, pictures: Pictures) -> Path:
    for name, several in pictures.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for place, picture in enumerate(several):
            Image.fromarray(picture).save(folder / name / f"{place}.png")
    return folder


def write_npz(path: Path, pictures: Pictures) -> Path:
    x = np.concatenate([np.stack(several) for several in pictures.values()]).astype(np.float32)
    y = np.repeat(np.arange(len(pictures)), [len(several) for several in pictures.values()])
    np.savez(path, x=x, y=y)
    return path


def find(path: Path, evaluation: Path | None = None) -> dict[str, Any]:
    report = check_path(path, None, evaluation, None).report
    return {item.check: item for item in report.findings}


def cry_nothing(seed: int, tmp_path: Path) -> None:
    first, second = draw_pictures(seed), draw_pictures(seed + 1000)
    assert find(write_pictures(tmp_path / "a", first), write_pictures(tmp_path / "b", second)) == {}
    assert find(write_npz(tmp_path / "a.npz", first), write_npz(tmp_path / "b.npz", second)) == {}


def test_clean_pictures_and_arrays_cry_nothing(tmp_path):
    cry_nothing(0, tmp_path)


@pytest.mark.more
@pytest.mark.parametrize("seed", range(1, 20))
def test_twenty_clean_folders_cry_nothing(seed, tmp_path):
    cry_nothing(seed, tmp_path)


def test_faults_in_pictures_are_found(tmp_path):
    pictures, others = draw_pictures(1, 100), draw_pictures(2)
    pictures["lying"] += pictures["lying"][:9]
    wrong = pictures["lying"][20:28], pictures["standing"][20:28]
    pictures["lying"][20:28], pictures["standing"][20:28] = wrong[1], wrong[0]
    others["standing"][:4] = pictures["standing"][40:44]
    others["lying"] = [np.minimum(picture.astype(int) + 60, 255).astype(np.uint8) for picture in others["lying"]]
    first, second = write_pictures(tmp_path / "a", pictures), write_pictures(tmp_path / "b", others)
    (first / "lying" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    for place in range(20):
        (first / "lying" / f"{place}.png").rename(first / "lying" / f"{place}.jpeg")  # the ending tells nothing
    report = check_path(first, None, second, None).report
    found = {item.check: item for item in report.findings}
    assert {*found} == {"labels", "duplicates", "shared", "shift", "unreadable"}
    assert found["duplicates"].text.startswith("9 of 209")
    assert found["shared"].examples[0] == "standing/40.png = standing/0.png"
    assert found["unreadable"].examples == ("lying/broken.png",)
    assert {item.rpartition("/")[0] for item in found["labels"].examples} == {"lying", "standing"}
    assert report.labels is not None
    named = {item.sample for item in report.labels.suspects}
    assert len(named & {f"{name}/{place}.png" for name in pictures for place in range(20, 28)}) >= 12
    assert len(report.pictures) == 36


def test_a_class_of_other_files_is_a_leak(tmp_path):
    pictures = draw_pictures(4)
    pictures["lying"] = [np.asarray(Image.fromarray(picture).resize((20, 20))) for picture in pictures["lying"]]
    found = check_path(write_pictures(tmp_path / "a", pictures), None, None, None).report.findings
    assert {column for item in found if item.check == "leakage" for column in item.columns} >= {"width", "height"}


def test_faults_in_arrays_are_found(tmp_path):
    pictures = draw_pictures(5)
    pictures["lying"] += pictures["lying"][:9]
    write_npz(tmp_path / "a.npz", pictures)
    with np.load(tmp_path / "a.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    x[3, 0, 0] = np.nan
    np.savez(tmp_path / "a.npz", x=x, y=y)
    found = find(tmp_path / "a.npz")
    assert {*found} == {"duplicates", "infinite"}
    assert found["duplicates"].examples == tuple(f"row {place} = row {place + 60}" for place in range(9) if place != 3)
    np.savez(tmp_path / "c.npz", x=np.random.default_rng(0).normal(size=(300, 4)), y=np.linspace(0, 1, 300))
    report = check_path(tmp_path / "c.npz", None, None, None).report
    assert (report.task, report.verdict, len(report.scores)) == ("regression", "CLEAN", 4)


def test_bad_folders_and_arrays(tmp_path):
    one = write_pictures(tmp_path / "one", {"lying": draw_pictures(6, 5)["lying"]})
    (tmp_path / "none").mkdir()
    gap = write_pictures(tmp_path / "gap", draw_pictures(6, 5))
    (gap / "empty").mkdir()
    ruined = write_pictures(tmp_path / "ruined", draw_pictures(6, 5))
    for place in range(101):
        (ruined / "lying" / f"bad{place}.png").write_bytes(b"no")
    more = write_pictures(tmp_path / "more", {**draw_pictures(6, 5), "third": draw_pictures(6, 5)["lying"]})
    np.savez(tmp_path / "one.npz", x=np.zeros((9, 2)), y=np.zeros(9, int))
    np.savez(tmp_path / "nan.npz", x=np.zeros((9, 2)), y=np.full(9, np.nan))
    np.savez(tmp_path / "two.npz", x=np.zeros((9, 2)), y=np.arange(9) % 2)
    (tmp_path / "d.json").write_text("{}")
    for arguments, sentence in {
        (one,): "one class only, 'lying'",
        (tmp_path / "none",): "holds no folder",
        (gap,): "gap/empty: no picture in it",
        (ruined,): "more than 100 pictures cannot be read: lying/bad0.png",
        (more, "--evaluation", tmp_path / "no"): "no such file or folder",
        (tmp_path / "two.npz", "--evaluation", tmp_path / "d.json"): "d.json",
        (more, "--label", "y"): "leave --label out",
        (more, "--group", "y"): "--group names a column of a table",
        (tmp_path / "one.npz",): "one class only, '0'",
        (tmp_path / "nan.npz",): "9 samples have NaN",
        (tmp_path / "two.npz", "--label", "z"): "no labels 'z'; there are: y",
        (tmp_path / "d.json",): "neither a table nor a folder of pictures nor an .npz",
    }.items():
        error = (
            CliRunner().invoke(cli, ["data", "check", *map(str, arguments), "--out", str(tmp_path / "out")]).exception
        )
        assert isinstance(error, InputError), (arguments, error)
        assert sentence in str(error)
        assert not (tmp_path / "out").exists()


def test_command_on_pictures(tmp_path):
    pictures = draw_pictures(7)
    pictures["standing"] += pictures["standing"][:9]
    folder = write_pictures(tmp_path / "a<b>", pictures)
    done = CliRunner().invoke(cli, ["data", "check", str(folder), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, CheckError)
    assert "standing/0.png = standing/60.png" in done.stdout
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<img src=") == 36
    assert "a&lt;b&gt;" in page

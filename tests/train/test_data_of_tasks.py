"""The data of the built-in tasks: what is embedded, where else it is looked for, how it is checked and split."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.train import embedded, fashion_mnist, motion, tasks
from edgeship.train.dataset import SPLITS, TaskData

from .test_idx import write_set

PINNED = {
    "train": "a4c4509846c1703a",
    "validation": "17c5794e92bf6c10",
    "calibration": "9c51d0b24a8233a2",
    "test": "a705623d3c786fc1",
}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "absent")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture(scope="module")
def fashion() -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "installed_folders", list)
        return fashion_mnist.load(None)


@pytest.fixture(scope="module")
def watch() -> TaskData:
    return motion.load(None)


def assert_disjoint(data: TaskData) -> None:
    """No sample in two of the splits that come from one source; the test split of idx data has a file of its own."""
    index_sets = [{tuple(np.atleast_1d(index)) for index in data.splits[name].indices.tolist()} for name in SPLITS]
    for one, other in itertools.combinations(index_sets, 2):
        assert not one & other


def test_embedded_fashion_mnist_has_all_test_images_and_enough_to_train(fashion: TaskData) -> None:
    counts = {name: len(split.inputs) for name, split in fashion.splits.items()}
    assert counts == {"train": 25_500, "validation": 1000, "calibration": 500, "test": 10_000}
    assert np.bincount(fashion.splits["test"].labels).tolist() == [1000] * 10
    assert np.bincount(fashion.splits["train"].labels).tolist() == [2550] * 10
    assert fashion.splits["test"].inputs.shape[1:] == (28, 28, 1)
    assert fashion.labels[9] == "Ankle boot"


def test_fashion_mnist_splits_share_no_sample(fashion: TaskData) -> None:
    parts = [set(fashion.splits[name].indices.tolist()) for name in ("train", "validation", "calibration")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 27_000


def test_images_stand_upright(fashion: TaskData) -> None:
    """Trousers are longer than wide: more of their columns than of their rows are empty."""
    split = fashion.splits["test"]
    trousers = split.inputs[split.labels == fashion.labels.index("Trouser")].mean(axis=0)[..., 0] > 20
    assert trousers.any(axis=1).sum() > trousers.any(axis=0).sum()


def test_the_embedded_files_fit_their_limit() -> None:
    size = sum(path.stat().st_size for path in embedded.FOLDER.glob("*fashion-mnist*"))
    assert size <= 14_000_000
    for name in ("fashion-mnist", "motion"):
        assert "copyright" in (embedded.FOLDER / f"LICENSE-{name}.txt").read_text().lower()


def test_no_subject_is_in_two_splits(watch: TaskData) -> None:
    groups = [watch.splits[name].groups for name in SPLITS]
    assert all(groups)
    assert len(set(itertools.chain(*groups))) == sum(map(len, groups)) == 10
    assert_disjoint(watch)


@pytest.mark.parametrize("seed", range(20))
def test_subjects_are_dealt_out_once_whatever_the_seed(seed: int) -> None:
    dealt = motion.subjects_of(np.repeat(np.arange(1, 11), 14), seed)
    assert sorted(itertools.chain(*dealt.values())) == list(range(1, 11))
    assert {name: len(people) for name, people in dealt.items()} == motion.SUBJECTS


def test_windows_come_from_the_recordings_of_their_subjects(watch: TaskData) -> None:
    arrays = embedded.read(embedded.FOLDER / motion.EMBEDDED_FILE, motion.EMBEDDED_DIGEST)
    for split in watch.splits.values():
        recordings = np.unique(split.indices[:, 0])
        assert {f"subject {person}" for person in arrays["subjects"][recordings]} == set(split.groups)
        assert set(split.labels.tolist()) == set(range(7))
        assert (split.indices[:, 1] + motion.WINDOW <= arrays["lengths"][split.indices[:, 0]]).all()


def test_windows_are_in_physical_units(watch: TaskData) -> None:
    """Gravity: the acceleration of a slowly moved arm has a magnitude of about 1 g."""
    inputs = watch.splits["test"].inputs
    assert inputs.shape[1:] == (128, 6)
    assert inputs.dtype == np.float32
    assert np.median(np.linalg.norm(inputs[..., :3], axis=-1)) == pytest.approx(1.0, abs=0.1)


def test_loading_again_gives_the_same_splits(watch: TaskData, tmp_path: Path) -> None:
    assert motion.load(None).describe() == watch.describe()
    write_set(tmp_path)
    assert fashion_mnist.load(tmp_path).describe() == fashion_mnist.load(tmp_path).describe()


def test_the_recorded_splits_of_fashion_mnist_are_these(fashion: TaskData) -> None:
    """Models of different versions can be compared only while the test and validation samples stay the same."""
    recorded = {name: split.indices_sha256[:16] for name, split in fashion.describe().splits.items()}
    assert recorded == PINNED


def test_an_embedded_file_with_other_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz.xz"
    digest = embedded.write(path, {"a": np.arange(3)})
    assert embedded.read(path, digest)["a"].tolist() == [0, 1, 2]
    embedded.write(path, {"a": np.arange(4)})
    with pytest.raises(InputError, match="install edgeship again"):
        embedded.read(path, digest)


def test_a_truncated_or_missing_embedded_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz.xz"
    digest = embedded.write(path, {"a": np.arange(1000)})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        embedded.read(path, digest)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        embedded.read(path, digest)


@pytest.mark.usefixtures("nothing_installed")
def test_an_installed_set_that_is_not_fashion_mnist_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "keras" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    write_set(folder, gzipped=True)
    with pytest.raises(InputError, match=r"not the files of Fashion-MNIST .*--data-dir"):
        fashion_mnist.load(None)


@pytest.mark.usefixtures("nothing_installed")
def test_an_installed_set_comes_before_the_embedded_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "keras" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    write_set(folder, gzipped=True)
    digest = fashion_mnist.load(folder).digest
    monkeypatch.setattr(fashion_mnist, "OFFICIAL_DIGEST", digest)
    data = fashion_mnist.load(None)
    assert (data.source, data.digest) == ("Keras cache", digest)


def test_other_idx_data_brings_its_own_classes_and_size(tmp_path: Path) -> None:
    write_set(tmp_path, samples=120, side=16, classes=4)
    data = fashion_mnist.load(tmp_path)
    assert data.labels == ("0", "1", "2", "3")
    assert data.splits["train"].inputs.shape[1:] == (16, 16, 1)
    assert "Fashion" not in data.name
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    assert fashion_mnist.load(tmp_path).labels == ("a", "b", "c", "d")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match="names 2 classes, but the data has 4"):
        fashion_mnist.load(tmp_path)


def test_images_too_small_for_the_model_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, side=6)
    with pytest.raises(InputError, match="6x6 are too small"):
        fashion_mnist.load(tmp_path)


def test_motion_takes_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no --data-dir"):
        motion.load(tmp_path)


def test_an_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown task 'montion'; known: fashion-mnist, motion"):
        tasks.get("montion")


def test_a_large_training_set_is_seen_fewer_times() -> None:
    schedule = tasks.Schedule(epochs=6, batch=64, peak=1e-3, most_samples=240_000)
    assert [tasks.plan_schedule(schedule, samples, None).epochs for samples in (20_000, 60_000, 1_000_000)] == [6, 4, 1]
    assert tasks.plan_schedule(schedule, 1_000_000, 3).epochs == 3


def test_a_small_training_set_is_seen_more_often() -> None:
    schedule = tasks.get("fashion-mnist").schedule
    found = [tasks.plan_schedule(schedule, samples, None).epochs for samples in (40, 2_000, 6_000, 25_500, 60_000)]
    assert found == [tasks.MOST_EPOCHS, 30, 10, 6, 4]
    assert tasks.plan_schedule(schedule, 2_000, 6).epochs == 6


def test_only_garments_may_be_mirrored(tmp_path: Path) -> None:
    """Nobody knows of other people's pictures: a digit is another one, or none, when flipped."""
    write_set(tmp_path)
    assert not fashion_mnist.load(tmp_path).mirrors
    assert fashion_mnist.load(None).mirrors


def test_mirroring_flips_about_half_of_the_images_and_nothing_else() -> None:
    images = np.random.default_rng(0).random((1000, 4, 4, 1)).astype(np.float32)
    mirrored = tasks.mirror(images.copy(), np.random.default_rng(1))
    same = (mirrored == images).all(axis=(1, 2, 3))
    flipped = (mirrored == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ flipped).all()
    assert 400 < flipped.sum() < 600

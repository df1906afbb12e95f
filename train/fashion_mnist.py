"""Fashion-MNIST, and whatever else comes as four idx files: where it is found, how it is checked and split."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edgeship.errors import InputError
from edgeship.train import embedded, idx
from edgeship.train.dataset import Array, Split, TaskData, digest_of, split_stratified

# Digests of dataset.digest_of(training images, training labels, test images, test labels), and of the embedded arrays
# in the order of their names. Both are printed by scripts/maintain/embed_fashion_mnist.py.
OFFICIAL_DIGEST = "51bad0352284eacba9865b8317af0b9281dae4f52f7f667217f2ee65f7069790"
EMBEDDED_DIGEST = "ddad5d7d7e0727828d172b5f258ff29919bce5cc3ea4f68f4d3b671dcbc098ea"
EMBEDDED_FILE = "fashion-mnist.npz.xz"

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
VALIDATION, CALIBRATION = 1000, 500
SPLIT_SEED = 20170825
SMALLEST_SIDE = 8

Arrays = tuple[Array, Array, Array, Array]


def load(data_dir: Path | None) -> TaskData:
    """The task's data: from `data_dir`, else the full set where this machine has it, else what comes with edgeship.

    Raises InputError where files are missing, damaged, or not what their place promises.
    """
    if data_dir is not None:
        arrays = idx.read_set(data_dir)
        official = digest_of(*arrays) == OFFICIAL_DIGEST
        labels = LABELS if official else _labels_of(data_dir, arrays)
        name, licence = ("Fashion-MNIST", "MIT") if official else (data_dir.name, "see where it came from")
        return _split_data(arrays, labels, name, f"idx files in {data_dir.name}", licence)
    for folder, source in installed_folders():
        if idx.find_set(folder):
            arrays = idx.read_set(folder)
            if digest_of(*arrays) != OFFICIAL_DIGEST:
                raise InputError(
                    f"{folder}: these are not the files of Fashion-MNIST (sha256 {digest_of(*arrays)[:12]}, "
                    f"expected {OFFICIAL_DIGEST[:12]}); install them again, or name other data with --data-dir"
                )
            return _split_data(arrays, LABELS, "Fashion-MNIST", source, "MIT")
    return _split_data(
        _load_embedded(), LABELS, "Fashion-MNIST, part of the training images", "embedded in edgeship", "MIT"
    )


def installed_folders() -> list[tuple[Path, str]]:
    """Where the full set may lie on this machine, with what to call it in the model card."""
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return [
        (DEBIAN_FOLDER, "Debian package dataset-fashion-mnist"),
        (keras_home / "datasets" / "fashion-mnist", "Keras cache"),
    ]


def _load_embedded() -> Arrays:
    arrays = embedded.read(embedded.FOLDER / EMBEDDED_FILE, EMBEDDED_DIGEST)
    train, test = (arrays[f"{part}_columns"].transpose(0, 2, 1) for part in ("train", "test"))
    return train, arrays["train_labels"], test, arrays["test_labels"]


def _labels_of(folder: Path, arrays: Arrays) -> tuple[str, ...]:
    """Class names: the lines of `labels.txt` beside the data, else the class numbers."""
    classes = int(max(arrays[1].max(), arrays[3].max())) + 1
    names = folder / "labels.txt"
    if not names.is_file():
        return tuple(map(str, range(classes)))
    labels = tuple(names.read_text(encoding="utf-8").split("\n"))
    labels = labels[:-1] if labels[-1] == "" else labels
    if len(labels) < classes:
        raise InputError(f"{names}: names {len(labels)} classes, but the data has {classes}; one name a line")
    return labels


def _split_data(arrays: Arrays, labels: tuple[str, ...], name: str, source: str, licence: str) -> TaskData:
    """The official test set is the test split; the others are drawn from the training set, each class in proportion."""
    images, classes, test_images, test_classes = arrays
    if min(images.shape[1:]) < SMALLEST_SIDE:
        raise InputError(
            f"{name}: images of {images.shape[1]}x{images.shape[2]} are too small, need {SMALLEST_SIDE}x{SMALLEST_SIDE}"
        )
    sizes = (min(VALIDATION, len(images) // 10), min(CALIBRATION, len(images) // 10))
    validation, calibration, train = split_stratified(classes, sizes, SPLIT_SEED)
    if not len(train):
        raise InputError(f"{name}: {len(images)} training images are too few")

    def take_samples(indices: Array) -> Split:
        return Split(images[indices][..., None], classes[indices].astype(np.int64), indices)

    test = Split(test_images[..., None], test_classes.astype(np.int64), np.arange(len(test_images)))
    return TaskData(
        splits={
            "train": take_samples(train),
            "validation": take_samples(validation),
            "calibration": take_samples(calibration),
            "test": test,
        },
        labels=labels,
        name=name,
        source=source,
        digest=digest_of(*arrays),
        licence=licence,
        split_method=f"test: the data's own test images; the others: training images, by class, seed {SPLIT_SEED}",
        preprocessing="none: the model takes pixels as they are stored, 0 to 255, and rescales them itself",
        mirrors=labels == LABELS,
    )

"""Smart-watch recordings of seven shoulder exercises, cut into windows; split by person.

Source: D. M. Burns et al., "Shoulder physiotherapy exercise recognition", Physiological Measurement 39 (2018); the
recordings are distributed in the package seglearn (BSD-3-Clause).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeship.errors import InputError
from edgeship.train import embedded
from edgeship.train.dataset import SPLITS, Array, Split, TaskData, digest_of

EMBEDDED_DIGEST = "e48f3b1291654c19d9f624aee838c8d69a17df7fa5460d36ac6eafc0cdc707b5"
EMBEDDED_FILE = "motion.npz.xz"

LABELS = (
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
)
WINDOW = 128  # samples at 50 Hz: 2.56 s
TRAIN_STRIDE, STRIDE = 32, 64
SUBJECTS = {"train": 5, "validation": 1, "calibration": 1, "test": 3}
SPLIT_SEED = 2018


def load(data_dir: Path | None) -> TaskData:
    """Windows of shape (128, 6), float32: acceleration x, y, z in g, then angular velocity x, y, z in rad/s.

    Raises InputError where a data folder is given: this task has one source only.
    """
    if data_dir is not None:
        raise InputError("the data of task 'motion' comes with edgeship; it takes no --data-dir")
    arrays = embedded.read(embedded.FOLDER / EMBEDDED_FILE, EMBEDDED_DIGEST)
    recordings = _split_recordings(arrays)
    people = subjects_of(arrays["subjects"], SPLIT_SEED)
    splits = {}
    for split in SPLITS:
        stride = TRAIN_STRIDE if split == "train" else STRIDE
        numbers = np.flatnonzero(np.isin(arrays["subjects"], people[split]))
        places = [
            (number, start) for number in numbers for start in range(0, len(recordings[number]) - WINDOW + 1, stride)
        ]
        splits[split] = Split(
            np.stack([recordings[number][start : start + WINDOW] for number, start in places]),
            np.array([arrays["labels"][number] for number, _ in places], np.int64),
            np.array(places, np.int64),
            groups=tuple(f"subject {person}" for person in people[split]),
        )
    return TaskData(
        splits=splits,
        labels=LABELS,
        name="seglearn watch_dataset",
        source="embedded in edgeship",
        digest=digest_of(*(arrays[name] for name in sorted(arrays))),
        licence="BSD-3-Clause",
        split_method=f"by person, no person in two splits, seed {SPLIT_SEED}; a sample is (recording, first time step)",
        preprocessing="none: the model takes g and rad/s and normalizes them itself",
        notes=(
            f"windows of {WINDOW} steps at 50 Hz, one every {STRIDE} steps ({TRAIN_STRIDE} in train)",
            "windows of one recording resemble each other: the real uncertainty is larger than the intervals, "
            "which count them as independent",
        ),
    )


def subjects_of(subjects: Array, seed: int) -> dict[str, list[int]]:
    """Which people are in which split: every person in exactly one."""
    people = np.random.default_rng(seed).permutation(np.unique(subjects)).tolist()
    people_of_split = {}
    for split, count in SUBJECTS.items():
        people_of_split[split], people = sorted(people[:count]), people[count:]
    return people_of_split


def _split_recordings(arrays: dict[str, Array]) -> list[Array]:
    """Each recording as float32 of shape (time, 6). The file holds differences along time, in 1/1000 of the unit."""
    milli = np.cumsum(arrays["steps"], axis=1, dtype=np.int16).T
    ends = np.cumsum(arrays["lengths"])
    return np.split((milli / 1000).astype(np.float32), ends[:-1])

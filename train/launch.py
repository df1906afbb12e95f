"""The parent's side of training: starts the TensorFlow process, shows its progress, puts the files in place."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeship.errors import InputError
from edgeship.processes import progress_events
from edgeship.processes.child import FunctionProcess, training_env
from edgeship.train import tasks, trainer
from edgeship.train.card import ModelCard

# The order in which files are put in place: who finds server.keras and the card finds all of it.
DATA = ("train.npz", "validation.npz", "calibration.npz", "evaluation.npz")
FILES = ("labels.txt", *DATA, "model-card.md", "server.keras", "model-card.json")
OWN_DATA = (
    "inputs.toml",
    "tuning.csv",
    "tuning.svg",
    "model-card.html",
)  # what a training on one's own data leaves beside them; it has no labels of a value


def train(task: str, out: Path, *, data_dir: Path | None = None, seed: int = 0, epochs: int | None = None) -> ModelCard:
    """Train a built-in task into the folder `out`; returns the model card.

    Progress goes to standard error. Nothing in `out` changes until all files are ready; others there are left alone.
    Raises InputError where the task is unknown, its data cannot be used, or `out` cannot be written.
    """
    tasks.get(task)
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"{data_dir}: no such folder; --data-dir names one with the four idx files of a data set")
    with (
        staging_folder(out) as folder,
        progress_events.display_events() as show,
        progress_events.follow_events(folder / progress_events.FILE, show),
        FunctionProcess("train", env=training_env()) as child,
    ):
        card = child.call(
            trainer.run,
            task=task,
            staging=str(folder),
            seed=seed,
            epochs=epochs,
            data_dir=str(data_dir) if data_dir else None,
        )
        put_in_place(folder, out)
    return card


def put_in_place(source: Path, out: Path) -> None:
    """Move the files. A kill between two moves leaves no server model and no card rather than a mixture of two runs."""
    out.mkdir(parents=True, exist_ok=True)
    names = (*OWN_DATA, *FILES)
    for name in reversed(names):
        (out / name).unlink(missing_ok=True)
    for name in names:
        if (source / name).exists():
            os.replace(source / name, out / name)


@contextlib.contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A folder in `out`, or in the nearest folder above it that exists (a move must not cross file systems).

    Made before any work is done, so that a place that cannot be written is known at once.
    """
    try:
        place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        temporary = tempfile.TemporaryDirectory(prefix=".training-", dir=place)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); give another folder with --out") from error
    with temporary as folder:
        yield Path(folder)

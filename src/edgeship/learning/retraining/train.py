"""The challenger's server model: the champion's, trained on with new samples, or made by a command of the user's own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, ProcessError, brief_message
from edgeship.learning.retraining.champion import Champion
from edgeship.learning.retraining.request import FINE_TUNE, RetrainRequest
from edgeship.pipeline import remote_calls
from edgeship.pipeline.context import open_queue
from edgeship.pipeline.step_queue import run_cached
from edgeship.processes.child import training_env
from edgeship.processes.environment import child_environment
from edgeship.recipes.training import Training
from edgeship.server_model.custom_objects import custom_digest
from edgeship.storage import cache, digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import to_json

MODEL = "server.keras"
TOOLS = ("tensorflow", "keras", "numpy")
TEACHER = 0.8  # how much of the champion's own answers to old samples is learned beside their labels


def train_challenger(champion: Champion, request: RetrainRequest, data: tuple[Path, Path, int], folder: Path) -> Path:
    """The challenger's `.keras` in a folder; from the cache where the same was trained before.

    `data`: training data, held-out data, and how many samples of the first are old ones. Raises InputError for a model that
    cannot be trained on, ProcessError where the user's command fails, CheckError where the loss does not stay finite.
    """
    train, watched, taught = data
    model = champion.bundle.root / champion.manifest.server.path
    loading: dict[str, Any] = {
        "custom_objects": champion.settings.model.custom_objects,
        "allow_unsafe": champion.settings.model.allow_unsafe,
    }
    training = Training(
        epochs=request.epochs, learning_rate=request.learning_rate, seed=request.seed, teacher=TEACHER,
        patience=request.epochs,
    )  # fmt: skip
    is_own = request.recipe != FINE_TUNE
    key: dict[str, Any] = {
        "model": digest.of_path(model),
        "data": [digest.of_path(train), digest.of_path(watched), taught],
        "training": to_json(training),
        "recipe": request.recipe,
        "custom": custom_digest(loading["custom_objects"]),
        "tools": dict(cache.versions(*TOOLS)),
        **loading,
    }
    with open_queue() as queue:

        def make(place: Path) -> Any:
            if is_own:
                return _run_command(request, model, train, place / MODEL)
            receipt = queue.executors.train.call(
                remote_calls.fine_tune, model=str(model), out=str(place / MODEL), data=str(train),
                validation=str(watched), training=to_json(training), taught=taught, **loading,
            )  # fmt: skip
            return {"receipt": to_json(receipt), "notes": []}

        label = "train: the command of --recipe" if is_own else f"fine-tune the champion: {request.epochs} epochs"
        entry = run_cached(queue, label, "retrain", key, make)
    out = folder / MODEL
    with atomic_file(out) as beside:
        shutil.copyfile(entry.path / MODEL, beside)
    return out


def _run_command(request: RetrainRequest, model: Path, train: Path, out: Path) -> dict[str, Any]:
    """Run the user's command; what it prints goes to standard error."""
    places = {"model": model.absolute(), "train": train.absolute(), "out": out.absolute(), "seed": request.seed}
    try:
        command = [part.format(**places) for part in shlex.split(request.recipe)]
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"--recipe: only {{model}}, {{train}}, {{out}} and {{seed}} are replaced ({error})") from error
    try:
        done = subprocess.run(
            command, env=child_environment(training_env()), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise InputError(f"--recipe: {command[0]} cannot be run ({error.strerror})") from error
    if done.returncode:
        said = brief_message(done.stderr.decode(errors="replace").strip().splitlines()[-1:] or "nothing", 300)
        raise ProcessError(f"--recipe: the command ended with exit code {done.returncode}, and said last: {said}")
    if not out.is_file():
        raise InputError("--recipe: the command ended well and wrote no {out}")
    return {"command": request.recipe, "notes": []}

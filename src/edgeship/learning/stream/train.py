"""One step of learning: the parent's weights, trained on with an interval's rows beside old samples."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import Bundle
from edgeship.convert.head import cut
from edgeship.learning.retraining.champion import Champion
from edgeship.learning.stream.request import StreamRequest
from edgeship.pipeline import remote_calls
from edgeship.processes.child import Caller
from edgeship.progress import Progress
from edgeship.recipes.training import Training
from edgeship.server_model.custom_objects import custom_digest
from edgeship.storage import cache, digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import to_json

MODEL = "server.keras"
TOOLS = ("tensorflow", "keras", "numpy")
TEACHER = 0.8  # how much of the parent's own answers to old samples is learned beside their labels


def train_snapshot(
    trainer: Caller, champion: Champion, parent: Bundle, request: StreamRequest, data: tuple[Path, Path, int], folder: Path,
    interval: int,
) -> Path:  # fmt: skip
    """The `.keras` of an interval in its folder; from the cache where the same was trained before.

    `trainer`: a process that is kept from interval to interval. `data`: what is learned, what is looked at, and how many samples
    of the first are old ones. Raises InputError for a model
    that cannot be trained on, or has no head where only that learns; CheckError where the loss does not stay finite.
    """
    train, watched, taught = data
    model = parent.root / parent.manifest.server.path
    loading: dict[str, Any] = {
        "custom_objects": champion.settings.model.custom_objects,
        "allow_unsafe": champion.settings.model.allow_unsafe,
    }
    training = Training(
        epochs=request.epochs, learning_rate=request.learning_rate, batch=request.batch, seed=request.seed + interval,
        teacher=TEACHER, patience=request.epochs,
    )  # fmt: skip
    key: dict[str, Any] = {
        "model": digest.of_path(model),
        "data": [digest.of_path(train), digest.of_path(watched), taught],
        "training": to_json(training),
        "head_only": request.head_only,
        "custom": custom_digest(loading["custom_objects"]),
        "tools": dict(cache.versions(*TOOLS)),
        **loading,
    }

    def make(place: Path) -> Any:
        layer = None
        if request.head_only:
            with tempfile.TemporaryDirectory(prefix="edgeship-head-") as scratch:
                layer = trainer.call(cut.run, model=str(model), out=scratch, **loading).layer
        receipt = trainer.call(
            remote_calls.fine_tune, model=str(model), out=str(place / MODEL), data=str(train), validation=str(watched),
            training=to_json(training), taught=taught, layer=layer, **loading,
        )  # fmt: skip
        return {"receipt": to_json(receipt)}

    label = f"interval {interval}: learn {'the head' if request.head_only else 'the model'}"
    with Progress() as progress, progress.step(label) as remarks:
        entry = cache.Cache().get("stream", key, make)
        remarks.extend(["cached"] if entry.hit else [])
    out = folder / MODEL
    with atomic_file(out) as beside:
        shutil.copyfile(entry.path / MODEL, beside)
    return out

"""The model card of a snapshot: which interval it learned, from which version on, beside how many old samples."""

from __future__ import annotations

import json
from pathlib import Path

from edgeship.learning.retraining.card import SCHEMA, former_card, keep_training_data
from edgeship.learning.retraining.champion import Champion
from edgeship.learning.stream.request import StreamRequest
from edgeship.learning.stream.train import TEACHER
from edgeship.model_registry.adding import CARD, time_now
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import DataUse
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import drop_missing, to_json


def write_snapshot_card(
    store: Store, champion: Champion, request: StreamRequest, origin: tuple[int, int], rows: DataUse, replay: int, model: Path
) -> Path:  # fmt: skip
    """Write `model-card.json` beside a model. `origin`: the parent's version and the number of the interval."""
    content = former_card(store, champion)
    content |= {
        "schema": SCHEMA,
        "created": time_now(),
        "seed": request.seed,
        "model": {**content.get("model", {}), "file": model.name, "sha256": digest.of_path(model)},
        "hyperparameters": {
            "recipe": "stream, head only" if request.head_only else "stream",
            "epochs": request.epochs,
            "learning_rate": request.learning_rate,
            "batch": request.batch,
            "teacher": TEACHER,
        },
        "retraining": {
            "champion": {"version": origin[0], "server": champion.manifest.server.digest},
            "interval": origin[1],
            "labels": rows,
            "replay": replay,
        },
    }
    keep_training_data(content, champion)
    with atomic_file(model.parent / CARD) as beside:
        beside.write_text(json.dumps(drop_missing(to_json(content)), indent=1) + "\n", encoding="utf-8")
    return model.parent / CARD

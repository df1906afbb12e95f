"""The model card of a challenger: what it was trained from, and how worn the data is that judges it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgeship.learning.retraining.champion import Champion
from edgeship.learning.retraining.gather import GatheredData
from edgeship.learning.retraining.request import RetrainRequest
from edgeship.learning.retraining.train import TEACHER
from edgeship.model_registry.adding import CARD
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import DataUse
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.types import drop_missing, to_json
from edgeship.untrusted import read_json

SCHEMA = 1
# What the champion's card says of itself alone, and not of the challenger.
OF_ITSELF = ("results", "curve", "seconds", "machine", "tools")
WORN = 20  # versions after which new evaluation data is advised


def write_card(
    store: Store, champion: Champion, request: RetrainRequest, data: GatheredData, kept: tuple[DataUse, DataUse],
    model: Path, uses: int,
) -> Path:  # fmt: skip
    """Write `model-card.json` and `.md` beside the challenger.

    `kept`: labels and audit as the registry's files have them; `uses`: versions that the evaluation data judged.
    """
    content = former_card(store, champion)
    content |= {
        "schema": SCHEMA,
        "created": request.now.isoformat(timespec="seconds"),
        "seed": request.seed,
        "model": {**content.get("model", {}), "file": model.name, "sha256": digest.of_path(model)},
        "hyperparameters": {
            "recipe": request.recipe,
            "epochs": request.epochs,
            "learning_rate": request.learning_rate,
            "teacher": TEACHER,
        },
        "retraining": {
            "champion": {"version": champion.version.number, "server": champion.manifest.server.digest},
            "labels": kept[0],
            "classes": list(data.plan.classes),
            "repeats": data.plan.repeats,
            "replay": data.plan.replay,
            "audit": kept[1],
            "earlier_labels": sum(len(samples) for _, samples in data.old_pools),
            "earlier_audits": len(data.old_audits),
        },
        "evaluation": {"digest": champion.evaluation.digest, "versions_judged": uses, "worn": uses >= WORN},
    }
    keep_training_data(content, champion)
    content = drop_missing(to_json(content))
    with atomic_file(model.parent / CARD) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    with atomic_file(model.parent / "model-card.md") as beside:
        beside.write_text(_render(content), encoding="utf-8")
    return model.parent / CARD


def former_card(store: Store, champion: Champion) -> dict[str, Any]:
    """What the champion's card says, without what it says of itself alone."""
    record = champion.version.record
    if not record.card:
        return {}
    content = read_json(store.files.find(record.card))
    known = content if isinstance(content, dict) else {}
    return {key: value for key, value in known.items() if key not in OF_ITSELF}


def keep_training_data(content: dict[str, Any], champion: Champion) -> None:
    """The old training data by digest, as the registry reads it from a card, so that the next retraining finds it."""
    data = champion.training
    files = content.get("files")
    if data is None or (isinstance(files, dict) and "train.npz" in files) or not data.path.is_file():
        return
    with data.path.open("rb") as stream:
        content["files"] = {"train.npz": hashlib.file_digest(stream, "sha256").hexdigest()}
    content["data"] = {**content.get("data", {}), "splits": {"train": {"samples": len(data)}}}


def _render(content: dict[str, Any]) -> str:
    """The card as a page to read."""
    of, judged = content["retraining"], content["evaluation"]
    former = of["earlier_labels"]
    worn = (
        f"**It is worn**: from {WORN} versions on, what is chosen by it may be what suits it by chance. Make a new evaluation "
        "set of audits that have served."
        if judged["worn"]
        else f"It wears out: from {WORN} versions on a new one is advised."
    )
    lines = [
        f"# Model card: {content.get('task', 'retrained model')}",
        "",
        f"Retrained from version {of['champion']['version']} (sha256 `{of['champion']['server']}`), seed {content['seed']}, "
        f"by {content['hyperparameters']['recipe']}.",
        "",
        f"- model: `{content['model']['file']}`, sha256 `{content['model']['sha256']}`",
        f"- labels: {of['labels']['samples']:,}, each {of['repeats']} times; beside {of['replay']:,} samples of the old training "
        f"data{f' and {former:,} labels of earlier retrainings' if former else ''}",
        f"- classes of the labels: {', '.join(of['classes'])}" if of["classes"] else "- labels are values",
        f"- audit, never trained on: {of['audit']['samples']:,} samples",
        "",
        f"The evaluation data has judged {judged['versions_judged']:,} versions, this one included. {worn}",
        "",
    ]
    return "\n".join(lines)

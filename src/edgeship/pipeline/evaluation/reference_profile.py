"""The reference profile of a judged draft: what clients count, with the evaluation data in the same bins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edgeship.benchmarks.measure.benchmark import Reference
from edgeship.bundle.manifest import Manifest
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.pipeline.context import PipelineContext
from edgeship.pipeline.evaluation.answers import select_answers
from edgeship.storage import digest

FILE = "profile.json"
NO_PROFILE = "no profile.json, by which clients count: it needs evaluation data (evaluation in [data])"


def write_profile(work: PipelineContext, manifest: Manifest, reference: Reference | None) -> None:
    """Write `profile.json` into a draft that has none: it never changes, so `benchmark` leaves the one that is there.

    It has the answers of the server model, and of the artifacts whose answers a bundle keeps. Says where there can be none.
    """
    draft = work.draft
    if (draft / FILE).exists():
        return
    if reference is None:
        work.progress.note(NO_PROFILE)
        return
    answers = select_answers(manifest, reference)
    contract = draft / CONTRACT
    artifacts = {item.id: item.content for item in manifest.artifacts}
    key = {
        "server": manifest.server.digest,
        "artifacts": artifacts,
        "contract": digest.of_path(contract) if contract.exists() else None,
        "reference": reference.digest,
        "data": reference.data.digest,
        "limit": reference.limit,
        "labels": sorted(reference.labels),
        "answers": {name: digest.of_path(path) for name, path in answers.items()},
    }

    def make(folder: Path) -> Any:
        _build(draft, manifest, reference, answers, folder / FILE)

    entry = work.cache.get("profile", key, make)
    shutil.copyfile(entry.path / FILE, draft / FILE)


def _build(draft: Path, manifest: Manifest, reference: Reference, answers: dict[str, Path], target: Path) -> None:
    from edgeship.benchmarks.compare.accuracy import match_labels
    from edgeship.data import load
    from edgeship.deploy.contract.contract import read_contract
    from edgeship.monitoring.profile.build import Evaluation, build_profile
    from edgeship.monitoring.profile.profile import profile_json

    evaluation = Evaluation(
        data=reference.data.digest,
        server_model=manifest.server.digest,
        artifacts={item.id: item.content for item in manifest.artifacts},
        batches=reference.batches,
        server=reference.outputs,
        answers={name: load(path) for name, path in answers.items()},
        labels=match_labels(reference.labels, tuple(reference.outputs)) if reference.labels else {},
    )
    content = profile_json(build_profile(evaluation, read_contract(draft)))
    target.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")

"""The answers that a bundle keeps, so that its models can be compared with others that answered the same samples."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgeship.benchmarks.measure.benchmark import Reference
from edgeship.benchmarks.measure.quality import MAX_STORED_BYTES
from edgeship.bundle.answers import FOLDER, LABELS, SERVER, answers_file
from edgeship.bundle.manifest import Manifest
from edgeship.data import save

ROOM = 1 << 20  # bytes of the answers of artifacts that nobody is advised to ship


def write_answers(draft: Path, manifest: Manifest, reference: Reference | None) -> None:
    """Write labels and answers of a judged draft: the server model's, those of what is recommended, others where they are few.

    There are none without labels, and of outputs of more than 64 MB.
    """
    shutil.rmtree(draft / FOLDER, ignore_errors=True)  # of an earlier measurement
    if not reference or not reference.labels:
        return
    if sum(array.nbytes for array in reference.outputs.values()) > MAX_STORED_BYTES:
        return
    (draft / FOLDER).mkdir()
    save(draft / LABELS, reference.labels)
    save(draft / answers_file(SERVER), reference.outputs)
    for artifact, path in select_answers(manifest, reference).items():
        shutil.copyfile(path, draft / answers_file(artifact))


def select_answers(manifest: Manifest, reference: Reference) -> dict[str, Path]:
    """The answers of artifacts that a judged bundle keeps: of what is recommended, and of others where they are small."""
    recommended = {item.artifact for item in manifest.gate.recommended} if manifest.gate else set()
    room, selected = ROOM, {}
    for artifact, path in reference.answers.items():
        if artifact not in recommended:
            room -= path.stat().st_size
        if artifact in recommended or room >= 0:
            selected[artifact] = path
    return selected

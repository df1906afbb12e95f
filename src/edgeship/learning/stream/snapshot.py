"""A snapshot: the model after an interval, converted as the champion was, judged, and in the registry with where it comes from.

Each step is kept by what it was made from, and the registry's record by all of it: whoever is killed and called again finds the
same version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.bundle import Bundle
from edgeship.bundle.metric import Digest
from edgeship.data import save
from edgeship.errors import InputError
from edgeship.learning.retraining.champion import Champion
from edgeship.learning.retraining.gather import LABELS, LabelledSamples, take_rows
from edgeship.learning.retraining.request import POOL_SHARE
from edgeship.learning.retraining.retrain import keep_samples, ship_challenger
from edgeship.learning.stream.request import StreamRequest
from edgeship.learning.stream.results import SnapshotVerdict
from edgeship.learning.stream.snapshot_card import write_snapshot_card
from edgeship.learning.stream.train import TEACHER, train_snapshot
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.adding import add_bundle
from edgeship.model_registry.promotion import WITHIN, compare_with_champion
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import DataUse, Version
from edgeship.processes.child import Caller
from edgeship.storage import digest
from edgeship.storage.atomic import atomic_file
from edgeship.typed_json import convert
from edgeship.types import Verdict, to_json

Array = np.ndarray[Any, Any]
TAG, SCHEMA = "edgeship.stream", 1  # of a version in the registry
WATCHED = 256  # old samples whose loss is looked at, and which are not learned


@dataclass(frozen=True)
class Lesson:
    """What a snapshot is made of: the interval's number, its rows, and the version whose weights it begins with."""

    number: int
    samples: LabelledSamples
    parent: int
    bundle: Bundle  # of the parent


@dataclass(frozen=True)
class Snapshot:
    """What the registry keeps of a snapshot with its version.

    `key` covers all that it was made from; `rows` are the interval's labelled samples in the registry's files.
    """

    key: Digest
    champion: int
    parent: int
    interval: int
    rows: DataUse
    replay: int
    seed: int
    head_only: bool
    server: Digest
    verdict: SnapshotVerdict
    reasons: tuple[str, ...]
    schema: int = SCHEMA


def make_snapshot(
    store: Store, champion: Champion, request: StreamRequest, lesson: Lesson, folder: Path, trainer: Caller
) -> tuple[Version, Snapshot]:
    """Train, ship, register and judge, or find what did so before. The folder is of this interval alone.

    Raises CheckError where the loss does not stay finite: nothing was registered then.
    """
    replayed, watched = choose_replay(champion, request, lesson.number, len(lesson.samples))
    key = _describe(champion, request, lesson, len(replayed))
    known = read_snapshots(store, champion.version.name)
    number = next((number for number, item in known.items() if item.key == key), None)
    if number is not None:
        return store.version(champion.version.name, str(number)), known[number]
    folder.mkdir(parents=True, exist_ok=True)
    files = _write_data(champion, lesson, folder, (replayed, watched))
    model = train_snapshot(trainer, champion, lesson.bundle, request, (*files, len(replayed)), folder, lesson.number)
    bundle = ship_challenger(champion, model, folder)
    rows = keep_samples(store, lesson.samples, f"interval {lesson.number}")
    write_snapshot_card(store, champion, request, (lesson.parent, lesson.number), rows, len(replayed), model)
    version = add_bundle(store, bundle, champion.version.name).version
    verdict, reasons = _judge(store, champion, version)
    snapshot = Snapshot(
        key, champion.version.number, lesson.parent, lesson.number, rows, len(replayed), request.seed, request.head_only,
        bundle.manifest.server.digest, verdict, reasons,
    )  # fmt: skip
    with store.writing():
        store.write_tag(version, TAG, json.dumps(to_json(snapshot)))
    return version, snapshot


def _describe(champion: Champion, request: StreamRequest, lesson: Lesson, replay: int) -> Digest:
    """The digest of all that decides what the snapshot is, and what it is judged by."""
    return digest.of_json(
        {
            "champion": champion.version.record.bundle,
            "parent": lesson.bundle.manifest.server.digest,
            "interval": lesson.number,
            "rows": lesson.samples.content,
            "training": champion.training.digest if champion.training else None,
            "replay": replay,
            "recipe": [request.epochs, request.learning_rate, request.batch, request.seed, request.head_only, TEACHER],
            "config": digest.of_path(request.config) if request.config else None,
        }
    )


def choose_replay(champion: Champion, request: StreamRequest, interval: int, rows: int) -> tuple[Array, Array]:
    """Rows of the old training data that are learned again in an interval, and others that are only looked at.

    By seed and number of the interval: other rows each time, and the same ones whenever it is done again.
    """
    old = len(champion.training) if champion.training else 0
    count = request.count_replay(rows, old)
    order = np.random.default_rng((request.seed, interval)).permutation(old)
    return np.sort(order[:count]), np.sort(order[count : count + WATCHED])


def _write_data(champion: Champion, lesson: Lesson, folder: Path, rows: tuple[Array, Array]) -> tuple[Path, Path]:
    """`train.npz`, old samples before the interval's, and `watched.npz`."""
    old, watched = (take_rows(champion.training, champion, item) for item in rows)
    new = lesson.samples.inputs, lesson.samples.labels
    repeats = max(1, len(rows[0]) // (POOL_SHARE * len(lesson.samples)))
    parts = [*([old] if old else []), *[new] * repeats]
    names = [spec.name for spec in champion.manifest.server.inputs]
    arrays = {name: np.concatenate([part[0][name] for part in parts]) for name in names}
    arrays[LABELS] = np.concatenate([part[1] for part in parts])
    seen = watched or old or new
    for name, content in (("train.npz", arrays), ("watched.npz", {**seen[0], LABELS: seen[1]})):
        with atomic_file(folder / name) as beside:
            save(beside, content)
    return folder / "train.npz", folder / "watched.npz"


def _judge(store: Store, champion: Champion, version: Version) -> tuple[SnapshotVerdict, tuple[str, ...]]:
    """By its own gate, and beside the champion on the data that this one was judged by.

    What was lost there must stay within the margin of the budget, always of the first champion's figure, so that losses do not
    add up. That they do is not proven, as promotion asks: a field that moves away would wait for ever.
    """
    verdict = version.record.verdict or "not judged"
    passed = verdict == Verdict.PASS
    reasons = [] if passed else [f"its own gate says {verdict}"]
    findings = list(compare_with_champion(store, champion.version, version, WITHIN))
    reasons += [f"old evaluation data, {item.reason}" for item in findings]
    accepted = passed and all(item.holds for item in findings)
    return "accepted" if accepted else "refused", tuple(reason[:500] for reason in reasons)


def read_snapshots(store: Store, name: str) -> dict[int, Snapshot]:
    """The snapshots of streams among the versions of a name. Raises InputError for a changed record, or of a later edgeship."""
    found = {}
    for number, text in store.read_tags(name, TAG).items():
        try:
            content = json.loads(text)
            if content.get("schema") != SCHEMA:
                raise InputError(f"is of schema {content.get('schema')}, this edgeship reads {SCHEMA}")
            found[number] = convert(Snapshot, content)
        except (InputError, ValueError, AttributeError) as error:
            place = f"{store.place}: {name} version {number}: its tag {TAG}"
            raise InputError(f"{place} was changed or is damaged: {error}") from error
    return found

"""The membership inference attack on a bundle's artifact: its answers to its training data beside those the bundle keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.accuracy import match_labels
from edgeship.benchmarks.measure.benchmark import evaluation_batch
from edgeship.bundle.answers import LABELS, answers_file
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.data import RepresentativeDataset, load
from edgeship.errors import EdgeshipError, InputError
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.serving.worth.membership import MembershipRisk, attack_by_loss, losses
from edgeship.untrusted import printable

NAMES = ("train.npz", "calibration.npz")  # beside the bundle, as `edgeship train` writes them
MOST = 5000  # samples of the training data
Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


def attack_bundle(bundle: Bundle, entry: ArtifactEntry, train: Path | None) -> MembershipRisk:
    """How well the artifact's losses tell samples of `train` (default: a file beside the bundle) from the evaluation data.

    What is missing for it is the result's reason. Raises InputError for data that was named and cannot be used.
    """
    path = train or next((place for name in NAMES if (place := bundle.root.parent / name).is_file()), None)
    if path is None:
        where = f"no {' or '.join(NAMES)} beside the bundle; --train FILE names the training data"
        return MembershipRisk(entry.id, reason=where)
    name = printable(path.name)
    files = bundle.manifest.files
    if LABELS not in files or answers_file(entry.id) not in files:
        return MembershipRisk(entry.id, data=name, reason="the bundle keeps no answers to labelled evaluation data")
    try:
        members = _member_losses(bundle, entry, path)
        others = _losses_by_labels(load(bundle.root / LABELS), load(bundle.root / answers_file(entry.id)))
    except EdgeshipError as error:
        if train is not None and isinstance(error, InputError):
            raise
        return MembershipRisk(entry.id, data=name, reason=str(error))
    if members is None or others is None:
        return MembershipRisk(
            entry.id, data=name, reason="labels that are no classes or numbers of the outputs have no loss"
        )
    return attack_by_loss(entry.id, name, members, others)


def _member_losses(bundle: Bundle, entry: ArtifactEntry, path: Path) -> Array | None:
    data, inputs = RepresentativeDataset(path), bundle.manifest.server.inputs
    labels = data.labels(MOST, inputs)
    if not labels:
        raise InputError(f"{printable(path)}: no labels y, without which there is no loss")
    artifact = entry.within(bundle.root)
    batch = evaluation_batch(entry.receipt, inputs)
    runtime = registry.for_format(entry.format)[0].name
    with open_session(
        runtime, artifact.path, threads=None, bridge=artifact.bridge, outputs=bundle.manifest.server.outputs
    ) as session:
        return _losses_by_labels(labels, session.evaluate(data.feeds(inputs, batch, MOST), batch))


def _losses_by_labels(labels: Arrays, outputs: Arrays) -> Array | None:
    """The loss of each sample (n,), added up over the outputs that have labels."""
    parts = [losses(outputs[name], truth) for name, truth in match_labels(labels, tuple(outputs)).items()]
    known = [part for part in parts if part is not None]
    return np.asarray(np.sum(known, axis=0)) if len(known) == len(parts) else None

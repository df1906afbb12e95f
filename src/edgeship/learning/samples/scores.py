"""What a bundle's artifact says of samples: answers, the margin between its two best classes, the label it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgeship.benchmarks.measure.benchmark import evaluation_batch
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import Manifest
from edgeship.data import Batch
from edgeship.errors import InputError
from edgeship.model_registry.figures import main_artifact
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session

Array = np.ndarray[Any, Any]
TARGETS = ("servers and desktops", "apps", "pages")  # runtimes of the first are quickest here


def choose_artifact(manifest: Manifest) -> str:
    """The artifact that answers here: a recommended one, for servers first, else the one that stands for the bundle."""
    recommended = recommended_artifacts(manifest)
    return next((recommended[target] for target in TARGETS if target in recommended), main_artifact(manifest))


def recommended_artifacts(manifest: Manifest) -> dict[str, str]:
    """What a bundle recommends, by what for."""
    return {item.target: item.artifact for item in manifest.gate.recommended} if manifest.gate else {}


def answer_samples(bundle: Bundle, artifact: str, inputs: Batch) -> Batch:
    """What an artifact of a bundle answers to inputs (n, ...), by output in the server model's order.

    Raises InputError where the bundle has no such artifact, MissingDependencyError without its runtime, ProcessError where that
    fails.
    """
    entry = bundle.manifest.artifact(artifact)
    if entry is None:
        raise InputError(f"the bundle has no artifact {artifact or 'at all'}")
    item = entry.within(bundle.root)
    runtime = registry.for_format(item.format)[0]
    batch = evaluation_batch(entry.receipt, bundle.manifest.server.inputs)
    outputs = bundle.manifest.server.outputs
    with open_session(runtime.name, item.path, threads=None, outputs=outputs, bridge=item.bridge) as session:
        return session.evaluate(split_batches(inputs, batch), batch)


def split_batches(inputs: Batch, size: int) -> Iterator[Batch]:
    """Arrays (n, ...) in parts of at most `size` samples."""
    for start in range(0, len(next(iter(inputs.values()))), size):
        yield {name: array[start : start + size] for name, array in inputs.items()}


def find_chances(scores: Array) -> Array:
    """Scores as probabilities (n, classes): those of one score are of no and of yes.

    Raises InputError for outputs of other shapes, which have no classes.
    """
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):
        yes = scores.reshape(-1).astype(np.float64)
        if ((yes < 0) | (yes > 1)).any():
            yes = 1 / (1 + np.exp(-yes))
        return np.stack([1 - yes, yes], axis=1)
    if scores.ndim != 2:
        raise InputError(f"an output of shape {scores.shape[1:]} a sample has no classes, so that no sample is harder")
    chances = scores.astype(np.float64)
    if (chances < 0).any() or not np.allclose(chances.sum(axis=1), 1, atol=0.05):
        powers = np.exp(chances - chances.max(axis=1, keepdims=True))
        chances = powers / powers.sum(axis=1, keepdims=True)
    return np.asarray(chances)


def find_margins(scores: Array) -> Array:
    """The difference between the two highest probabilities of each sample (n,). Raises InputError as `find_chances`."""
    best = np.sort(find_chances(scores), axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


def predict_labels(scores: Array, names: Sequence[str]) -> list[str]:
    """The class of each sample by its name, or by its number where it has none."""
    wide = scores.ndim > 1 and scores.shape[-1] > 1
    flat = scores.reshape(-1)
    threshold = 0.5 if wide or ((flat >= 0) & (flat <= 1)).all() else 0.0
    classes = scores.argmax(axis=-1) if wide else (flat > threshold).astype(int)
    return [names[number] if number < len(names) else str(number) for number in classes.tolist()]

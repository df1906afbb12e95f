"""What a training step and the bases of `learning/` must give: written when they are made, replayed by `edgeship verify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeship import data
from edgeship.bundle.head_learning import FILE, FOLDER, HeadLearning
from edgeship.client.learning.arithmetic import Head, apply_activation, compute_scores, take_step
from edgeship.client.learning.package import Samples
from edgeship.data import Array, Batch
from edgeship.errors import EdgeshipError
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.runtimes.session import Session, open_session
from edgeship.storage import digest
from edgeship.types import to_json
from edgeship.untrusted import limits, place_within, read_json

STEP_TOLERANCE = 1e-6  # of the largest number of what a step gives, at least of 1
SAME_ANSWERS = 1e-3  # of the output's range: what other right kernels of a float32 base may be off
LOOSE_ANSWERS = 0.1  # the same of an int8 base, beside what it was off when it was made
STEPS = 10  # the loss falls over so many


@dataclass(frozen=True)
class LearningReplay:
    """A file of `learning/` on one runtime: its error as a share of the tolerance; `reason`: why it is no match, or empty."""

    artifact: str
    runtime: str
    share: float | None
    reason: str = ""


def write_goldens(folder: Path, replay: Samples, head: Head, rate: float, batch: int, activation: str) -> None:
    """Write `goldens.npz`: a batch for a step, and the next head and the loss, computed in float64."""
    rows = np.arange(batch) % len(replay)
    features, target = replay.features[rows], replay.target[rows]
    exact = Head(*(item.astype(np.float64) for item in head))
    stepped, loss = take_step(features.astype(np.float64), target.astype(np.float64), rate, exact, activation)
    arrays: Batch = {
        "features": features,
        "target": target,
        "rate": np.asarray(rate, np.float32),
        "new_weights": stepped.weights.astype(np.float32),
        "new_bias": stepped.bias.astype(np.float32),
        "loss": np.asarray(loss, np.float32),
    }
    data.save(folder / "goldens.npz", arrays)


def replay_steps(folder: Path, learning: HeadLearning) -> Iterator[LearningReplay]:
    """Each training step on every runtime that is present, against its golden; and whether the loss falls."""
    golden = data.load(place_within(folder, learning.goldens))
    shipped = data.load(place_within(folder, learning.head))
    for form, name in learning.steps.items():
        for runtime in _present_runtimes(form):
            file = f"{FOLDER}/{name}"
            try:
                with open_session(runtime, place_within(folder, name), timeout=limits().replay_seconds) as session:
                    share, reason = _compare_step(session, golden, shipped)
            except (EdgeshipError, KeyError) as error:
                share, reason = None, f"it does not run: {error}"
            yield LearningReplay(file, runtime, share, reason)


def replay_learning(root: Path, learning: HeadLearning) -> Iterator[LearningReplay]:
    """All that `edgeship verify` replays of the `learning/` in a bundle's folder."""
    folder = root / FOLDER
    if read_json(folder / FILE) != to_json(learning):
        yield LearningReplay(f"{FOLDER}/{FILE}", "", None, "it says otherwise than the manifest")
        return
    if changed := [
        name for name, known in learning.files.items() if digest.of_path(place_within(folder, name)) != known
    ]:
        yield LearningReplay(f"{FOLDER}/{changed[0]}", "", None, f"{FILE} has another digest of it")
    yield from replay_steps(folder, learning)
    golden = data.load(root / "goldens" / "inputs.npz")
    answers = data.load(root / "goldens" / "outputs.npz")[learning.output]
    shipped = data.load(place_within(folder, learning.head))
    for base in learning.bases:
        allowed = (SAME_ANSWERS if base.variant == "float32" else LOOSE_ANSWERS) * span_of(answers) + min(
            base.error, LOOSE_ANSWERS
        )
        for runtime in _present_runtimes(base.format):
            try:
                with open_session(runtime, place_within(folder, base.file), timeout=limits().replay_seconds) as session:
                    features = session.run({spec.name: golden[spec.name] for spec in base.inputs})[base.output]
                head = Head(shipped["weights"], shipped["bias"])
                error = answer_error(features, head, learning.activation, answers)
                reason = (
                    "" if error <= allowed else f"with the head it is off by {error:.3g}, allowed are {allowed:.3g}"
                )
                share: float | None = error / allowed
            except (EdgeshipError, KeyError, ValueError) as failure:
                share, reason = None, f"it does not run: {failure}"
            yield LearningReplay(f"{FOLDER}/{base.file}", runtime, share, reason)


def answer_error(features: Array, head: Head, activation: str, answers: Array) -> float:
    """The largest difference of what features and a head answer from the server model's answers; its scores count, too."""
    scores = compute_scores(features, head)
    ways = (apply_activation(scores, activation), scores)
    return float(min(np.abs(item - answers.reshape(item.shape)).max() for item in ways))


def span_of(answers: Array) -> float:
    """The range of an output's values, at least a tiny number."""
    return float(max(np.ptp(answers), 1e-6))


def _compare_step(session: Session, golden: Batch, shipped: Batch) -> tuple[float, str]:
    """The largest error of a step as a share of its tolerance, and why it is no match, or an empty text."""
    feeds = {name: golden[name] for name in ("features", "target", "rate")}
    head: Batch = {"weights": shipped["weights"], "bias": shipped["bias"]}
    first = session.run({**feeds, **head})
    shares = []
    for name in ("new_weights", "new_bias", "loss"):
        wanted = golden[name]
        if first[name].shape != wanted.shape:
            return np.inf, f"{name} has shape {first[name].shape}, not {wanted.shape}"
        shares.append(np.abs(first[name] - wanted).max() / (STEP_TOLERANCE * max(1.0, np.abs(wanted).max())))
    worst = float(np.max(shares))  # NaN where one is
    if not worst <= 1:
        return worst, f"a step is off by {worst:.3g} times what it may be"
    step = first
    for _ in range(STEPS):
        step = session.run({**feeds, "weights": step["new_weights"], "bias": step["new_bias"]})
    if not step["loss"] <= first["loss"]:
        return worst, f"the loss does not fall: {float(first['loss']):.4g}, then {float(step['loss']):.4g}"
    return worst, ""


def _present_runtimes(form: str) -> list[str]:
    usual = registry.for_format(form)[:1]
    return [runtime.name for runtime in usual if not runtime.unavailable_reason()]

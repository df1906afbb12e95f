"""`HeadLearner`: answers with a model whose last layer has learned from what its user corrected. Nothing leaves the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning import arithmetic
from edgeship.client.learning.arithmetic import Array, Head
from edgeship.client.learning.outcome import LearnResult, LearnSettings
from edgeship.client.learning.package import Samples, open_package
from edgeship.client.learning.state import LearningState
from edgeship.client.outcome import ClientError

HELD_OUT = 4  # one corrected sample of so many is never trained with
MOST_SAMPLES = 1024
SHARES = (0.5, 0.25)  # of the way to the new head, where all of it is too far
DEFAULTS = LearnSettings()


class HeadLearner:
    """A model of which this device teaches the last layer.

    `folder`: the `learning/` of a bundle or version. `state`: a folder of this device's own for what it learns. `base`: which
    form of the rest of the model gives the features, `<format>/<variant>`; by default the first that a runtime here takes.

    Raises ClientError for a folder that is none, a file that was changed, and where no runtime is installed.
    """

    def __init__(self, folder: Path | str, state: Path | str, base: str | None = None) -> None:
        self.package = open_package(Path(folder))
        self._base_name, self._state = base, LearningState(Path(state), self.package)

    @cached_property
    def _base(self) -> Any:
        return self.package.open_base(self._base_name)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """What the model takes: `name`, `shape` (None where any size fits) and `dtype` of each input."""
        inputs: list[dict[str, Any]] = self._base[1]["inputs"]
        return inputs

    @property
    def head(self) -> Head:
        """The head that answers: the learned one; the shipped one where there is none, or it is damaged or of another version."""
        return self._state.read_head() or self.package.head

    @property
    def has_learned(self) -> bool:
        """Whether a learned head answers."""
        return self._state.read_head() is not None

    @property
    def samples(self) -> int:
        """How many corrected samples are kept."""
        return len(self._state.read_samples()[0])

    def compute_features(self, inputs: Mapping[str, Array]) -> Array:
        """The features (n, features), float32, of tensors (n, ...) by the model's input names.

        Raises ClientError where inputs are missing or the runtime refuses them, and where a feature is no finite number.
        """
        model, described = self._base
        names = [item["name"] for item in described["inputs"]]
        if missing := [name for name in names if name not in inputs]:
            raise ClientError(f"there is nothing for the model's input {missing[0]!a}; it takes {', '.join(names)}")
        feeds = {
            item["name"]: np.ascontiguousarray(inputs[item["name"]], item["dtype"]) for item in described["inputs"]
        }
        features: Array = model.run(feeds)[described["output"]].astype(np.float32, copy=False)
        if not np.isfinite(features).all():
            raise ClientError("these inputs give features that are no finite numbers; nothing is learned from them")
        return features

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """The answers (n, outputs) of the head as it is now: shares, or numbers of a `linear` head."""
        return self.answer_features(self.compute_features(inputs))

    def answer_features(self, features: Array) -> Array:
        """As `predict`, for features that were computed before."""
        return arithmetic.apply_activation(arithmetic.compute_scores(features, self.head), self.package.activation)

    def collect(self, inputs: Mapping[str, Array], labels: Array) -> int:
        """Keep corrected samples as features, the newest 1,024 of all; returns how many are kept now.

        `labels`: the right classes (n,), or what the outputs should have been (n, outputs). Raises ClientError for what cannot
        be learned from.
        """
        features, target = self.compute_features(inputs), self.package.make_target(labels)
        if len(features) != len(target):
            raise ClientError(f"{len(features)} samples and {len(target)} labels; each sample has one")
        known, number = self._state.read_samples()
        new_numbers = np.arange(len(features)) + (number[-1] + 1 if len(number) else 0)
        joined = Samples(np.concatenate([known.features, features])[-MOST_SAMPLES:],
                         np.concatenate([known.target, target])[-MOST_SAMPLES:])  # fmt: skip
        self._state.write_samples(joined, np.concatenate([number, new_numbers])[-MOST_SAMPLES:])
        return len(joined)

    def learn(self, settings: LearnSettings = DEFAULTS) -> LearnResult:
        """Train a new head from the shipped one with all corrected samples and the replayed ones; keep it where it is no worse.

        Where it is, half of the way from the shipped head to the new one is tried, and a quarter (Wortsman et al., Robust
        fine-tuning of zero-shot models, 2022: most of what is gained stays, and little is lost).

        Raises ClientError where there is nothing to learn from: no sample, or of one class only.
        """
        corrected, number = self._state.read_samples()
        self._check_samples(corrected)
        held = number % HELD_OUT == HELD_OUT - 1
        train, held_out = (Samples(corrected.features[rows], corrected.target[rows]) for rows in (~held, held))
        rate = settings.rate or float(self.package.content["rate"])
        bounds = settings.fewest_steps, settings.most_steps
        replay, batch = self.package.replay, self.package.batch
        steps = arithmetic.count_steps(len(train), len(replay), batch, settings.passes, bounds)
        head = self._train(train, steps, rate)
        whole = self._judge(head, train, held_out, settings.limit, (steps, rate))
        if whole.kept:
            self._state.write_head(head)
        if whole.kept or whole.loss_after is None or not whole.loss_after <= whole.loss_before:
            return whole
        for share in SHARES:
            part = arithmetic.mix_heads(self.package.head, head, share)
            result = self._judge(part, train, held_out, settings.limit, (steps, rate))
            if result.kept and result.corrected_after > result.corrected_before:  # else it mends nothing
                self._state.write_head(part)
                return replace(result, share=share)
        return whole

    def forget(self, *, samples: bool = True) -> None:
        """Answer with the shipped head again; the corrected samples are deleted, too, unless they are to stay."""
        self._state.forget(samples=samples)

    def _check_samples(self, corrected: Samples) -> None:
        if not len(corrected):
            raise ClientError("nothing was corrected yet, so that there is nothing to learn from")
        classes = np.unique(corrected.target.argmax(1))
        if self.package.activation == "softmax" and len(classes) == 1:
            names: list[str] = self.package.content.get("labels") or []
            one = repr(names[int(classes[0])]) if names else f"class {int(classes[0])}"
            raise ClientError(
                f"all {len(corrected)} corrected samples are of one class, {one}; correct some of another, too"
            )

    def _train(self, train: Samples, steps: int, rate: float) -> Head:
        step, head, replay = self.package.open_step(), self.package.head, self.package.replay
        for fresh, kept in arithmetic.list_batches(len(train), len(replay), self.package.batch, steps):
            features = (
                np.concatenate([train.features[fresh], replay.features[kept]]) if len(kept) else train.features[fresh]
            )
            target = np.concatenate([train.target[fresh], replay.target[kept]]) if len(kept) else train.target[fresh]
            head, _ = step.take_step(features, target, rate, head)
        return head

    def _judge(
        self, head: Head, train: Samples, held_out: Samples, limit: float, run: tuple[int, float]
    ) -> LearnResult:
        """What came of it: the new head is kept where nothing that is known got worse than the limit allows."""
        with np.errstate(all="ignore"):  # a rate that is far too large leads beyond all numbers
            return self._compare_heads(head, train, held_out, limit, run)

    def _compare_heads(
        self, head: Head, train: Samples, held_out: Samples, limit: float, run: tuple[int, float]
    ) -> LearnResult:
        package, before = self.package, self.head
        seen = [item for item in (train, package.replay) if len(item)]  # half and half, as they are trained with
        finite = all(np.isfinite(item).all() for item in head)
        losses = [
            float(np.mean([_mean_loss(part, item, package.activation) for part in seen]))
            for item in (package.head, head)
        ]
        guard = [_quality(package.guard, item, package.activation) for item in (package.head, head)]
        held = [_quality(held_out, item, package.activation) if len(held_out) else None for item in (before, head)]
        corrected = [_quality(train, item, package.activation) for item in (before, head)]
        reason = ""
        if not finite or not losses[1] <= losses[0]:
            after = f"{losses[1]:.3g}" if np.isfinite(losses[1]) else "beyond all numbers"
            reason = f"the loss rose from {losses[0]:.3g} to {after}: the rate {run[1]:.3g} is too large"
        elif _fell(guard[0], guard[1], len(package.guard), limit):
            reason = f"on the guard samples it fell from {guard[0]:.1%} to {guard[1]:.1%}"
        elif held[0] is not None and held[1] is not None and _fell(held[0], held[1], len(held_out), limit):
            reason = f"on the held-out samples it fell from {held[0]:.1%} to {held[1]:.1%}"
        counts = len(train) + len(held_out), len(held_out)
        loss = losses[0], losses[1] if np.isfinite(losses[1]) else None
        return LearnResult(not reason, reason, *counts, *run, *loss, *corrected, *guard, *held)


def _fell(before: float, after: float, count: int, limit: float) -> bool:
    """Whether a quality fell by more than the limit; of few samples, a single one is no sign of anything."""
    return not before - after <= max(limit, 1.5 / count)


def _quality(samples: Samples, head: Head, activation: str) -> float:
    return arithmetic.measure_quality(samples.features, samples.target, head, activation)


def _mean_loss(samples: Samples, head: Head, activation: str) -> float:
    return arithmetic.compute_loss(arithmetic.compute_scores(samples.features, head), samples.target, activation)

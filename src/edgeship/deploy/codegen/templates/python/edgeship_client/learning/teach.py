"""Answers with the model as this device has taught it. Nothing leaves the device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..contract import INPUTS, OUTPUTS
from ..core import Array, preprocess
from ..predict import decide
from .arithmetic import apply_activation, compute_scores
from .client_error import ClientError
from .head import ANSWERS, DIGEST, PLACE
from .learner import DEFAULTS, HeadLearner
from .outcome import LearnResult, LearnSettings

HEAD = Path(__file__).parents[2] / "head"
Raw = Array | Sequence[str | float]


class Learner:
    """The model with its preprocessing, of which this device teaches the last layer.

    `state`: a folder of the device's own for what it learns. `head`: the folder that was generated beside the model. Raises
    ClientError where that was changed, or is of another client.
    """

    def __init__(self, state: Path | str, head: Path | str = HEAD) -> None:
        self._learner = HeadLearner(head, state)
        if self._learner.package.digest != DIGEST:
            raise ClientError(f"{head}: is not the head that this client was generated for")

    @property
    def has_learned(self) -> bool:
        """Whether a learned head answers, not the shipped one."""
        return self._learner.has_learned

    @property
    def samples(self) -> int:
        """How many corrected samples are kept."""
        return self._learner.samples

    def predict(self, *raws: Raw, orientation: int = 1) -> Array:
        """What the model's output is with the head as it is now, float32, for the raw data of each input."""
        features = self._learner.compute_features(self._prepare(raws, orientation))
        scores = compute_scores(features, self._learner.head)[0]
        return apply_activation(scores, ANSWERS).astype(np.float32)

    def classify(self, raw: Raw, count: int = 3, orientation: int = 1) -> list[tuple[int, str, float]]:
        """The best answers as index, label and score."""
        return decide(OUTPUTS[PLACE], self.predict(raw, orientation=orientation), count)

    def collect(self, *raws: Raw, label: str | float | Sequence[float], orientation: int = 1) -> int:
        """Keep a corrected sample; returns how many are kept now, the newest 1,024.

        `label`: the right class, by its name or number, or what the outputs should have been. Raises ClientError for a label that
        the model cannot give.
        """
        labels = OUTPUTS[PLACE].labels
        if isinstance(label, str):
            if label not in labels:
                raise ClientError(f"{label!a} is none of the labels: {', '.join(labels)}")
            label = labels.index(label)
        return self._learner.collect(self._prepare(raws, orientation), np.asarray([label]))

    def learn(self, settings: LearnSettings = DEFAULTS) -> LearnResult:
        """Train a new head with all corrected samples, and keep it where it is no worse; `reason` says why it is not kept.

        Raises ClientError where there is nothing to learn from: no sample, or of one class only.
        """
        return self._learner.learn(settings)

    def forget(self, *, samples: bool = True) -> None:
        """Answer with the shipped head again; the corrected samples are deleted, too, unless they are to stay."""
        self._learner.forget(samples=samples)

    def _prepare(self, raws: Sequence[Raw], orientation: int) -> dict[str, Array]:
        shapes = {item["name"]: item["shape"] for item in self._learner.inputs}
        return {
            item.name: preprocess(item, raw, orientation=orientation).reshape(1, *shapes[item.name][1:])
            for item, raw in zip(INPUTS, raws, strict=True)
        }

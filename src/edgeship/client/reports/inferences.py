"""Counts inferences in the bins of a profile, in memory. Generated Python clients have this file, too."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from edgeship.client.outcome import ClientError
from edgeship.client.reports.counts import Json, to_pairs
from edgeship.client.reports.tensors import ClassCounter, DescriptorBatch, DescriptorCounter

MOST_CODES, OTHER = 15, "other"
NOT_FINITE = "not_finite"
_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")


class InferenceCounter:
    """Counts of inferences since it was made, or since the last `take`. `profile`: the content of a `profile.json`."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        self._latency: list[float] = profile["latency"]
        self._names: list[str] = [item["name"] for item in profile["outputs"]]
        self._classes = [ClassCounter(item) for item in profile["outputs"] if item["classes"]]
        self._values = [
            DescriptorCounter(item["name"], item["values"]) for item in profile["outputs"] if item["values"]
        ]
        self._inputs = [DescriptorCounter(item["name"], item) for item in profile["inputs"]]
        whole = [item for item in (*self._values, *self._inputs) if not item.columns]
        self._batch = DescriptorBatch(whole) if len(whole) > 1 else None
        self._before: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._n = self._switches = self._fallbacks = 0
        self._class_counts = [item.empty() for item in self._classes]
        self._value_counts = [item.empty() for item in self._values]
        self._input_counts = [item.empty() for item in self._inputs]
        self._latencies: dict[int, int] = {}
        self._errors: dict[str, int] = {}
        self._outcomes: dict[str, dict[int, int]] = {}

    def count(
        self, outputs: Mapping[str, Any], inputs: Mapping[str, Any], *, milliseconds: float | None = None
    ) -> int | None:
        """Count one inference, and return the class that outcomes are about, None where the model has none.

        `outputs`: one sample's, as real numbers (after dequantization), with or without the batch's axis; `inputs`: the float32
        tensors that the contract's steps give, before any quantization. An inference whose scores are not finite counts as an
        error. Raises ClientError for tensors that are not those of the profile.
        """
        try:
            found = [item.describe(outputs[item.name]) for item in self._classes]
            described = self._describe(outputs, inputs)
        except KeyError as error:
            raise ClientError(f"no tensor {error} was given, and the profile counts one") from error
        for answer in found:
            if answer is None:
                self.error(NOT_FINITE)
                return None
        self._n += 1
        for counter, counts, answer in zip(self._classes, self._class_counts, found, strict=True):
            if answer is not None:
                counter.count(counts, answer)
        for descriptors, histograms, values in zip(
            (*self._values, *self._inputs),
            (*self._value_counts, *self._input_counts),
            described,
            strict=True,
        ):
            descriptors.count(histograms, values)
        if milliseconds is not None:
            place = bisect_right(self._latency, milliseconds)
            self._latencies[place] = self._latencies.get(place, 0) + 1
        return self._count_switch(found[0][0] if found and found[0] else None)

    def _describe(self, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[list[float]]:
        """The descriptors of outputs without classes, then of inputs."""
        tensors = [(item, outputs[item.name]) for item in self._values]
        tensors += [(item, inputs[item.name]) for item in self._inputs]
        if self._batch is None:
            return [item.describe(tensor) for item, tensor in tensors]
        whole = iter(self._batch.describe([tensor for item, tensor in tensors if not item.columns]))
        return [item.describe(tensor) if item.columns else next(whole) for item, tensor in tensors]

    def _count_switch(self, predicted: int | None) -> int | None:
        if predicted is not None:
            self._switches += self._before not in (None, predicted)
            self._before = predicted
        return predicted

    def outcome(self, event: str, predicted: int | None = None) -> None:
        """Count what became of an answer: `accepted`, `corrected`, or a word of the app's own.

        `predicted`: what `count` returned of it. Raises ClientError for a class or word that can be none.
        """
        check_text(event, _CODE, "an event of lower-case letters, digits and '_'")
        most = self._classes[0].classes if self._classes else 1
        place = predicted or 0
        if not 0 <= place < most:
            raise ClientError(f"class {predicted} is none of the model's {most}")
        event = event if event in self._outcomes or len(self._outcomes) < MOST_CODES else OTHER
        classes = self._outcomes.setdefault(event, {})
        classes[place] = classes.get(place, 0) + 1

    def error(self, code: str) -> None:
        """Count an inference without a result, by a code such as `out_of_memory`; never a message."""
        check_text(code, _CODE, "a code of lower-case letters, digits and '_'")
        code = code if code in self._errors or len(self._errors) < MOST_CODES else OTHER
        self._errors[code] = self._errors.get(code, 0) + 1

    def fallback(self) -> None:
        """Count an answer that something else gave in the model's place."""
        self._fallbacks += 1

    def take(self) -> Json:
        """The counts, in the form that a report has, and begin anew."""
        counts = self.counts
        self._clear()
        return counts

    @property
    def counts(self) -> Json:
        """What was counted since the last `take`, in the form that a report has."""
        outputs: Json = {
            item.name: {"kind": "classes", "joint": to_pairs(joint), "margin": margin, "entropy": entropy}
            for item, (joint, margin, entropy) in zip(self._classes, self._class_counts, strict=True)
        }
        for item, histograms in zip(self._values, self._value_counts, strict=True):
            outputs[item.name] = {"kind": "values", "values": histograms}
        return {
            "n": self._n,
            "outputs": {name: outputs[name] for name in self._names},
            "inputs": {item.name: parts for item, parts in zip(self._inputs, self._input_counts, strict=True)},
            "latency": to_pairs(self._latencies),
            "switches": self._switches,
            "errors": dict(sorted(self._errors.items())),
            "fallbacks": self._fallbacks,
            "outcomes": {event: to_pairs(classes) for event, classes in sorted(self._outcomes.items())},
        }


def check_text(text: str, pattern: re.Pattern[str], expected: str) -> None:
    """Raise ClientError for a text that does not match."""
    if pattern.fullmatch(text) is None:
        raise ClientError(f"{text[:60]!a} is not {expected}")

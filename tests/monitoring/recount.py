"""Counts of a report, made again from the raw samples with NumPy: what every client's counter must equal, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.monitoring.profile.classes import count_answers, describe_answers
from edgeship.monitoring.profile.descriptors import describe_samples
from edgeship.monitoring.profile.edges import count_values
from edgeship.monitoring.profile.profile import Profile, ProfileInput

Json = dict[str, Any]
Array = np.ndarray[Any, Any]


def to_array(values: Any) -> Array:
    """Numbers of a JSON file as float32; null is NaN, and 1e999 infinity."""
    return np.array(values, dtype=object).astype(np.float32)


def recount(profile: Profile, samples: Sequence[Json]) -> Json:
    """The counts of samples with `outputs`, `inputs` (nested lists by name), `ms` (or null)."""
    scores = {item.name: np.stack([to_array(one["outputs"][item.name]) for one in samples]) for item in profile.outputs}
    finite = np.ones(len(samples), bool)
    for item in profile.outputs:
        if item.classes:
            finite &= np.isfinite(scores[item.name].reshape(len(samples), -1)).all(axis=1)
    taken = [one for one, good in zip(samples, finite, strict=True) if good]
    outputs: Json = {}
    for item in profile.outputs:
        if item.values is None:
            found = count_answers(scores[item.name][finite], item, None)
            outputs[item.name] = {
                "kind": "classes",
                "joint": [*found.joint],
                "margin": [*found.margin],
                "entropy": [*found.entropy],
            }
        else:
            outputs[item.name] = {"kind": "values", "values": _histograms(item.values, scores[item.name][finite])}
    times = np.array([one["ms"] for one in taken if one["ms"] is not None])
    first = profile.first_classes
    switches = 0
    if first:
        classes = describe_answers(scores[first.name][finite], first).predicted
        switches = int((np.diff(classes) != 0).sum())
    bad = len(samples) - len(taken)
    return {
        "n": len(taken),
        "switches": switches,
        "errors": {"not_finite": bad} if bad else {},
        "outputs": outputs,
        "inputs": {
            item.name: _histograms(item, np.stack([to_array(one["inputs"][item.name]) for one in taken]))
            for item in profile.inputs
        },
        "latency": _pairs(np.searchsorted(np.array(profile.latency), times, side="right")),
    }


def _histograms(how: ProfileInput, batch: Array) -> list[list[int]]:
    values = describe_samples(batch, how)
    return [[*count_values(column, item.edges)] for item, column in zip(how.descriptors, values.T, strict=True)]


def _pairs(places: Array) -> list[int]:
    found: Mapping[int, int] = dict(
        zip(*(part.tolist() for part in np.unique(places, return_counts=True)), strict=True)
    )
    return [number for place, count in found.items() for number in (place, count)]

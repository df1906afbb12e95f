"""Makes a profile of the evaluation data and of what the server model and artifacts answered to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics.decisions import are_probabilities, within_0_and_1
from edgeship.deploy.contract.contract import Contract, ContractOutput
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.profile.classes import count_answers
from edgeship.monitoring.profile.descriptors import (
    MOST_COLUMNS,
    NAMES,
    choose_every,
    describe_samples,
    find_stride,
)
from edgeship.monitoring.profile.edges import (
    CONFIDENCE,
    ENTROPY,
    MARGIN,
    count_values,
    latency_edges,
    quantile_edges,
)
from edgeship.monitoring.profile.profile import (
    MOST_CLASSES,
    SERVER,
    Descriptor,
    OutputCounts,
    Profile,
    ProfileInput,
    ProfileOutput,
)
from edgeship.settings.inputs import InputKind

Array = np.ndarray[Any, Any]
Batch = Mapping[str, Array]
MOST_TENSORS = 16  # inputs, and outputs
BINS, COLUMN_BINS, FEW_COLUMNS = 16, 8, 5
LIMIT_BATCHES = 8  # whose smallest and largest number tell what is low and high
LIMIT = 0.05  # of their range
NUMBERS, MORE = "fiub", f"only the first {MOST_TENSORS} are counted"


@dataclass(frozen=True)
class Evaluation:
    """What a profile is made of: the evaluation data, of that digest, and what was answered to it.

    `batches` gives the inputs (n, ...) by name, each time anew. `server` and `answers`, by artifact, are outputs (N, ...) by
    name, `labels` those of the outputs that have some. `artifacts`: the digest of each artifact's content.
    """

    data: str
    server_model: str
    artifacts: Mapping[str, str | None]
    batches: Callable[[], Iterable[Batch]]
    server: Batch
    answers: Mapping[str, Batch]
    labels: Batch


def build_profile(evaluation: Evaluation, contract: Contract | None) -> Profile:
    """The profile. Without a contract, in bundles of earlier versions, nothing is known of inputs but their tensors."""
    kinds: dict[str, InputKind] = {item.name: item.kind for item in contract.inputs} if contract else {}
    forms = {item.name: item for item in contract.outputs} if contract else {}
    inputs, missing = _describe_inputs(evaluation, kinds)
    outputs = []
    for number, (name, scores) in enumerate(evaluation.server.items()):
        if reason := _find_exclusion(number, scores):
            missing[name] = reason
        else:
            form = forms.get(name) or ContractOutput(name, (1, *scores.shape[1:]))
            outputs.append(_describe_output(form, scores, evaluation.labels.get(name)))
    everyone = {SERVER: evaluation.server, **evaluation.answers}
    return Profile(
        server_model=evaluation.server_model,
        artifacts=evaluation.artifacts,
        data=evaluation.data,
        samples=len(next(iter(evaluation.server.values()))),
        latency=latency_edges(),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        answers={
            whose: {
                item.name: _count_output(item, given[item.name], evaluation.labels)
                for item in outputs
                if item.name in given
            }
            for whose, given in everyone.items()
        },
        not_counted=missing,
    )


def _describe_inputs(
    evaluation: Evaluation, kinds: Mapping[str, InputKind]
) -> tuple[list[ProfileInput], dict[str, str]]:
    """The inputs with their edges and counts, and why there are none of others."""
    first = list(islice(evaluation.batches(), LIMIT_BATCHES))
    inputs, missing = [], {}
    for number, name in enumerate(first[0]):
        arrays = [batch[name] for batch in first]
        if reason := _find_exclusion(number, arrays[0]):
            missing[name] = reason
        else:
            inputs.append(_choose_descriptors(name, kinds.get(name, "tensor"), arrays))
    parts: dict[str, list[Array]] = {item.name: [] for item in inputs}
    for batch in evaluation.batches():
        for item in inputs:
            parts[item.name].append(describe_samples(batch[item.name], item))
    return [_with_counts(item, np.concatenate(parts[item.name])) for item in inputs], missing


def _find_exclusion(number: int, array: Array) -> str:
    """Why nothing is counted of the `number`-th tensor; empty where something is."""
    if number >= MOST_TENSORS:
        return MORE
    return (
        ""
        if array.dtype.kind in NUMBERS
        else f"{'texts' if array.dtype.kind in 'OSU' else array.dtype} are not counted"
    )


def _choose_descriptors(name: str, kind: InputKind, arrays: list[Array]) -> ProfileInput:
    """What is counted of a tensor of which some batches (n, ...) are `arrays`; the edges are not known yet."""
    shape = arrays[0].shape[1:]
    size = int(np.prod(shape))
    if kind == "table" or (kind != "text" and size <= MOST_COLUMNS):
        names = [f"column {number}" for number in range(min(size, MOST_COLUMNS))]
        return ProfileInput(name, kind, tuple(Descriptor(item, ()) for item in names), columns=True)
    finite = [array[np.isfinite(array)] for array in arrays]
    low = min((float(array.min()) for array in finite if array.size), default=0.0)
    high = max((float(array.max()) for array in finite if array.size), default=0.0)
    margin = LIMIT * (high - low)
    return ProfileInput(
        name,
        kind,
        tuple(Descriptor(item, ()) for item in NAMES),
        every=choose_every(size),
        stride=find_stride(shape),
        low=0.0 if kind == "text" else low + margin,  # of ids: how many words a text is short of the most
        high=high - margin,
    )


def _with_counts(item: ProfileInput, values: Array) -> ProfileInput:
    """An input with the edges and counts of its descriptors (n, d)."""
    few = not item.columns or len(item.descriptors) <= FEW_COLUMNS
    found = []
    for descriptor, column in zip(item.descriptors, values.T, strict=True):
        edges = quantile_edges(column, BINS if few else COLUMN_BINS)
        found.append(replace(descriptor, edges=edges, counts=count_values(column, edges)))
    return replace(item, descriptors=tuple(found))


def _describe_output(form: ContractOutput, scores: Array, labels: Array | None) -> ProfileOutput:
    """What is counted of an output of which the server model gave `scores` (N, ...)."""
    size = int(np.prod(scores.shape[1:]))
    one_answer = scores.ndim == 1 or (scores.ndim == 2 and size <= MOST_CLASSES)
    if one_answer and scores.dtype.kind == "f" and np.isfinite(scores).all():
        edges = {"confidence": CONFIDENCE, "margin": MARGIN, "entropy": ENTROPY}
        truth = true_classes(labels, size)
        if size == 1 and (
            form.activation == "sigmoid" or form.labels or (truth is not None and truth.max(initial=0) == 1)
        ):
            plain = within_0_and_1(scores)
            threshold = form.threshold if form.threshold is not None else 0.5 if plain else 0.0
            kind = "score" if plain else "logit"
            return ProfileOutput(form.name, classes=2, scores=kind, threshold=threshold, **edges)  # type: ignore[arg-type]
        plain = form.activation == "softmax" or are_probabilities(scores)
        if size > 1 and (plain or truth is not None or (form.labels and form.activation != "sigmoid")):
            kind = "probabilities" if plain or form.activation == "sigmoid" else "logits"
            return ProfileOutput(form.name, classes=size, scores=kind, **edges)  # type: ignore[arg-type]
    values = _choose_descriptors(form.name, "tensor", [scores])
    with_edges = _with_counts(values, describe_samples(scores, values))
    bare = tuple(replace(item, counts=()) for item in with_edges.descriptors)
    return ProfileOutput(form.name, values=replace(with_edges, descriptors=bare))


def true_classes(labels: Array | None, size: int) -> Array | None:
    """Labels as classes (n,), of numbers (n,) or rows of one 1 (n, size); None where they are none for every sample."""
    if labels is None:
        return None
    flat = labels.reshape(len(labels), -1)
    if size > 1 and flat.shape[1] == size and bool(np.isin(flat, (0, 1)).all() and (flat.sum(axis=1) == 1).all()):
        return np.asarray(flat.argmax(axis=1))
    if flat.shape[1] != 1 or flat.dtype.kind not in "iubf":
        return None
    if flat.dtype.kind == "f" and not (size == 1 and np.isin(flat, (0, 1)).all()):
        return None
    if flat.min(initial=0) < 0 or flat.max(initial=0) >= max(size, 2):
        return None
    return np.asarray(flat[:, 0].astype(np.int64))


def _count_output(how: ProfileOutput, scores: Array, labels: Batch) -> OutputCounts:
    """The counts of somebody's answers (N, ...)."""
    if how.values is None:
        finite = np.isfinite(scores.reshape(len(scores), -1)).all(axis=1)  # a client counts the others as errors
        truth = true_classes(labels.get(how.name), 1 if how.scores in ("score", "logit") else how.classes)
        return count_answers(scores[finite], how, None if truth is None else truth[finite])
    found = describe_samples(scores, how.values)
    columns = zip(how.values.descriptors, found.T, strict=True)
    return OutputCounts(values=tuple(count_values(column, item.edges) for item, column in columns))

"""What a generated client counts: the bins of the bundle's `profile.json`, at the tensors of one artifact.

With them goes a report that the client's self-test must make, too: what `edgeship.client` counts of the goldens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from edgeship import typed_json
from edgeship.bundle.bundle import MANIFEST
from edgeship.bundle.metric import DIGEST, Digest, Number
from edgeship.client.reports.counts import render_report
from edgeship.client.reports.inferences import InferenceCounter
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage import digest
from edgeship.types import to_json
from edgeship.untrusted import LONGEST, printable, read_json

FILE, KIND, SCHEMA = "profile.json", "edgeship-profile", 1
GOLDEN_REPORT = "report.json"
# The fields of that report that no bundle says; a runtime with what JSON escapes.
WINDOW, SEQUENCE, INSTALL = "2026-W48", 3, "5d0c" * 8
ARMS, RUNTIME, TIER = {"exp-7": "b"}, 'a "runtime" \\ 1', "mid"
FIRST_MILLISECONDS, UNTIMED_EVERY = 0.75, 3

Edges = Annotated[tuple[Number, ...], Meta(max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]


@dataclass(frozen=True)
class Bins:
    """The inner edges of a descriptor's bins."""

    edges: Edges


@dataclass(frozen=True)
class CountedTensor:
    """What is counted of a tensor, as in the profile. `place`: among the client's inputs or outputs; `size`: its numbers."""

    name: Name
    descriptors: Annotated[tuple[Bins, ...], Meta(max_length=24)]
    columns: bool = False
    every: Positive = 1
    stride: Positive = 1
    low: Number = 0.0
    high: Number = 0.0
    place: int = 0
    size: int = 0


@dataclass(frozen=True)
class CountedOutput:
    """What is counted of an output, as in the profile: of classes, or else of `values`."""

    name: Name
    classes: Annotated[int, Meta(ge=0, le=100_000)] = 0
    scores: Literal["probabilities", "logits", "score", "logit"] = "probabilities"
    threshold: Number = 0.5
    confidence: Edges = ()
    margin: Edges = ()
    entropy: Edges = ()
    values: CountedTensor | None = None
    place: int = 0
    size: int = 0


@dataclass(frozen=True)
class Counting:
    """The bins, and the digests that a report names: of the bundle's manifest, the artifact's content and the profile."""

    bundle: str
    artifact: str
    content: str
    profile: str
    latency: tuple[float, ...]
    inputs: tuple[CountedTensor, ...]
    outputs: tuple[CountedOutput, ...]

    @property
    def bins(self) -> Mapping[str, Any]:
        """What a counter takes of a `profile.json`, as its JSON value."""
        value = to_json(self)
        return {
            "latency": value["latency"],
            "inputs": [_without_place(item) for item in value["inputs"]],
            "outputs": [
                {**_without_place(item), "values": item["values"] and _without_place(item["values"])}
                for item in value["outputs"]
            ],
        }

    @property
    def identity(self) -> Mapping[str, Any]:
        """The fields of a report that say of what it is."""
        return {name: getattr(self, name) for name in ("bundle", "artifact", "content", "profile")}


@dataclass(frozen=True)
class _Profile:
    artifacts: Annotated[Mapping[str, Digest | None], Meta(max_length=200)]
    latency: Edges
    inputs: Annotated[tuple[CountedTensor, ...], Meta(max_length=16)]
    outputs: Annotated[tuple[CountedOutput, ...], Meta(max_length=16)]


def _without_place(tensor: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tensor.items() if name not in ("place", "size")}


def describe_counting(
    root: Path, artifact: str, inputs: Mapping[str, int], outputs: Mapping[str, int]
) -> Counting | str:
    """What a client of an artifact counts; a sentence where that is nothing, as the bundle has no profile of its tensors.

    `inputs` and `outputs`: how many numbers those of the client have, by name and in its order. Raises InputError for a broken
    profile.
    """
    path = root / FILE
    if not path.is_symlink() and not path.exists():
        return f"the bundle has no {FILE}, which edgeship ship writes where there is evaluation data"
    profile = _read_profile(path)
    content = profile.artifacts.get(artifact)
    if content is None:
        return f"{FILE} does not know the artifact's content"
    tensors: tuple[CountedTensor | CountedOutput, ...] = (*profile.inputs, *profile.outputs)
    for item in tensors:
        places = inputs if isinstance(item, CountedTensor) else outputs
        if item.name not in places:
            return f"{FILE} counts '{printable(item.name)}', which is none of the artifact's tensors"
        if reason := _find_misfit(item, places[item.name]):
            return f"{FILE}: {reason}"
    return Counting(
        bundle=digest.of_path(root / MANIFEST),
        artifact=artifact,
        content=content,
        profile=digest.of_path(path),
        latency=profile.latency,
        inputs=tuple(_with_place(item, inputs) for item in profile.inputs),
        outputs=tuple(_with_place(item, outputs) for item in profile.outputs),
    )


def _read_profile(path: Path) -> _Profile:
    content = read_json(path)
    if not isinstance(content, dict) or (content.get("kind"), content.get("schema")) != (KIND, SCHEMA):
        raise InputError(f"{printable(path)}: is no profile of schema {SCHEMA}; make the bundle again")
    try:
        profile = typed_json.convert(_Profile, content, names={DIGEST: "a digest in 64 digits"})
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}; make the bundle again") from error
    tensors = [*profile.inputs, *(item.values for item in profile.outputs if item.values)]
    scores = [edges for item in profile.outputs for edges in (item.confidence, item.margin, item.entropy)]
    for edges in (profile.latency, *scores, *(bins.edges for item in tensors for bins in item.descriptors)):
        if any(before >= after for before, after in pairwise(edges)):
            raise InputError(f"{printable(path)}: edges of bins must ascend; make the bundle again")
    return profile


def _find_misfit(item: CountedTensor | CountedOutput, size: int) -> str:
    """Why a tensor of that many numbers cannot be counted so; empty where it can."""
    form = item if isinstance(item, CountedTensor) else item.values
    if form is not None:
        wanted = len(form.descriptors) if form.columns else 1
        whole = form.columns or len(form.descriptors) == 5  # mean, deviation, low, high, step
        return "" if size >= wanted and whole else f"'{printable(item.name)}' is another tensor than the artifact's"
    classes = item.classes if isinstance(item, CountedOutput) else 0
    if classes < 2:
        return f"'{printable(item.name)}' has neither classes nor values"
    single = isinstance(item, CountedOutput) and item.scores in ("score", "logit")
    wanted = 1 if single else classes
    return "" if size == wanted else f"'{printable(item.name)}' has {wanted} scores, and the artifact's {size}"


def _with_place(item: Any, sizes: Mapping[str, int]) -> Any:
    from dataclasses import replace

    values = getattr(item, "values", None)
    placed = {"place": list(sizes).index(item.name), "size": sizes[item.name]}
    return replace(item, **placed, **({"values": replace(values, **placed)} if values else {}))


def count_goldens(counting: Counting, cases: Sequence[str], suffix: str, goldens: Mapping[str, bytes]) -> bytes:
    """The report that a client must make of its goldens, UTF-8; `suffix`: of the files of outputs.

    Counted are the tensors and the artifact's outputs of all cases: the k-th (from 0) with 0.75 (k + 1) milliseconds, but each
    third without; an outcome of each, `accepted` and `corrected` in turn. Then the first case again, once with NaN as the first
    number of each output, once of each input; an error `out_of_memory`, and a fallback.
    """
    counter = InferenceCounter(counting.bins)
    samples = [
        (
            {item.name: _read_floats(goldens[f"{case}.{item.name}.{suffix}"]) for item in counting.outputs},
            {item.name: _read_floats(goldens[f"{case}.{item.name}.tensor"]) for item in counting.inputs},
        )
        for case in cases
    ]
    for number, (outputs, inputs) in enumerate(samples):
        timed = number % UNTIMED_EVERY != UNTIMED_EVERY - 1
        predicted = counter.count(outputs, inputs, milliseconds=FIRST_MILLISECONDS * (number + 1) if timed else None)
        counter.outcome("corrected" if number % 2 else "accepted", predicted)
    outputs, inputs = samples[0]
    counter.count(_spoil(outputs), inputs)
    counter.count(outputs, _spoil(inputs))
    counter.error("out_of_memory")
    counter.fallback()
    identity = {**counting.identity, "arms": ARMS, "runtime": RUNTIME, "tier": TIER}
    report = render_report(WINDOW, SEQUENCE, INSTALL, identity, counter.take(), ascii_only=False)
    return f"{report}\n".encode()


def _read_floats(content: bytes) -> Any:
    import numpy as np

    return np.frombuffer(content, "<f4")


def _spoil(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tensors with NaN as their first number."""
    import numpy as np

    return {name: np.concatenate([np.array([np.nan], np.float32), values[1:]]) for name, values in tensors.items()}

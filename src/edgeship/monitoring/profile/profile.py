"""The types of a bundle's `profile.json`, and how it is read.

A profile never changes: its digest (the sha256 of its file) stands in each report, and bins mean nothing without their edges.
The bin of a value is the number of edges that are not above it. Histograms of descriptors have one bin more, the last, for NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from edgeship import typed_json, untrusted
from edgeship.bundle.metric import DIGEST, Digest, Number
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import InputKind
from edgeship.types import to_json

FILE, KIND, SCHEMA = "profile.json", "edgeship-profile", 1
MOST_CLASSES, MOST_EDGES, MOST_PAIRS = 100_000, 200, 400_000
SERVER = "server"  # whose answers stand beside those of artifacts

Edges = Annotated[tuple[Number, ...], Meta(max_length=MOST_EDGES)]
Counts = Annotated[tuple[Annotated[int, Meta(ge=0, le=2**31 - 1)], ...], Meta(max_length=MOST_EDGES + 2)]
Pairs = Annotated[tuple[Annotated[int, Meta(ge=0, le=2**31 - 1)], ...], Meta(max_length=2 * MOST_PAIRS)]
Name = Annotated[str, Meta(min_length=1, max_length=untrusted.LONGEST)]
Scores = Literal["probabilities", "logits", "score", "logit"]


@dataclass(frozen=True)
class Descriptor:
    """A number that is counted of each sample: what it is called, and the inner edges of its bins in ascending order.

    Of an input `mean`, `deviation`, `low`, `high` and `step` (`edgeship.monitoring.profile.descriptors`), or `column 3`; of an
    output likewise, or `value 3`. `counts`: of the evaluation data, empty for outputs, whose counts are by who answered.
    """

    name: Name
    edges: Edges
    counts: Counts = ()

    def __post_init__(self) -> None:
        _check_ascending(self.name, self.edges)


@dataclass(frozen=True)
class ProfileInput:
    """What is counted of an input's tensor, as the contract's steps give it, in float32, before any quantization.

    `columns`: a descriptor for each of the first numbers of a sample, in place of those of the whole. `every`: one number in so
    many of a flat sample is looked at. `stride`: how many numbers before each the one lies whose difference is a step: the number
    of channels. `low`, `high`: what is at most, at least that counts for the shares of the same names.
    """

    name: Name
    kind: InputKind
    descriptors: Annotated[tuple[Descriptor, ...], Meta(max_length=24)]
    columns: bool = False
    every: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1
    stride: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1
    low: Number = 0.0
    high: Number = 0.0


@dataclass(frozen=True)
class ProfileOutput:
    """What is counted of an output.

    Of `classes`: edges of confidence, margin and entropy of the probabilities that the `scores` are, or become by softmax. A
    single `score` or `logit` has 2 classes, of which the second is predicted from `threshold` on. Where there are no classes,
    `values`: descriptors as of an input.
    """

    name: Name
    classes: Annotated[int, Meta(ge=0, le=MOST_CLASSES)] = 0
    scores: Scores = "probabilities"
    threshold: Number = 0.5
    confidence: Edges = ()
    margin: Edges = ()
    entropy: Edges = ()
    values: ProfileInput | None = None

    def __post_init__(self) -> None:
        for name, edges in (("confidence", self.confidence), ("margin", self.margin), ("entropy", self.entropy)):
            _check_ascending(name, edges)
        if bool(self.classes) == (self.values is not None) or self.classes == 1:
            raise ValueError(f"{self.name}: an output has either at least 2 classes, or values")

    @property
    def cells(self) -> int:
        """How many cells the joint table of class and confidence has."""
        return self.classes * (len(self.confidence) + 1)


@dataclass(frozen=True)
class OutputCounts:
    """How the answers of the server model, or of an artifact, to the evaluation data fell into the bins of an output.

    `joint`: pairs of a cell and its count, as in a report; `right`: likewise, of samples whose label is the predicted
    class; `labelled`: whether there are labels of classes. `values`: a histogram for each descriptor.
    """

    joint: Pairs = ()
    margin: Counts = ()
    entropy: Counts = ()
    right: Pairs = ()
    labelled: bool = False
    values: Annotated[tuple[Counts, ...], Meta(max_length=24)] = ()


@dataclass(frozen=True)
class Profile:
    """What a client of a bundle counts, and what that was on so many samples of the evaluation data of that digest.

    `artifacts`: of the bundle, each with the digest of its content. `answers`: by whose they are (`server`, or an artifact's id)
    and output. `latency`: edges in milliseconds, each 10 % above the one before. `not_counted`: inputs and outputs that nothing
    is counted of, with the reason.
    """

    server_model: str
    artifacts: Annotated[Mapping[str, Digest | None], Meta(max_length=200)]
    data: Digest
    samples: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    latency: Edges
    inputs: Annotated[tuple[ProfileInput, ...], Meta(max_length=16)]
    outputs: Annotated[tuple[ProfileOutput, ...], Meta(max_length=16)]
    answers: Mapping[str, Mapping[str, OutputCounts]]
    not_counted: Mapping[str, str]
    schema: int = SCHEMA
    kind: str = KIND

    def __post_init__(self) -> None:
        _check_ascending("latency", self.latency)

    @property
    def first_classes(self) -> ProfileOutput | None:
        """The output whose classes switches and outcomes are about: the first that has some."""
        return next((item for item in self.outputs if item.classes), None)

    def output(self, name: str) -> ProfileOutput | None:
        """The output of that name."""
        return next((item for item in self.outputs if item.name == name), None)


def profile_json(profile: Profile) -> dict[str, Any]:
    """The profile as the JSON value that its file has."""
    content = to_json(profile)
    return {"kind": content.pop("kind"), "schema": content.pop("schema"), **content}


def parse_profile(content: Any) -> Profile:
    """A profile of the JSON value of a `profile.json`. Raises InputError, naming the place, where it is none."""
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise InputError(f"it is no profile of edgeship, which has the kind {KIND}")
    if content.get("schema") != SCHEMA or isinstance(content["schema"], bool):
        schema = untrusted.printable(repr(content.get("schema"))[:20])
        raise InputError(f"it is a profile of schema {schema}, and this edgeship reads {SCHEMA}")
    return typed_json.convert(Profile, content, names={DIGEST: "a digest in 64 digits"})


def read_profile(root: Path) -> Profile | None:
    """The profile of a bundle; None where it has none, as those of earlier versions. Raises InputError for a broken one."""
    path = root / FILE
    if not path.is_symlink() and not path.exists():
        return None
    content = untrusted.read_json(path)
    try:
        return parse_profile(content)
    except InputError as error:
        raise InputError(f"{untrusted.printable(path)}: {error}; make the bundle again") from error


def _check_ascending(name: str, edges: tuple[float, ...]) -> None:
    if any(before >= after for before, after in pairwise(edges)):
        raise ValueError(f"{untrusted.printable(name)[:40]}: edges of bins must ascend")

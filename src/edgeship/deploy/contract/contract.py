"""The contract of a bundle with an app, `contract.json`: its types, and how it is read, written and checked.

These types are the published schema (docs/apps/contract.schema.json). The file may be a stranger's: bounds stand in the types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgeship import typed_json, untrusted
from edgeship.bundle.metric import DIGEST, Digest, Number
from edgeship.deploy.contract.bounds import Index, Shape, Text, check_different, check_file_names, check_printable
from edgeship.deploy.contract.file import FILE, contract_text
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.names import class_counts
from edgeship.deploy.contract.steps import Side
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.types import drop_missing

SCHEMA, KIND = 1, "edgeship-contract"
FOLDER = "goldens/raw"
ARTIFACT = re.compile(r"[\w.-]+(/[\w.-]+)?")  # stands in generated code, in comments too
SLUG = r"^[a-z0-9][a-z0-9-]{0,63}$"
MOST_INPUTS, MOST_LABELS, MOST_CASES, MOST_ARTIFACTS = 64, 100_000, 1000, 200
ORIENTATIONS = range(1, 9)
NAMES = {DIGEST: "a digest in 64 digits", SLUG: "lower-case letters, digits and '-', at most 64 of them"}

Activation = Literal["softmax", "sigmoid", "none", "unknown"]


@dataclass(frozen=True)
class ContractOutput:
    """An output of the model for one sample: what was done to it last, what its classes are called, from where on it is a yes."""

    name: Text
    shape: Shape
    activation: Activation = "unknown"
    labels: Annotated[tuple[Text, ...], Meta(max_length=MOST_LABELS)] | None = None
    threshold: Number | None = None

    def __post_init__(self) -> None:
        check_file_names(self.name)
        check_printable(*(self.labels or ()))
        if self.labels is not None and len(self.labels) not in class_counts(self.shape):
            raise ValueError(f"{self.name}: {len(self.labels)} labels do not fit the shape {list(self.shape)}")


@dataclass(frozen=True)
class EdgeQuantization:
    """real = scale * (q - zero_point), of the whole tensor; `scale` is a float32."""

    scale: Annotated[float, Meta(gt=0, le=3.4e38)]
    zero_point: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


@dataclass(frozen=True)
class ArtifactInput:
    """Where an `input` of the contract goes in a file: a `tensor` of that name, the `index`-th of its inputs."""

    input: Text
    tensor: Text
    index: Index
    shape: Shape
    dtype: Text
    quantization: EdgeQuantization | None = None


@dataclass(frozen=True)
class ArtifactOutput:
    """Where an `output` of the contract comes from in a file.

    `tolerance`: how far a device may be off, absolute, after dequantization; None where the file was not run. `temperature`: what
    the logarithms of probabilities are divided by, before softmax, so that they are as sure as they are right.
    """

    output: Text
    tensor: Text
    index: Index
    shape: Shape
    dtype: Text
    quantization: EdgeQuantization | None = None
    tolerance: Annotated[float, Meta(gt=0, le=1e300)] | None = None
    temperature: Annotated[float, Meta(gt=0, le=1e6)] | None = None


@dataclass(frozen=True)
class ContractArtifact:
    """A file of the bundle that computes the model: its relative path, the digest of its content, its signature's name."""

    id: Text
    path: Text
    digest: Digest | None = None
    signature: Text | None = None
    inputs: Annotated[tuple[ArtifactInput, ...], Meta(max_length=MOST_INPUTS)] = ()
    outputs: Annotated[tuple[ArtifactOutput, ...], Meta(max_length=MOST_INPUTS)] = ()

    def __post_init__(self) -> None:
        check_file_names(self.id.replace("/", "-", 1))
        if not ARTIFACT.fullmatch(self.id):
            raise ValueError(f"{untrusted.printable(self.id)[:40]!r} is no name of an artifact, as tflite/int8")
        check_printable(self.signature or "")
        untrusted.place_within(Path(), self.path)
        tensors: tuple[ArtifactInput | ArtifactOutput, ...] = (*self.inputs, *self.outputs)
        for tensor in tensors:
            check_printable(tensor.tensor, tensor.dtype)
            untrusted.count_elements(tensor.shape, 4, self.id)

    @property
    def file_id(self) -> str:
        """The id as names of files have it."""
        return self.id.replace("/", "-")


@dataclass(frozen=True)
class RawSize:
    """The size of one raw golden: of a picture, with its EXIF orientation; of PCM, how many `frames`; of others the `shape`.

    That of a text is its bytes.
    """

    height: Side | None = None
    width: Side | None = None
    channels: Side | None = None
    orientation: Annotated[int, Meta(ge=ORIENTATIONS.start, lt=ORIENTATIONS.stop)] = 1
    frames: Index | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class GoldenCase:
    """One raw golden: its size by input, the label that the server model gives it.

    `clear`: the ids of the artifacts that give the same label on any right kernel.
    """

    name: Text
    input: Annotated[Mapping[str, RawSize], Meta(max_length=MOST_INPUTS)]
    label: Text | None = None
    clear: Annotated[tuple[Text, ...], Meta(max_length=MOST_ARTIFACTS)] = ()

    def __post_init__(self) -> None:
        check_file_names(self.name)
        check_printable(self.label or "", *self.clear)


@dataclass(frozen=True)
class RawGoldens:
    """The raw goldens: the folder they lie in. `reason`: why there are none, and what would give them."""

    samples: Index = 0
    folder: Literal["goldens/raw"] = "goldens/raw"
    cases: Annotated[tuple[GoldenCase, ...], Meta(max_length=MOST_CASES)] = ()
    reason: Text = ""

    def __post_init__(self) -> None:
        check_different("cases", (case.name for case in self.cases))
        if self.samples != len(self.cases):
            raise ValueError(f"it has {len(self.cases)} cases and says {self.samples}")
        if not self.cases and not self.reason:
            raise ValueError("without cases it needs a reason")


@dataclass(frozen=True)
class Contract:
    """All that an app must know of a bundle to feed its artifacts and to read their answers. `server_model` is its digest."""

    name: Annotated[str, Meta(pattern=SLUG)]
    server_model: Digest
    inputs: Annotated[tuple[ContractInput, ...], Meta(min_length=1, max_length=MOST_INPUTS)]
    outputs: Annotated[tuple[ContractOutput, ...], Meta(min_length=1, max_length=MOST_INPUTS)]
    artifacts: Annotated[tuple[ContractArtifact, ...], Meta(max_length=MOST_ARTIFACTS)]
    goldens: RawGoldens
    schema: Literal[1] = 1
    kind: Literal["edgeship-contract"] = "edgeship-contract"

    def __post_init__(self) -> None:
        inputs, outputs = ({item.name for item in side} for side in (self.inputs, self.outputs))
        for what, items in (("inputs", self.inputs), ("outputs", self.outputs)):
            check_different(what, (item.name for item in items))
        check_different("artifacts", (item.file_id for item in self.artifacts))
        check_different("paths", (item.path for item in self.artifacts))
        for artifact in self.artifacts:
            check_different(f"inputs of {artifact.id}", (item.input for item in artifact.inputs))
            check_different(f"outputs of {artifact.id}", (item.output for item in artifact.outputs))
            if {item.input for item in artifact.inputs} != inputs:
                raise ValueError(f"{artifact.id}: its inputs are not those of the contract")
            if not {item.output for item in artifact.outputs} <= outputs:
                raise ValueError(f"{artifact.id}: has an output that the contract does not have")
        for case in self.goldens.cases:
            if case.input.keys() != inputs:
                raise ValueError(f"case {case.name}: its inputs are not those of the contract")

    def input(self, name: str) -> ContractInput | None:
        """The input of that name."""
        return next((item for item in self.inputs if item.name == name), None)

    def artifact(self, name: str) -> ContractArtifact | None:
        """The artifact of that id."""
        return next((item for item in self.artifacts if item.id == name), None)


def parse_contract(content: Any) -> Contract:
    """A contract of the JSON value of a `contract.json`. Raises InputError, naming the place, where it is none."""
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise InputError(f"it is no contract of edgeship, which has the kind {KIND}")
    if content.get("schema") != SCHEMA or isinstance(content["schema"], bool):
        schema_text = untrusted.printable(repr(content.get("schema"))[:20])
        raise InputError(f"it is a contract of schema {schema_text}, and this edgeship reads {SCHEMA}")
    return typed_json.convert(Contract, content, names=NAMES)


def read_contract(root: Path) -> Contract | None:
    """The contract of a bundle; None where it has none, as those of earlier versions. Raises InputError for a broken one."""
    path = root / FILE
    if not path.is_symlink() and not path.exists():
        return None
    try:
        return parse_contract(untrusted.read_json(path))
    except InputError as error:
        place = untrusted.printable(path)
        text = str(error)
        raise InputError(text if text.startswith(place) else f"{place}: {text}; make the bundle again") from error


def contract_json(contract: Contract) -> str:
    """The contract as `contract.json` has it, without keys of nothing: the same text for the same contract."""
    content = msgspec.json.decode(msgspec.json.encode(contract))
    return contract_text(drop_missing({"schema": SCHEMA, "kind": KIND, **content}))


def contract_schema() -> dict[str, Any]:
    """The JSON schema of a contract, published as docs/apps/contract.schema.json."""
    schema = msgspec.json.schema(Contract)
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Contract of an edgeship bundle with an app",
        **schema,
    }
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))
    return content

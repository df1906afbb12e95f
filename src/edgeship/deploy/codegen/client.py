"""What the templates are filled with: one artifact of a bundle as a client sees it. Plain values, in the contract's order."""

from __future__ import annotations

import functools
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.deploy.codegen.counting import GOLDEN_REPORT, Counting, count_goldens, describe_counting
from edgeship.deploy.codegen.edges import ClientOutput, Edge, describe_edge, describe_output
from edgeship.deploy.codegen.learning import GoldenTensors, Learning, describe_learning
from edgeship.deploy.contract.bounds import Shape
from edgeship.deploy.contract.contract import (
    Contract,
    ContractArtifact,
    GoldenCase,
    read_contract,
)
from edgeship.deploy.contract.golden_files import read_raw, read_rows
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.steps import (
    Affine,
    FlattenAlpha,
    Grey,
    HashWords,
    Invert,
    Mono,
    Orient,
    Resize,
    SwapRedBlue,
)
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import Column as ContractColumn
from edgeship.untrusted import damage_as_input_error, place_within, printable

PREFERRED = "tflite/mobile"
TFLITE, TFJS = "tflite", "tfjs"
# Kotlin's (https://kotlinlang.org/docs/keyword-reference.html, hard): no part of a package's name.
KEYWORDS = frozenset({
    "as", "break", "class", "continue", "do", "else", "false", "for", "fun", "if", "in", "interface", "is", "null", "object",
    "package", "return", "super", "this", "throw", "true", "try", "typealias", "typeof", "val", "var", "when", "while",
})  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a table: a category with these values, `unknown` for any other (-1: refused), or without any a number.

    `missing`: of a number, what the empty text stands for.
    """

    values: tuple[str, ...]
    unknown: int
    missing: float | None = None


@dataclass(frozen=True)
class ClientInput:
    """An input with its steps; those that it does not have are what changes nothing.

    `flatten` and `border` are -1 for no opacity and for the rim's mean; `invert` is empty or a ground; `channels` those of an
    image's tensor, else of the raw data; `buckets`: how many ids the words of a text are hashed into.
    """

    name: str
    kind: str
    edge: Edge
    channels: int
    multiply: tuple[float, ...] = ()
    add: tuple[float, ...] = ()
    height: int = 0
    width: int = 0
    orient: bool = False
    flatten: int = -1
    grey: tuple[int, int, int] = (0, 0, 0)
    invert: str = ""
    resampler: str = "area"
    fit: str = "stretch"
    border: int = 0
    swap: bool = False
    mono: bool = False
    rate: int = 0
    columns: tuple[Column, ...] = ()
    buckets: int = 0


@dataclass(frozen=True)
class RawForm:
    """The form of a golden's raw data: that of a picture; 0 for other kinds."""

    height: int
    width: int
    channels: int
    orientation: int


@dataclass(frozen=True)
class Case:
    """A golden: the forms of its raw data by input, its label or an empty text, whether every right device gives that."""

    name: str
    raws: tuple[RawForm, ...]
    label: str
    clear: bool


@dataclass(frozen=True)
class Client:
    """A client of one artifact; `goldens`: what its files of goldens hold.

    `model` are the model's files by the name that they get, in the order in which `model_size` (bytes) and `checksum` (CRC-32)
    take them. `dynamic`: whether the model leaves the batch open. `counting`: what it counts; None where `not_counted` says why
    that is nothing. `learning`: the head that it teaches; None where the bundle has no `learning/`, or `not_learning` says why
    it cannot.
    """

    name: str
    bundle: str
    artifact: str
    format: str
    digest: str
    model: Mapping[str, Path]
    model_size: int
    checksum: int
    dynamic: bool
    inputs: tuple[ClientInput, ...]
    outputs: tuple[ClientOutput, ...]
    cases: tuple[Case, ...]
    goldens: Mapping[str, bytes]
    counting: Counting | None = None
    not_counted: str = ""
    learning: Learning | None = None
    not_learning: str = ""

    @property
    def golden_suffix(self) -> str:
        """What the files of the artifact's own outputs end in."""
        return self.artifact.replace("/", "-")

    @property
    def identifier(self) -> str:
        """The name in letters, digits and '_', not beginning with a digit, and no keyword of Kotlin."""
        name = self.name.replace("-", "_")
        return f"model_{name}" if name[0].isdigit() or name in KEYWORDS else name


def describe_client(bundle: Bundle, artifact: str | None = None, formats: Sequence[str] = (TFLITE,)) -> Client:
    """The client of an artifact of a bundle (default: `tflite/mobile`, else a recommended one, else the first).

    `formats`: those that its language runs, the usual one first. Raises InputError for a bundle without contract or raw goldens,
    and for a model that clients cannot feed.
    """
    root = bundle.root
    contract = read_contract(root)
    if contract is None:
        raise InputError(
            f"{printable(root)}: has no contract.json, as bundles of files that others made and of earlier versions; "
            "edgeship ship MODEL makes one that has"
        )
    chosen = _choose_artifact(bundle, contract, artifact, formats)
    if not contract.goldens.cases:
        raise InputError(f"{printable(root)}: has no raw goldens: {contract.goldens.reason}")
    model = _model_files(root, chosen)
    contents = [file.read_bytes() for file in model.values()]
    ids = {item.input: item for item in chosen.inputs}
    places = {item.output: item for item in chosen.outputs}
    client = Client(
        name=contract.name,
        bundle=contract.server_model,
        artifact=chosen.id,
        format=_format_of(chosen),
        digest=bundle.manifest.files.get(chosen.path) or chosen.digest or "",
        model=model,
        model_size=sum(map(len, contents)),
        checksum=functools.reduce(lambda checksum, content: zlib.crc32(content, checksum), contents, 0),
        dynamic=any(None in shape for shape in _shapes_of(chosen)),
        inputs=tuple(_describe_input(item, describe_edge(ids[item.name], chosen.id)) for item in contract.inputs),
        outputs=tuple(
            describe_output(item, places[item.name], chosen.id) for item in contract.outputs if item.name in places
        ),
        cases=tuple(_describe_case(case, contract, chosen.id) for case in contract.goldens.cases),
        goldens=dict(_golden_files(root, contract, chosen)),
    )
    return _with_learning(_with_counting(client, root), bundle)


def _with_counting(client: Client, root: Path) -> Client:
    """The client with what it counts, and with the report that it must make of its goldens."""
    inputs, outputs = ({item.name: item.edge.size for item in items} for items in (client.inputs, client.outputs))
    counting = describe_counting(root, client.artifact, inputs, outputs)
    if isinstance(counting, str):
        return replace(client, not_counted=counting)
    report = count_goldens(counting, [case.name for case in client.cases], client.golden_suffix, client.goldens)
    return replace(client, counting=counting, goldens={**client.goldens, GOLDEN_REPORT: report})


def _with_learning(client: Client, bundle: Bundle) -> Client:
    """The client with the head that it teaches, and what its self-test reads of it."""
    head = bundle.manifest.learning
    if head is None:
        return client
    if client.format != TFLITE:
        return replace(client, not_learning="its base is a .tflite, and the model runs in TF.js")
    cases = [case.name for case in client.cases]
    sizes = {item.name: item.edge.size for item in client.inputs}
    tensors = [{name: client.goldens[f"{case}.{name}.tensor"] for name in sizes} for case in cases]
    suffix = client.golden_suffix
    answers = [{item.name: client.goldens[f"{case}.{item.name}.{suffix}"] for item in client.outputs} for case in cases]
    learning = describe_learning(bundle.root, head, client.outputs, GoldenTensors(sizes, tensors), answers)
    if isinstance(learning, str):
        return replace(client, not_learning=learning)
    return replace(client, learning=learning, goldens={**client.goldens, **learning.goldens})


def _shapes_of(artifact: ContractArtifact) -> list[Shape]:
    return [item.shape for item in artifact.inputs] + [item.shape for item in artifact.outputs]


def _format_of(artifact: ContractArtifact) -> str:
    return TFLITE if artifact.path.endswith(f".{TFLITE}") else artifact.id.partition("/")[0]


def _model_files(root: Path, artifact: ContractArtifact) -> Mapping[str, Path]:
    """The file of a `.tflite`; those of a TF.js model, its topology first. Raises InputError for one that is damaged."""
    path = place_within(root, artifact.path)
    if _format_of(artifact) == TFLITE:
        return {"model.tflite": path}
    with damage_as_input_error(path):
        groups = json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]
        shards = [str(shard) for group in groups for shard in group["paths"]]
    return {f"model/{name}": place_within(path.parent, name) for name in (path.name, *shards)}


def _choose_artifact(bundle: Bundle, contract: Contract, name: str | None, formats: Sequence[str]) -> ContractArtifact:
    usual, known = formats[0], " or ".join(formats)
    usable = [item for item in contract.artifacts if _format_of(item) in formats]
    if not usable:
        raise InputError(
            f"{printable(bundle.root)}: has no {known}, which these clients run; ship it with: --to {usual}"
        )
    ids = [item.id for item in usable]
    if name is not None and name not in ids:
        if any(item.id == name and item.bridge for item in bundle.manifest.artifacts):
            raise InputError(
                f"{name}: takes three channels for one, for readers of its metadata; clients take a variant with mobile = true"
            )
        if any(item.id == name for item in contract.artifacts):
            raise InputError(f"{name}: clients of this language run {known}; choose another of {', '.join(ids)}")
        raise unknown_name_error("artifact", name, ids, printable(bundle.root))
    gate = bundle.manifest.gate
    recommended = [item.artifact for item in gate.recommended] if gate else []
    wanted = [name] if name else [PREFERRED, *recommended, *ids]
    ordered = [item for choice in wanted for item in usable if item.id == choice]
    ordered.sort(key=lambda item: formats.index(_format_of(item)))
    chosen = next((item for item in ordered if not _find_misfit(contract, item)), ordered[0])
    if misfit := _find_misfit(contract, chosen):
        raise InputError(f"{chosen.id}: {misfit}; choose another of {', '.join(ids)} with --artifact")
    return chosen


def _find_misfit(contract: Contract, artifact: ContractArtifact) -> str:
    """What the file takes in another size than the contract's tensor, as a grey model with three channels for MediaPipe."""
    for item in contract.inputs:
        place = next(tensor for tensor in artifact.inputs if tensor.input == item.name)
        if math.prod(axis or 1 for axis in place.shape) != math.prod(axis or 1 for axis in item.tensor.shape):
            return (
                f"takes '{item.name}' as {_show_shape(place.shape)}, and the tensor is {_show_shape(item.tensor.shape)}"
            )
    return ""


def _show_shape(shape: Sequence[int | None]) -> str:
    return " x ".join("?" if axis is None else str(axis) for axis in shape)


def _describe_input(item: ContractInput, edge: Edge) -> ClientInput:
    affine, hashing = item.step(Affine), item.step(HashWords)
    described = ClientInput(
        item.name,
        item.kind,
        edge,
        channels=item.raw.channels or (1 if item.kind == "tensor" else edge.shape[-1]),
        multiply=affine.multiply if affine else (),
        add=affine.add if affine else (),
        rate=round(item.raw.rate or 0) if item.kind == "audio" else 0,
        mono=item.step(Mono) is not None,
        columns=tuple(_describe_column(column) for column in item.raw.columns),
        buckets=hashing.buckets if hashing else 0,
    )
    return _with_picture(described, item) if item.kind == "image" else described


def _describe_column(column: ContractColumn) -> Column:
    return Column(column.values, -1 if column.unknown is None else column.unknown, column.missing)


def _with_picture(described: ClientInput, item: ContractInput) -> ClientInput:
    resize, flatten, grey, invert = item.step(Resize), item.step(FlattenAlpha), item.step(Grey), item.step(Invert)
    assert resize is not None  # noqa: S101  # the contract's own check
    return replace(
        described,
        channels=1 if grey else 3,
        height=resize.height,
        width=resize.width,
        orient=item.step(Orient) is not None,
        flatten=flatten.ground if flatten else -1,
        grey=grey.weights if grey else (0, 0, 0),
        invert=invert.ground if invert else "",
        resampler=resize.resampler,
        fit=resize.fit,
        border=-1 if resize.border == "rim" else resize.border,
        swap=item.step(SwapRedBlue) is not None,
    )


def _describe_case(case: GoldenCase, contract: Contract, artifact: str) -> Case:
    sizes = [case.input[item.name] for item in contract.inputs]
    raws = [RawForm(size.height or 0, size.width or 0, size.channels or 0, size.orientation) for size in sizes]
    return Case(case.name, tuple(raws), case.label or "", artifact in case.clear)


def _golden_files(root: Path, contract: Contract, artifact: ContractArtifact) -> Iterator[tuple[str, bytes]]:
    """The raw goldens that a client of the artifact reads, a file for each case. Raises InputError where one is missing."""
    cases = contract.goldens.cases
    for item in contract.inputs:
        tensors = read_rows(root, f"{item.name}.tensor", item.tensor.shape, len(cases))
        for case, raw, tensor in zip(cases, read_raw(root, item, cases), tensors, strict=True):
            yield f"{case.name}.{item.name}.raw", raw
            yield f"{case.name}.{item.name}.tensor", tensor
    shapes = {item.name: item.shape for item in contract.outputs}
    for output in artifact.outputs:
        name = f"{output.output}.{artifact.file_id}"
        for case, row in zip(cases, read_rows(root, name, shapes[output.output], len(cases)), strict=True):
            yield f"{case.name}.{name}", row

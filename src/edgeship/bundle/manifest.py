"""A bundle's manifest: what lies in it, how it was made, what was measured and decided.

These types are the published schema (docs/manifest.schema.json). Keys that are not here may stand in a file too: later
versions of edgeship write some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgeship import typed_json
from edgeship.bundle.figures.comparisons import (
    ConstantAnswer,
    FormatParity,
    LayerSensitivity,
    ServerAccuracy,
    TwinComparison,
)
from edgeship.bundle.figures.device_figures import ParityMatrix
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.goldens import KernelSpread
from edgeship.bundle.head_learning import HeadLearning
from edgeship.bundle.metric import DIGEST, Count, Digest, Number
from edgeship.bundle.receipt import Receipt
from edgeship.bundle.verdict import ArtifactReason, FailedArtifact, GateResult
from edgeship.errors import InputError
from edgeship.formats.formats import FORMATS
from edgeship.light_dataclass import dataclass
from edgeship.types import Artifact, Bridge, Step, TensorSpec
from edgeship.untrusted import LONGEST, printable

SCHEMA = 2
SIZES = {"int": (8, 16, 32, 64), "uint": (8, 16, 32, 64), "float": (16, 32, 64), "complex": (64, 128)}
DTYPES = ("bool", *(f"{kind}{bits}" for kind, sizes in SIZES.items() for bits in sizes))  # numpy's, of numbers
MEASUREMENTS, CHECKS = 5000, 20_000  # in a bundle: a table looks for the checks of each measurement
VARIANT = r"^[\w.-]+$"
NAMES = {DIGEST: "a digest in 64 digits", VARIANT: "letters, digits, '.', '_' and '-'"}
Json = Mapping[str, Any]  # of unknown form


@dataclass(frozen=True)
class Temperature:
    """The temperature that repairs the confidence of one output, or the `reason` for none.

    Fitted on so many `samples` of the `data` (their digest); calibration errors are on the evaluation data.
    """

    value: Number | None
    reason: str
    samples: Count | None = None
    data: str = ""
    ece: Number | None = None
    ece_repaired: Number | None = None


@dataclass(frozen=True)
class ForeignFile:
    """What is known of an artifact that somebody else made: its file's name, what was noticed of it, how it is bridged."""

    file: str
    notes: tuple[str, ...] = ()
    bridge: Bridge | None = None


@dataclass(frozen=True)
class ArtifactEntry:
    """An artifact of the bundle: `path` is relative, `digest` the conversion's, `content` that of what it wrote there.

    All but `temperature` and `doubt` is written once, by the conversion. `doubt`: why what lies there may be something else, as
    was found before it was measured again; figures of what lies there do not lift it. `foreign`: edgeship did not make it, so
    that nothing is known of its origin. `bridge`: of one that edgeship made with other tensors than the server model's.
    """

    id: str
    path: str
    format: str
    variant: Annotated[str, Meta(pattern=VARIANT)]
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    steps: tuple[Step, ...] = ()
    digest: str = ""
    content: Digest | None = None
    receipt: Receipt | None = None
    temperature: Mapping[str, Temperature] | None = None
    doubt: str = ""
    foreign: ForeignFile | None = None
    bridge: Bridge | None = None

    def __post_init__(self) -> None:
        _check_names(self.id, self.path, self.variant)
        _check_specs((*self.inputs, *self.outputs))
        if self.format not in FORMATS:
            raise ValueError(f"format {self.format!r} is none of {', '.join(FORMATS)}")

    def within(self, root: Path) -> Artifact:
        """The artifact with its path under a bundle's folder."""
        bridge = self.foreign.bridge if self.foreign else self.bridge
        return Artifact(root / self.path, self.format, self.variant, self.inputs, self.outputs, self.steps, bridge)


@dataclass(frozen=True)
class ServerModelEntry:
    """The server model: its relative path and digest, how it is loaded, and what loading it told.

    `source`: where the file or folder lay that it was copied from, seen from the bundle's folder.
    """

    path: str
    digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: Count | None = None
    loader: str = ""
    notes: tuple[str, ...] = ()
    loading: Json = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        _check_names(self.path)
        _check_specs((*self.inputs, *self.outputs))


@dataclass(frozen=True)
class DataEntry:
    """Data that was used: its file's name, digest, and number of samples, of which at most `limit` were taken."""

    source: str
    digest: str
    samples: Count
    limit: int | None = None


@dataclass(frozen=True)
class GoldenRun:
    """What an artifact gave on the goldens; without a `runtime` it was not run, for `reason`.

    `tolerance`: the largest absolute error that a replay may have, by output, in the output's unit after dequantization.
    `clear`: by output the samples whose answer must be the same on any right kernel. `kernels`: what was replayed.
    `verify` judges the first two: they may be anything in a stranger's bundle.
    """

    runtime: str | None
    reason: str = ""
    tolerance: Json | None = None
    clear: Json | None = None
    kernels: tuple[KernelSpread, ...] = ()


@dataclass(frozen=True)
class GoldenSet:
    """The goldens: so many samples of which source, answered by the server model of that digest, and each artifact's run."""

    samples: Count = 0
    source: str = ""
    server: str = ""
    artifacts: Mapping[str, GoldenRun] = field(default_factory=dict)


@dataclass(frozen=True)
class PageSamples:
    """Samples that a page's part of a bundle brings beside the goldens: their file, where they are from, how many."""

    path: str
    source: str
    count: Count


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says of itself. `files` has the digest of every other file, by relative name.

    `created` is ISO 8601. `config` is the configuration as `edgeship.settings.config` stores it; relative paths in it start in
    `folder`, seen from the bundle's own, or in the working folder where that is not told. `preprocessing` is what is known of
    inputs that are pictures, by name. What is `skipped` has no meaning in its format; `failures` were asked for and failed.
    A page's part of a bundle has no configuration and may have no server model; it has the digest of the bundle that it is from
    (`source`), and `samples` perhaps. `learning`: how a device teaches the model's last layer, of a bundle made with head_step.
    """

    files: Mapping[str, Digest]
    artifacts: tuple[ArtifactEntry, ...]
    measurements: tuple[Measurement, ...]
    schema: Count = SCHEMA
    created: str = ""
    edgeship: str = ""
    labels: tuple[str, ...] | None = None
    server_model: ServerModelEntry | None = None
    config: Json | None = None
    data: Mapping[str, DataEntry | None] = field(default_factory=dict)
    skipped: tuple[ArtifactReason, ...] = ()
    tools: Json = field(default_factory=dict)
    machine: Json = field(default_factory=dict)
    gate: GateResult | None = None
    goldens: GoldenSet | None = None
    preprocessing: Json = field(default_factory=dict)
    matrix: ParityMatrix = field(default_factory=ParityMatrix)
    between_formats: tuple[FormatParity, ...] = ()
    server_measurement: ServerAccuracy | None = None
    constant_answers: Mapping[str, ConstantAnswer] = field(default_factory=dict)
    debug: Mapping[str, LayerSensitivity] = field(default_factory=dict)
    folder: str | None = None
    twins: Mapping[str, TwinComparison] = field(default_factory=dict)
    source: str | None = None
    samples: PageSamples | None = None
    failures: tuple[FailedArtifact, ...] = ()
    learning: HeadLearning | None = None

    def __post_init__(self) -> None:
        checks = self.gate.checks if self.gate else ()
        for name, count, most in (
            ("measurements", len(self.measurements), MEASUREMENTS),
            ("checks", len(checks), CHECKS),
            ("failures", len(self.failures), MEASUREMENTS),
        ):
            if count > most:
                raise InputError(f"it has {count:,} {name}, at most {most:,} are taken")
        names: set[str] = set()
        for item in self.artifacts:
            if item.id != f"{item.format}/{item.variant}":
                raise InputError(f"the artifact {item.id} is called other than its format and variant")
            for name in (item.id, item.path):
                if name in names:
                    raise InputError(f"two artifacts have the name or path {name}")
                names.add(name)
        if len({item.foreign is None for item in self.artifacts}) > 1:  # none is passed off as one of unknown origin
            raise InputError("some of its artifacts are of unknown origin and some are not")

    @property
    def server(self) -> ServerModelEntry:
        """The server model. Raises InputError where this is a page's part of a bundle, which has none."""
        if self.server_model is None:
            raise InputError("server_model is missing")
        return self.server_model

    def artifact(self, name: str) -> ArtifactEntry | None:
        """The artifact of that id."""
        return next((item for item in self.artifacts if item.id == name), None)

    def measurements_of(self, artifact: str) -> tuple[Measurement, ...]:
        """What was measured of an artifact."""
        return tuple(item for item in self.measurements if item.artifact == artifact)


def parse_manifest(content: Any, *, part: bool = False) -> Manifest:
    """A manifest of the JSON that a bundle has (of schema 2; see `schema_1` for older ones).

    `part`: of a page's part of a bundle, without server model and configuration. Raises InputError, naming the place.
    """
    manifest = typed_json.convert(Manifest, content, names=NAMES)
    for name in () if part else ("config", "server_model"):
        if getattr(manifest, name) is None:
            raise InputError(f"{name} is missing")
    return manifest


def manifest_schema() -> dict[str, Any]:
    """The JSON schema of a manifest as it is written, published as docs/manifest.schema.json."""
    schema = msgspec.json.schema(Manifest)
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manifest of an edgeship bundle",
        **schema,
    }
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))
    return content


def _check_names(*names: str) -> None:
    for name in names:
        if not 0 < len(name) <= LONGEST or printable(name) != name:
            raise ValueError(f"{printable(name)[:40]!r} is not a printable name of at most {LONGEST:,} characters")


def _check_specs(specs: tuple[TensorSpec, ...]) -> None:
    for spec in specs:
        _check_names(spec.name)
        if spec.dtype not in DTYPES:
            raise ValueError(f"{spec.name}: dtype {printable(spec.dtype)[:20]!r} is none of {', '.join(DTYPES)}")

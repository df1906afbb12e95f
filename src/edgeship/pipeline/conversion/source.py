"""What a conversion starts from, and the values that flow out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Self

from edgeship.bundle.receipt import Receipt
from edgeship.bundle.verdict import FailedArtifact
from edgeship.light_dataclass import dataclass
from edgeship.server_model.custom_objects import custom_digest
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.storage.cache import Entry
from edgeship.types import Artifact, Bridge, Step, TensorSpec

TRAINED = "trained.keras"  # what a model that was trained further is called


@dataclass(frozen=True)
class StepOutput:
    """What a step of a conversion left in the cache, how it came to be, and the bridge of an artifact that needs one."""

    entry: Entry
    steps: tuple[Step, ...]
    bridge: Bridge | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ExportOutput(StepOutput):
    """What an export left, and what it told of the model."""

    description: ServerModelDescription


@dataclass(frozen=True)
class ExportedServerModel:
    """The server model as loading and exporting it showed it; `digest` is that of its file or folder."""

    path: Path
    digest: str
    description: ServerModelDescription

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Its inputs in canonical order."""
        return self.description.inputs


@dataclass(frozen=True)
class ModelSource:
    """The server model's file or folder as it was first looked at: `digest` of it, how it is `loading`, and its own layers'."""

    path: Path
    digest: str
    loading: Mapping[str, Any]
    custom: str | None

    @classmethod
    def read(cls, path: Path, config: Config) -> Self:
        """The model at a path, digested now."""
        loading = asdict(config.model)
        return cls(path, digest.of_path(path), loading, custom_digest(config.model.custom_objects))

    def exported(self, output: ExportOutput) -> ExportedServerModel:
        """The model as its export showed it."""
        return ExportedServerModel(self.path, self.digest, output.description)


@dataclass(frozen=True)
class TrainedModel:
    """A float model that was trained further: its file, the digest of it, and the steps to it."""

    path: Path
    digest: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ConvertedArtifact:
    """An artifact in the cache, with its receipt and the digest of its files."""

    artifact: Artifact
    receipt: Receipt
    digest: str


@dataclass(frozen=True)
class ConversionResult:
    """What came of a conversion: the server model, the artifacts, the export's folder (SavedModel and probe), what failed."""

    server: ExportedServerModel
    artifacts: tuple[ConvertedArtifact, ...]
    export: Path
    failures: tuple[FailedArtifact, ...] = ()

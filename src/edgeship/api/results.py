"""What the API's functions return, where it is not a `Bundle`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.light_dataclass import dataclass

if TYPE_CHECKING:
    from edgeship.deploy.contract.check import ContractCheck
    from edgeship.deploy.signing.claims import SignatureCheck
    from edgeship.optimize.receipt import OptimizeReceipt
    from edgeship.pipeline.verify import Replay
    from edgeship.train.card import ModelCard
    from edgeship.train.own_data.card import OwnDataCard


@dataclass(frozen=True)
class TrainedModel:
    """A built-in task's server model: `path` is its file, `card` the model card that lies beside it as JSON."""

    path: Path
    card: ModelCard


@dataclass(frozen=True)
class OwnDataModel:
    """A model of one's own data: its file, the card that lies beside it as JSON, and how good it is, in a sentence."""

    path: Path
    card: OwnDataCard
    quality: str

    @property
    def worse_than(self) -> tuple[str, ...]:
        """The baselines that it does not beat."""
        return self.card.worse_than


@dataclass(frozen=True)
class OptimizedModel:
    """A model that was trained further: its file, its receipt (which lies beside it as JSON), and a few lines on it."""

    path: Path
    receipt: OptimizeReceipt
    summary: tuple[str, ...]


@dataclass(frozen=True)
class InitializedConfig:
    """A configuration that was written: its file, and the keys of its [data] that are still to be named."""

    path: Path
    missing_data: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """Goldens replayed, contract and signature checked: `failure` says why something is no match, empty where all is one."""

    replays: tuple[Replay, ...]
    failure: str
    contract: ContractCheck | None = None
    signature: SignatureCheck | None = None

    @property
    def passed(self) -> bool:
        """Whether all that had to match did."""
        return not self.failure


@dataclass(frozen=True)
class RuntimeStatus:
    """A runtime: its version where it is here, else the reason and how it is installed."""

    name: str
    title: str
    formats: tuple[str, ...]
    available: bool
    version: str | None
    reason: str
    install: str


@dataclass(frozen=True)
class DeviceStatus:
    """A device: what it can take figures of, and its runtimes' versions; `available` is None where nothing is installed."""

    name: str
    title: str
    kind: str
    figures: tuple[str, ...]
    runtimes: Mapping[str, str | None]
    available: bool | None
    reason: str
    install: str

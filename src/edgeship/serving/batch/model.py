"""The artifact of a bundle that predicts, and what its contract says of it."""

from __future__ import annotations

import math

from edgeship.bundle.bundle import MANIFEST, Bundle
from edgeship.deploy.contract.contract import Contract, ContractArtifact, read_contract
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.storage import digest
from edgeship.types import Artifact
from edgeship.untrusted import printable

CHUNK_ROWS, CHUNK_BYTES = 8192, 32 << 20  # of a chunk at most, unless it is told
TARGETS = ("servers and desktops", "apps")  # of recommendations, the best for this purpose first


@dataclass(frozen=True)
class BatchModel:
    """An artifact: its part of the contract, the runtime that runs it, and the digest of its bundle's manifest."""

    contract: Contract
    entry: ContractArtifact
    artifact: Artifact
    bundle: str
    runtime: str

    @property
    def default_version(self) -> str:
        """What its predictions are kept under: 16 digits of the bundle's digest, and the artifact."""
        return f"{self.bundle[:16]}:{self.entry.id}"

    @property
    def default_rows(self) -> int:
        """Rows of a chunk, so that its inputs take no more than `CHUNK_BYTES`."""
        sizes = (math.prod(size or 1 for size in item.tensor.shape[1:]) for item in self.contract.inputs)
        return max(1, min(CHUNK_ROWS, CHUNK_BYTES // (4 * sum(sizes))))


def find_model(bundle: Bundle, name: str | None) -> BatchModel:
    """The artifact of that id, by default a recommended one, or the first of a bundle that was never judged.

    Raises InputError where there is none of that id, the bundle has no contract, or nothing in it passed the gate;
    MissingDependencyError without its runtime.
    """
    place = printable(bundle.root)
    contract = read_contract(bundle.root)
    if contract is None or not contract.artifacts:
        raise InputError(f"{place}: has no contract, which says how columns become inputs; make the bundle again")
    artifacts = {item.id: item for item in bundle.artifacts}
    ids = [item.id for item in contract.artifacts if item.id in artifacts]
    gate = bundle.manifest.gate
    recommended = {item.target: item.artifact for item in gate.recommended} if gate else {}
    if gate and not name and not recommended:
        raise InputError(
            f"{place}: recommends no artifact (its gate says {gate.verdict}); name one by --artifact: {', '.join(ids)}"
        )
    wanted = [name] if name else [*(recommended.get(target, "") for target in TARGETS), *ids]
    chosen = next((item for item in wanted if item in ids), None)
    if chosen is None:
        raise unknown_name_error("artifact", name or "", ids or ["none"], place)
    artifact, entry = artifacts[chosen], contract.artifact(chosen)
    if entry is None:
        raise InputError(f"{place}: its contract does not say how {chosen} is fed")
    runtime = registry.for_format(artifact.format)[0]
    runtime.launch()  # says now what is missing
    return BatchModel(contract, entry, artifact, digest.of_path(bundle.root / MANIFEST), runtime.name)

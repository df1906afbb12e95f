"""Whether a bundle keeps its contract: it speaks of these artifacts, and its raw goldens give their tensors to the byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.deploy.contract.build import describe_artifact
from edgeship.deploy.contract.contract import Contract, GoldenCase, read_contract
from edgeship.deploy.contract.golden_files import decode_raw, float_bytes, read_raw, read_rows
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.names import SERVER
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

SHOWN = 20  # problems


@dataclass(frozen=True)
class ContractCheck:
    """What was found of a bundle's contract: so many raw goldens, and what is wrong, in sentences; no `contract`: it has none."""

    contract: bool
    cases: int = 0
    problems: tuple[str, ...] = ()


def check_contract(bundle: Bundle) -> ContractCheck:
    """Check the contract of an opened bundle; files of foreign artifacts and earlier versions have none.

    Raises InputError where the contract cannot be read.
    """
    contract = read_contract(bundle.root)
    if contract is None:
        return ContractCheck(contract=False)
    problems = [*_compare_manifest(bundle, contract), *_check_cases(bundle.root, contract)]
    if len(problems) > SHOWN:
        problems = [*problems[:SHOWN], f"and {len(problems) - SHOWN:,} more"]
    return ContractCheck(contract=True, cases=len(contract.goldens.cases), problems=tuple(problems))


def _compare_manifest(bundle: Bundle, contract: Contract) -> Iterator[str]:
    manifest = bundle.manifest
    if contract.server_model != manifest.server.digest:
        yield "the contract is of another server model"
    for side, items, specs in (
        ("input", contract.inputs, manifest.server.inputs),
        ("output", contract.outputs, manifest.server.outputs),
    ):
        if [item.name for item in items] != [spec.name for spec in specs]:
            yield f"the contract's {side}s are not those of the server model"
    runs = manifest.goldens.artifacts if manifest.goldens else {}
    described = {
        item.id: describe_artifact(item, runs.get(item.id)) for item in manifest.artifacts if item.bridge is None
    }
    for name in described.keys() | {item.id for item in contract.artifacts}:
        if described.get(name) != contract.artifact(name):
            yield f"what the contract says of {printable(name)} is not what the manifest says"
    for output in contract.outputs:
        if output.labels is not None and output.labels != manifest.labels:
            yield f"the contract's labels of '{output.name}' are not those of the manifest"


def _check_cases(root: Path, contract: Contract) -> Iterator[str]:
    if not contract.goldens.cases:
        return
    for item in contract.inputs:
        try:
            yield from _check_tensors(root, item, contract.goldens.cases)
        except InputError as error:
            yield str(error)
    yield from _check_outputs(root, contract)


def _check_tensors(root: Path, item: ContractInput, cases: Sequence[GoldenCase]) -> Iterator[str]:
    """The raw goldens that do not give their tensors. What is not on disk is not asked for in memory."""
    tensors = read_rows(root, f"{item.name}.tensor", item.tensor.shape, len(cases))
    for case, raw, tensor in zip(cases, read_raw(root, item, cases), tensors, strict=True):
        sample = decode_raw(raw, item, case.input[item.name])
        if float_bytes(preprocess_input(item, sample.value, sample.orientation)) != tensor:
            yield f"raw golden '{case.name}' does not give the tensor of '{item.name}'"


def _check_outputs(root: Path, contract: Contract) -> Iterator[str]:
    """What is missing of the outputs, or has another size; an artifact that was not run has none."""
    sources = {SERVER: {item.name for item in contract.outputs}}
    for artifact in contract.artifacts:
        sources[artifact.file_id] = {item.output for item in artifact.outputs if item.tolerance is not None}
    for source, names in sources.items():
        for output in contract.outputs:
            if output.name in names:
                try:
                    read_rows(root, f"{output.name}.{source}", output.shape, len(contract.goldens.cases))
                except InputError as error:
                    yield str(error)

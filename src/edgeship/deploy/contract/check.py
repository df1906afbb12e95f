"""Whether a bundle keeps its contract: it speaks of these artifacts, and its raw goldens give their tensors to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.deploy.contract.build import describe_artifact
from edgeship.deploy.contract.contract import Contract, GoldenCase, read_contract
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.names import SERVER
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.deploy.contract.raw_goldens import FOLDER, float_bytes, read_raw
from edgeship.errors import InputError
from edgeship.untrusted import place_within, printable, regular_file

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
    for case in contract.goldens.cases:
        for item in contract.inputs:
            try:
                if problem := _check_tensor(root, item, case):
                    yield problem
            except InputError as error:
                yield str(error)
        yield from _check_outputs(root, contract, case)


def _check_tensor(root: Path, item: ContractInput, case: GoldenCase) -> str:
    """Why a raw golden does not give its tensor; empty where it does. What is not on disk is not asked for in memory."""
    path = regular_file(place_within(root, (FOLDER / f"{case.name}.{item.name}.tensor").as_posix()))
    size, shape = path.stat().st_size, item.tensor.shape
    if size < 4 * prod(axis or 1 for axis in shape) or (None not in shape and size != 4 * prod(map(int, shape))):  # type: ignore[arg-type]
        return f"raw golden '{case.name}': the tensor of '{item.name}' does not have the contract's shape"
    sample = read_raw(root, item, case)
    if float_bytes(preprocess_input(item, sample.value, sample.orientation)) == path.read_bytes():
        return ""
    return f"raw golden '{case.name}' does not give the tensor of '{item.name}'"


def _check_outputs(root: Path, contract: Contract, case: GoldenCase) -> Iterator[str]:
    """What is missing of a case's outputs, or has another size; an artifact that was not run has none."""
    sources = {SERVER: {item.name for item in contract.outputs}}
    for artifact in contract.artifacts:
        sources[artifact.file_id] = {item.output for item in artifact.outputs if item.tolerance is not None}
    for source, names in sources.items():
        for output in contract.outputs:
            if output.name not in names:
                continue
            name = f"{case.name}.{output.name}.{source}"
            path = place_within(root, (FOLDER / name).as_posix())
            if not path.is_file():
                yield f"raw golden '{case.name}': {name} is missing"
            elif None not in output.shape and path.stat().st_size != 4 * prod(map(int, output.shape)):  # type: ignore[arg-type]
                yield f"raw golden '{case.name}': {name} does not have the output's shape"

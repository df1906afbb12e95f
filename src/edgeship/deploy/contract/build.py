"""The contract of a bundle, of its manifest, its goldens and what the server model is."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from edgeship.bundle.manifest import ArtifactEntry, GoldenRun, Manifest
from edgeship.data import Array, Batch
from edgeship.deploy.contract.contract import (
    ArtifactInput,
    ArtifactOutput,
    Contract,
    ContractArtifact,
    ContractOutput,
    EdgeQuantization,
    GoldenCase,
    RawGoldens,
)
from edgeship.deploy.contract.file import fitted_temperatures
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.names import class_counts
from edgeship.settings.outputs import OutputForm
from edgeship.types import Quantization, TensorSpec

SUM_ERROR = 1e-3  # of a softmax's outputs in float32


def describe_outputs(
    specs: Sequence[TensorSpec],
    activations: Sequence[str],
    labels: Sequence[str],
    chosen: str | None,
    samples: Mapping[str, Array],
    stated: Mapping[str, OutputForm] = MappingProxyType({}),
) -> tuple[ContractOutput, ...]:
    """The contract's outputs. `samples` are the server model's answers, (n, ...), which tell a softmax that no operator does.

    `stated` are the configuration's tables by output.
    """
    outputs = []
    for spec, found in zip(specs, activations or ["unknown"] * len(specs), strict=True):
        fits = chosen in (None, spec.name) and len(labels) in class_counts(spec.shape)
        activation = "softmax" if found == "unknown" and _sums_to_one(samples[spec.name]) else found
        shape, named = (1, *spec.shape[1:]), tuple(labels) if labels and fits else None
        threshold = stated.get(spec.name, OutputForm()).threshold
        outputs.append(ContractOutput(spec.name, shape, activation, named, threshold))  # type: ignore[arg-type]
    return tuple(outputs)


def _sums_to_one(values: Array) -> bool:
    if values.ndim < 2 or values.shape[-1] < 2 or values.dtype.kind != "f" or not np.isfinite(values).all():
        return False
    return bool((values >= 0).all() and (np.abs(values.astype(np.float64).sum(-1) - 1) < SUM_ERROR).all())


def build_contract(
    name: str,
    manifest: Manifest,
    inputs: tuple[ContractInput, ...],
    outputs: tuple[ContractOutput, ...],
    goldens: RawGoldens,
) -> Contract:
    """The contract of the artifacts in a manifest, but for those that take other tensors, and say themselves how they are fed."""
    runs = manifest.goldens.artifacts if manifest.goldens else {}
    own = [item for item in manifest.artifacts if item.bridge is None]
    artifacts = tuple(describe_artifact(item, runs.get(item.id)) for item in own)
    return Contract(name, manifest.server.digest, inputs, outputs, artifacts, goldens)


def describe_artifact(entry: ArtifactEntry, run: GoldenRun | None) -> ContractArtifact:
    """What a contract says of an artifact that gave this on the goldens."""
    signature = next(iter(entry.receipt.signatures or ()), None) if entry.receipt else None
    tolerances = (run.tolerance or {}) if run else {}
    temperatures = fitted_temperatures(entry)
    return ContractArtifact(
        entry.id,
        entry.path,
        entry.content,
        signature,
        tuple(
            ArtifactInput(spec.name, spec.name, index, spec.shape, spec.dtype, _edge(spec.quantization, spec.dtype))
            for index, spec in enumerate(entry.inputs)
        ),
        tuple(
            ArtifactOutput(
                spec.name, spec.name, index, spec.shape, spec.dtype, _edge(spec.quantization, spec.dtype),
                tolerances.get(spec.name), temperatures.get(spec.name),
            )
            for index, spec in enumerate(entry.outputs)
        ),
    )  # fmt: skip


def _edge(quantization: Quantization | None, dtype: str) -> EdgeQuantization | None:
    """How the numbers at a file's edge are read; a float edge has steps inside only."""
    if quantization is None or not dtype.startswith(("int", "uint")):
        return None
    return EdgeQuantization(float(np.float32(quantization.scale[0])), quantization.zero_point[0])


def label_cases(
    cases: Sequence[GoldenCase],
    rows: Sequence[int],
    outputs: Sequence[ContractOutput],
    answers: Batch,
    clear: Mapping[str, Mapping[str, Sequence[int]]],
) -> tuple[GoldenCase, ...]:
    """The cases with the server model's label, by the first output that is scores of classes.

    `answers`: the server model's, (n, ...) by output; `rows`: which row is each case's; `clear`: by artifact and output the
    rows whose answer is the same on any right kernel.
    """
    scored = [item for item in outputs if answers[item.name].ndim == 2 and answers[item.name].shape[1] > 1]
    if not scored:
        return tuple(cases)
    first = next((item for item in scored if item.labels), scored[0])
    best = answers[first.name].argmax(1)
    return tuple(
        replace(
            case,
            label=first.labels[best[row]] if first.labels else None,
            clear=tuple(name for name, found in clear.items() if row in found.get(first.name, ())),
        )
        for case, row in zip(cases, rows, strict=True)
    )


def part_of_contract(contract: Contract, artifacts: Container[str], *, goldens: bool) -> Contract:
    """The contract of some artifacts; without `goldens` for a place where the raw ones do not go along."""
    kept = tuple(item for item in contract.artifacts if item.id in artifacts)
    reason = "raw goldens stay behind in the whole bundle"
    return replace(contract, artifacts=kept, goldens=contract.goldens if goldens else RawGoldens(reason=reason))

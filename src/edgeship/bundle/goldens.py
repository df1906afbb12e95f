"""Goldens: a few raw inputs with the outputs they must give, so that an app, a page or `edgeship verify` can check itself.

Files of arrays with samples along the first axis: `inputs.npz` under the model's input names, `outputs.npz` with the
server model's outputs under the output names, and `<format>-<variant>.npz` with what that artifact gave when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeship import data
from edgeship.data import Array, Batch, RepresentativeDataset
from edgeship.errors import CheckError
from edgeship.light_dataclass import dataclass
from edgeship.types import Artifact, TensorSpec

SAMPLES = 16
BATCH = 256
# Replay on another CPU or runtime version: float kernels sum in another order, int8 kernels may round one step apart.
INT8_STEPS = 2.0
# Kernels that were not measured may lie further off than those that were, up to that many times.
SPREAD_MARGIN = 2.0
# Of an output's range: beyond that a comparison of values says nothing, whatever kernels do. float32 kernels lie nearer.
LARGEST_TOLERANCE, LARGEST_FLOAT32_TOLERANCE = 0.25, 2e-2
# A float32 artifact must compute the server model: further off than this share of the output's range, it is another model.
SAME_MODEL = 2e-2


def pick_samples(dataset: RepresentativeDataset, inputs: tuple[TensorSpec, ...]) -> Batch:
    """Samples spread evenly over the data, under the model's input names."""
    parts = list(dataset.feeds(inputs, BATCH, SAMPLES))
    return {spec.name: np.concatenate([part[spec.name] for part in parts]) for spec in inputs}


def value_range(array: Array) -> float:
    """The range of an output's finite values, at least a tiny number, so that errors can be told relative to it."""
    if array.dtype.kind != "f":
        return 1.0
    finite = array[np.isfinite(array)]
    return float(max(np.ptp(finite), np.abs(finite).max(), 1e-6)) if finite.size else 1.0


@dataclass(frozen=True)
class KernelSpread:
    """The largest absolute difference, by output, between two sets of kernels of one runtime on so many samples.

    `spread` is None where the `kernels` do not run the artifact, for `reason`.
    """

    kernels: str
    samples: int
    spread: Mapping[str, float] | None
    reason: str = ""


def output_tolerances(
    artifact: Artifact, own: Mapping[str, Array], spreads: Sequence[KernelSpread] = ()
) -> dict[str, float]:
    """How far each output may be off when the artifact is replayed elsewhere, absolute, after dequantization.

    Twice what the runtime's own sets of kernels differ by; at least two steps of a quantized output, and what summing in
    another order may do to a float one. At most a quarter of the output's range, a fiftieth for float32, but for two steps
    of integers. Whole numbers that stand for something (ids) must be the same.
    """
    tolerances = {}
    for spec in artifact.outputs:
        name, span = spec.name, value_range(own[spec.name])
        step = spec.quantization.scale[0] * INT8_STEPS if spec.quantization else 0.0
        if not spec.dtype.startswith(("int", "uint")):  # steps before a DequantizeLinear: no runtime tells them
            step = min(step, LARGEST_TOLERANCE * span)
        plain = artifact.variant == "float32"
        loose, most = (
            (1e-3 if plain else 2e-2) * span,
            (LARGEST_FLOAT32_TOLERANCE if plain else LARGEST_TOLERANCE) * span,
        )
        differences = [item.spread[name] for item in spreads if item.spread and np.isfinite(item.spread[name])]
        tolerances[name] = max(step, loose, min(SPREAD_MARGIN * max(differences, default=0.0), most))
    return tolerances


def largest_tolerance(own: Array, step: float = 0.0) -> float:
    """The largest tolerance that `output_tolerances` can have given an output, by the goldens themselves and not by a manifest.

    A quarter of the range of the outputs (`own`); two steps where the runtime gives integers of that `step`, which the
    outputs lie on.
    """
    most = LARGEST_TOLERANCE * value_range(own)
    if not np.isfinite(most):  # of numbers whose differences are beyond all: any tolerance would do
        return 0.0
    if not step > 0 or not own.size:
        return most
    values = own[np.isfinite(own)].astype(np.float64)
    with np.errstate(all="ignore"):
        steps = np.round(values / step)  # all 0: the step is larger than every output, and says nothing
        on_steps = steps.any() and np.abs(values - steps * step).max() < 1e-3 * step
    return max(most, INT8_STEPS * step) if on_steps else most


def clear_answers(
    own: Mapping[str, Array], server_outputs: Mapping[str, Array], tolerances: Mapping[str, float]
) -> dict[str, list[int]]:
    """The samples whose answer must survive any right kernel, by output of class scores (n, C): C > 1.

    Both the server model and the artifact (`server_outputs`, `own`) give that answer, and the best score leads the next by more
    than its tolerance: twice what kernels differ by, so that one score may lose and another win as much as was measured.
    """
    clear = {}
    for name, scores in server_outputs.items():
        if scores.ndim != 2 or scores.shape[1] < 2 or scores.dtype.kind != "f":
            continue
        same = np.argmax(scores, axis=1) == np.argmax(own[name], axis=1)
        leads = np.minimum(_answer_lead(scores), _answer_lead(own[name]))
        clear[name] = np.flatnonzero(same & (leads > tolerances[name])).tolist()
    return clear


def _answer_lead(scores: Array) -> Array:
    """By how much the best score of each sample (n, C) leads the second, (n,)."""
    ordered = np.sort(scores.astype(np.float64), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def largest_error(got: Array, reference: Array) -> float:
    """The largest absolute error; values that are NaN or infinite on both sides alike agree."""
    if not reference.size:
        return 0.0
    exact = np.complex128 if "c" in (got.dtype.kind, reference.dtype.kind) else np.float64
    one, other = got.astype(exact), reference.astype(exact)
    same = (got == reference) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(one - other)).max())


def check_alive(
    artifact: Artifact, own: Mapping[str, Array], server_outputs: Mapping[str, Array], *, exact: bool
) -> None:
    """Raise CheckError where an artifact's outputs cannot be those of the server model: NaN, wrong shape, another model."""
    for name, reference in server_outputs.items():
        got = own[name]
        if got.shape != reference.shape:
            raise CheckError(
                f"{artifact.id}: output '{name}' has shape {got.shape}, the server model gives {reference.shape}"
            )
        if got.dtype.kind == "f" and not np.isfinite(got).all() and np.isfinite(reference).all():
            raise CheckError(f"{artifact.id}: output '{name}' is NaN or infinite where the server model's is not")
        if not exact or reference.dtype.kind != "f" or not np.isfinite(reference).all():
            continue
        error = float(np.abs(got - reference).max()) if got.size else 0.0
        if error > SAME_MODEL * value_range(reference):
            raise CheckError(
                f"{artifact.id}: output '{name}' is off by {error:.3g} (range {value_range(reference):.3g}) from the server "
                "model on real inputs: the conversion changed the model"
            )


def write_goldens(folder: Path, inputs: Batch, server_outputs: Batch, own: Mapping[str, Batch]) -> None:
    """Write the goldens of a model and of its artifacts."""
    folder.mkdir(parents=True)
    for name, arrays in {
        "inputs": inputs,
        "outputs": server_outputs,
        **{_file_name(artifact): own[artifact] for artifact in own},
    }.items():
        data.save(folder / f"{name}.npz", arrays)


def read_goldens(folder: Path, name: str) -> Batch:
    """`inputs`, `outputs` (the server model's), or an artifact's own outputs by its id."""
    return data.load(folder / f"{_file_name(name)}.npz")


def _file_name(artifact: str) -> str:
    return artifact.replace("/", "-")

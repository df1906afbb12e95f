"""What a few answers of a stranger's file tell: whether they can be compared with the server model's at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgeship.benchmarks.compare import parity
from edgeship.benchmarks.compare.metrics import sigmoid, softmax
from edgeship.data import Array
from edgeship.errors import InputError
from edgeship.types import TensorSpec

SUM_ERROR = 0.05  # of probabilities that were rounded to 8 bits
NEAR, LEAD = 10.0, 6.0  # dB: a transformed output that is so near, and so much nearer than it is as it stands
CLIPPED = 0.01  # share of an input's values


def check_answers(expected: Mapping[str, Array], got: Mapping[str, Array], where: str) -> None:
    """Raise InputError where an output has another shape, or is the server model's before or behind its last activation."""
    for name, answers in expected.items():
        other = got[name]
        if other.shape != answers.shape:
            raise InputError(
                f"{where}: its output for '{name}' has shape {other.shape}, the server model's {answers.shape}\n"
                "make the file again with the shape of the server model"
            )
        if answers.dtype.kind == "f" and other.dtype.kind == "f" and (what := _find_activation(answers, other)):
            raise InputError(
                f"{where}: its output for '{name}' {what}\n"
                "make the file again as the server model ends, or name a server model that ends as the file does"
            )


def _find_activation(server: Array, file: Array) -> str:
    """In words how a file's output differs from the server model's by a last activation; empty where it does not."""
    plain = _nearness(server, file)
    for kind, is_behind, activation in (
        ("softmax", _are_probabilities, softmax),
        ("sigmoid", _are_shares, sigmoid),
    ):
        if is_behind(server) == is_behind(file):
            continue
        if is_behind(server):
            near, what = (
                _nearness(server, activation(file)),
                f"lacks the {kind} of the server model's (it gives logits)",
            )
        else:
            near, what = (
                _nearness(activation(server), file),
                f"has a {kind}, the server model's has none (it gives logits)",
            )
        if near >= NEAR and near >= plain + LEAD:
            return what
    return ""


def _nearness(server: Array, file: Array) -> float:
    figures = parity.compare({"output": server}, {"output": file})["output"]
    return -np.inf if figures.sqnr_db is None else figures.sqnr_db


def _are_shares(values: Array) -> bool:
    return bool(values.size) and bool(((values >= -SUM_ERROR) & (values <= 1 + SUM_ERROR)).all())


def _are_probabilities(values: Array) -> bool:
    several = values.ndim > 1 and values.shape[-1] > 1
    return several and _are_shares(values) and bool((np.abs(values.sum(axis=-1) - 1) <= SUM_ERROR).all())


def describe_clipping(feeds: Mapping[str, Array], inputs: tuple[TensorSpec, ...]) -> Iterator[str]:
    """What lies beyond the numbers that a quantized input can hold, where it is more than a hundredth of the values."""
    for spec in inputs:
        if spec.quantization is None or np.dtype(spec.dtype).kind not in "iu":
            continue
        scale, zero, limits = spec.quantization.scale[0], spec.quantization.zero_point[0], np.iinfo(spec.dtype)
        low, high = (scale * (limit - zero) for limit in (limits.min - 0.5, limits.max + 0.5))
        values = feeds[spec.name]
        if (share := float(np.mean((values < low) | (values > high)))) > CLIPPED:
            yield (
                f"{share:.0%} of the data for '{spec.name}' ({values.min():.4g} to {values.max():.4g}) lies beyond what it "
                f"can hold ({low:.4g} to {high:.4g}): is the file made for data that is scaled otherwise?"
            )

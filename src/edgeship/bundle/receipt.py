"""What an artifact really holds, as it was read back from its file: names, types, operators, weights, requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from edgeship.bundle.metric import Count, Number
from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec


@dataclass(frozen=True)
class WeightTensor:
    """A constant of an artifact; `sparsity` is the share of zeros, None where its values cannot be read."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: Count
    elements: Count
    sparsity: Number | None = None


@dataclass(frozen=True)
class WeightSummary:
    """All constants of an artifact: how many numbers in how many bytes, of which types, and the larger ones, the largest first.

    `share`: numbers in the constants over numbers in the server model's kernels; None where those are not known.
    """

    count: Count = 0
    elements: Count = 0
    bytes: Count = 0
    dtypes: Mapping[str, Count] = field(default_factory=dict)
    sparsity: Number | None = None
    tensors: tuple[WeightTensor, ...] = ()
    share: Number | None = None


@dataclass(frozen=True)
class Signature:
    """The names that a signature of a `.tflite` gives its inputs and outputs."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class TensorSparsity:
    """The zeros of a kernel: the share that was asked for, and the artifact's, or why it is not known (`reason`)."""

    tensor: str
    asked: Number
    values: Count
    artifact: Number | None = None
    reason: str = ""


@dataclass(frozen=True)
class LayerPrecision:
    """A layer that was to be in higher `precision`, and how many of its operators compute in that and in int8."""

    layer: str
    precision: str
    kept: Count
    int8: Count


@dataclass(frozen=True)
class Receipt:
    """What an artifact holds.

    `int8_op_share`, `hybrid_op_share`: of the operators that compute, those in integers, and those of integer weights and
    float data; `float_islands`: float operators of an integer model; `overflowing`: operators with int8 weights that may overflow
    on x86 processors without VNNI, None where there are no int8 products. `flex_ops` need TensorFlow's delegate, `custom_ops`
    kernels of an app's own, `variable_ops` have no weights in the file. What only one format has is None in the others.
    """

    format: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    ops: Mapping[str, Count] = field(default_factory=dict)
    op_versions: Mapping[str, Count] = field(default_factory=dict)
    flex_ops: tuple[str, ...] = ()
    custom_ops: tuple[str, ...] = ()
    variable_ops: tuple[str, ...] = ()
    int8_op_share: Number = 0.0
    hybrid_op_share: Number = 0.0
    float_islands: tuple[str, ...] = ()
    weights: WeightSummary = field(default_factory=WeightSummary)
    dynamic_batch: bool = False
    min_runtime: str | None = None
    opset: int | None = None
    signatures: Mapping[str, Signature] | None = None  # tflite
    sparse_encoding: tuple[str, ...] | None = None  # tflite
    opsets: Mapping[str, int] | None = None  # onnx, by domain
    ir_version: int | None = None  # onnx
    overflowing: tuple[str, ...] | None = None  # onnx
    converter: str | None = None  # tfjs
    control_flow: bool | None = None  # tfjs
    sparsity: tuple[TensorSparsity, ...] | None = None  # where pruning was asked for
    kept_layers: tuple[LayerPrecision, ...] | None = None  # where a recipe left layers in higher precision
    extra: Mapping[str, Any] | None = None  # of a format that is not built in, in its own words

    @property
    def refusal(self) -> str | None:
        """Why no runtime of edgeship runs the file, which an app can; None where one may."""
        if not self.flex_ops:
            return None
        names = ", ".join(self.flex_ops[:5]) + (" ..." if len(self.flex_ops) > 5 else "")
        return (
            f"it needs the Flex delegate for {names}, which an app can link and no runtime here has; where [budget] names it "
            "as optional, it ships unjudged"
        )

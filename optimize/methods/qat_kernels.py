"""Fake quantization of kernels that TFMOT has no scheme for: int8, symmetric, one scale per output channel, any rank.

Imported where TFMOT is: its classes are the bases.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow_model_optimization.quantization.keras import QuantizeConfig
from tensorflow_model_optimization.quantization.keras.quantizers import Quantizer

LEVELS = 127  # narrow range: -127 to 127, as LiteRT's specification of int8 weights asks


class KernelQuantizer(Quantizer):  # type: ignore[misc]
    """Rounds a kernel of shape (..., output channels) to the grid that its own largest magnitudes span."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """There is no state: scales follow the weights."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **options: Any) -> Any:
        """The rounded kernel; gradients pass as if it were not rounded (straight-through estimator, Bengio et al. 2013)."""
        axes = list(range(len(inputs.shape) - 1))
        largest = tf.maximum(tf.reduce_max(tf.abs(inputs), axis=axes, keepdims=True), 1e-12)
        scale = tf.stop_gradient(largest / LEVELS)
        return inputs + tf.stop_gradient(tf.round(inputs / scale) * scale - inputs)

    def get_config(self) -> dict[str, Any]:
        """Nothing to configure."""
        return {}


class KernelConfig(QuantizeConfig):  # type: ignore[misc]
    """Quantizes a layer's kernel; its output is quantized by what follows it."""

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """The kernel."""
        return [(layer.kernel, KernelQuantizer())]

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        """Let the layer compute with the rounded kernel."""
        layer.kernel = quantize_weights[0]

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """None."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        """None to set."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """None."""
        return []

    def get_config(self) -> dict[str, Any]:
        """Nothing to configure."""
        return {}

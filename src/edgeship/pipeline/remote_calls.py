"""Functions for child processes whose own modules import what the command line does without: these do so when they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def train_further(
    *,
    model: str,
    out: str,
    data: str,
    recipes: Mapping[str, Any],
    training: Mapping[str, Any],
    validation: str | None = None,
    progress: str | None = None,
    **loading: Any,
) -> dict[str, Any]:
    """`optimize.apply.run`, behind TensorFlow."""
    from edgeship.optimize import apply

    return apply.run(
        model=model,
        out=out,
        data=data,
        recipes=recipes,
        training=training,
        validation=validation,
        progress=progress,
        **loading,
    )


def calibrate_onnx(model: str, data: str, out: str, *, count: int, closely: bool) -> dict[str, Any]:
    """`optimize.quantize.onnx.quantizer.calibrate`, behind ONNX Runtime."""
    from edgeship.optimize.quantize.onnx import quantizer

    return quantizer.calibrate(model, data, out, count=count, closely=closely)


def quantize_onnx(
    model: str,
    out_file: str,
    recipe: str,
    *,
    statistics: str | None,
    calibration_method: str,
    kept: Sequence[str] = (),
    layers: Sequence[str] = (),
) -> dict[str, Any]:
    """`optimize.quantize.onnx.quantizer.quantize`, behind ONNX Runtime."""
    from edgeship.optimize.quantize.onnx import quantizer

    return quantizer.quantize(
        model,
        out_file,
        recipe,
        statistics=statistics,
        calibration_method=calibration_method,
        float_layers=kept,
        layers=layers,
    )

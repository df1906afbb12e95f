"""Post-training quantization of a float `.onnx` with ONNX Runtime's quantizer.

Meant for a child process; TensorFlow is not imported. Inputs and outputs keep their names, their element types (an
int8 ONNX model has float ends: QDQ marks them inside) and their dynamic axes.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgeship import recipes
from edgeship.data import Batch, RepresentativeDataset
from edgeship.errors import InputError
from edgeship.files import whole
from edgeship.optimize import calibration, onnx_file


def tools() -> dict[str, str]:
    """The versions of what does the work."""
    return {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime")}


def quantize(
    model: str, out_file: str, recipe: str, *, data: str | None = None, count: int = recipes.DEFAULT_SAMPLES
) -> dict[str, Any]:
    """Write the float `.onnx` `model` to `out_file`, quantized by `recipe` (see `edgeship.recipes`).

    static_w8a8 needs `data`; at most `count` samples of it are used, spread evenly. The file is opened and run
    once before it is moved into place.

    Returns tools, notes, `float_islands` (operators that stayed float, for static_w8a8) and `float_weights` (constants
    of 1 KiB or more that stayed float32), by name. Raises InputError for a recipe that cannot be had or data that does
    not fit, CheckError where the result does not run; nothing is written then.
    """
    how = recipes.meaning(recipe, "onnx")
    if recipe == "float32":
        raise InputError("recipe 'float32' changes nothing: use the converted file as it is")
    onnx_file.check(model)
    source = calibration.open_data(data) if how.data else None
    shapes = None
    with whole(out_file) as beside, tempfile.TemporaryDirectory(prefix="edgeship-quantize-") as folder:
        if source:
            shapes = _static(model, beside, Path(folder), source, count)
        else:
            _WRITERS[recipe](model, beside, Path(folder))
        onnx_file.check_runs(beside, shapes)
        islands = onnx_file.float_islands(beside) if source else []
        left = onnx_file.float_weights(beside) if recipe != "float16" else {}
    notes = calibration.few(min(count, len(source))) if source else []
    return {
        "tools": tools(),
        "notes": notes + calibration.left_float(islands, left),
        "float_islands": islands,
        "float_weights": sorted(left),
    }


def _static(model: str, out: Path, folder: Path, source: RepresentativeDataset, count: int) -> dict[str, list[int]]:
    """QDQ with int8 activations per tensor and int8 weights per channel; returns the shapes it was calibrated with.

    Weights use 7 of the 8 bits (`reduce_range`): without VNNI, x86 processors add two products of 8-bit numbers in a
    16-bit register that saturates (VPMADDUBSW), which cost 14 to 22 dB of SQNR on small dense models; 7 bits cannot
    overflow and cost 1 to 3 dB on any processor. Source: ONNX Runtime's documentation, "Quantize ONNX models",
    "When to use reduce-range".
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    inputs = onnx_file.inputs(model)
    shapes = calibration.one(source, inputs)
    # The calibrator gives every tensor's extremes out as outputs, so none shares its memory with another.
    size = calibration.batch_size(inputs, onnx_file.activations(model))
    failures: tuple[type[Exception], ...] = (*onnx_file.runtime_errors(), ValueError, AssertionError)  # "scale issue"
    try:
        quantize_static(
            str(_prepared(model, folder)),
            str(out),
            _reader(calibration.spread(source, inputs, size, count)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    except failures as error:
        raise InputError(f"{model}: ONNX Runtime cannot calibrate it on {source.source}: {str(error)[:300]}") from error
    return shapes


def _dynamic(model: str, out: Path, folder: Path) -> None:
    """Weights in uint8 per channel, activations quantized at run time, float in between.

    uint8 and not int8 for two reasons: ConvInteger takes int8 weights only in recent ONNX Runtimes, and the saturation
    that `_static` describes does not happen with it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(_prepared(model, folder)), str(out), per_channel=True, weight_type=QuantType.QUInt8)


def _float16(model: str, out: Path, folder: Path) -> None:
    """Weights and activations in float16, with casts at the ends so that inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(model), keep_io_types=True), str(out))


_WRITERS: dict[str, Callable[[str, Path, Path], None]] = {"dynamic_w8": _dynamic, "float16": _float16}


def _prepared(model: str, folder: Path) -> Path:
    """The model folded and fused as the quantizer wants it.

    Without the symbolic shape inference, which fails on models that compute a shape from a dynamic batch and adds
    nothing that ONNX's own does not find in converted Keras models.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    quant_pre_process(model, str(prepared), skip_symbolic_shape=True)
    return prepared


def _reader(batches: Iterator[Batch]) -> Any:
    """ONNX Runtime's interface over a stream of batches."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Batch | None:
            return next(batches, None)

    return Reader()

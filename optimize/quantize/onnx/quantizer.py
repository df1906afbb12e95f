"""Post-training quantization of a float `.onnx` with ONNX Runtime's quantizer.

Meant for a child process; TensorFlow is not imported. Inputs and outputs keep their names, their element types (an
int8 ONNX model has float ends: QDQ marks them inside) and their dynamic axes.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgeship.errors import InputError, brief_message
from edgeship.formats.float16 import fits_float16
from edgeship.optimize.quantize import calibration as calibrating
from edgeship.optimize.quantize import input_scaling, spectra
from edgeship.optimize.quantize.onnx import activation_observer, four_bits, reader, scaling_fold, weight_scales
from edgeship.optimize.quantize.reports import CalibrationReport, QuantizationReport
from edgeship.recipes import quantization
from edgeship.storage.atomic import atomic_file
from edgeship.types import to_json


def tool_versions() -> dict[str, str]:
    """The versions of what does the work."""
    return {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime")}


def calibrate(
    model: str, data: str | None, out: str, *, count: int = quantization.DEFAULT_SAMPLES, closely: bool = False
) -> CalibrationReport:
    """Observe the range of every tensor of a float `.onnx` over representative data and write it to `out` (JSON).

    As that of `.tflite` does, on at most `count` samples spread evenly over the data; the model as the
    quantizer wants it is written beside `out`. Raises InputError where there is no data, or it does not fit the model.
    """
    reader.check_model(model)
    source = calibrating.open_data(data)
    inputs = reader.read_inputs(model)
    shapes = calibrating.sample_shapes(source, inputs)
    # The calibrator gives every tensor's extremes out as outputs, so none shares its memory with another.
    size = calibrating.batch_size(inputs, reader.activation_bytes(model))
    samples = min(count, len(source))
    facts = {"tools": tool_versions(), "samples": samples, "data": source.digest}
    failures: tuple[type[Exception], ...] = (*reader.runtime_errors(), ValueError)
    with atomic_file(str(Path(out).with_suffix(".onnx"))) as prepared_file:
        _prepare_model(model, prepared_file)
        operators = input_scaling.scaling_at([spec.name for spec in inputs], reader.input_operators(prepared_file))
        scaling = calibrating.FloatScaling()
        if operators:
            feeds = input_scaling.read_samples(source, inputs, samples)
            scaling = input_scaling.find_float_scaling(feeds, operators)
        spectrum = spectra.find_spectra([spec.name for spec in inputs], reader.list_operators(Path(prepared_file)))
        scaling = replace(scaling, operators=[*scaling.operators, *spectrum], spectrum=spectrum)
        scaling_fold.fold_scalings(Path(prepared_file), {item.output for item in operators})
        try:
            single = calibrating.batch_size(inputs, calibrating.ONE)
            kinds = (
                activation_observer.observe_ranges(
                    prepared_file, calibrating.spread_batches(source, inputs, single, count)
                )
                if closely
                else {}
            )
            ranges = kinds.pop(quantization.MIN_MAX, None)
            if ranges is None:
                ranges = activation_observer.observe_extremes(
                    prepared_file, calibrating.spread_batches(source, inputs, size, count)
                )
        except failures as error:
            raise InputError(f"{model}: ONNX Runtime cannot calibrate it on {data}: {brief_message(error)}") from error
        calibrating.write_statistics(
            out, model, {**facts, "shapes": shapes, "float_scaling": to_json(scaling)}, ranges, kinds
        )
    notes = calibrating.note_few_samples(samples)
    return CalibrationReport(tool_versions(), tuple(notes), samples=samples, data=source.digest, tensors=len(ranges))


def quantize(
    model: str,
    out_file: str,
    recipe: str,
    *,
    statistics: str | None = None,
    calibration_method: str = quantization.MIN_MAX,
    float_layers: Sequence[str] = (),
    layers: Sequence[str] = (),
    weight_bits: int | str = quantization.AUTO_BITS,
) -> QuantizationReport:
    """Write the float `.onnx` `model` to `out_file`, quantized by `recipe` (see `edgeship.recipes.quantization`).

    `statistics` is what `calibrate` wrote, needed by static_w8a8 only, and `calibration_method` which ranges of it; the Keras
    layers `float_layers` (of all the model's `layers`) then stay float, and weights have `weight_bits` (see `weight_scales`).
    The file is opened and run once before it is moved into place.

    Raises InputError for a recipe that cannot be had or statistics that do
    not fit, CheckError where the result does not run; nothing is written then.
    """
    how = quantization.recipe_support(recipe, "onnx")
    if recipe == "float32":
        raise InputError("recipe 'float32' changes nothing: use the converted file as it is")
    reader.check_model(model)
    calibration = calibrating.read_statistics(statistics, model) if how.data else None
    ranges = calibration.ranges_of(calibration_method) if calibration else None
    scaling = calibration.float_scaling if calibration else calibrating.FloatScaling()
    scaling_nodes, nodes_to_exclude = list[str](), list[str]()
    with atomic_file(out_file) as beside, tempfile.TemporaryDirectory(prefix="edgeship-quantize-") as folder:
        if ranges is not None:
            prepared_file = Path(str(statistics)).with_suffix(".onnx")
            nodes_to_exclude = reader.nodes_of(prepared_file, float_layers, layers) if float_layers else []
            scaling_nodes = reader.nodes_that_make(prepared_file, scaling.operators)
            nodes_to_exclude += scaling_nodes
            _quantize_static(model, prepared_file, beside, Path(folder), ranges, nodes_to_exclude, weight_bits)
        else:
            _WRITERS[recipe](model, beside, Path(folder))
        reader.check_runs(beside, calibration.shapes if calibration else None)
        islands = reader.float_islands(beside) if calibration else []
        float_sizes = reader.float_weights(beside) if recipe != "float16" else {}
        by_choice = reader.names_around(beside, nodes_to_exclude)
    notes = calibrating.note_few_samples(calibration.samples) if calibration else []
    scaled = [name for name in scaling.operators if name not in scaling.spectrum]
    notes += input_scaling.describe(scaled, float_inputs=False) + spectra.describe(scaling.spectrum)
    unasked = [island for island in islands if island.partition(" ")[2] not in by_choice]
    unasked_sizes = {name: size for name, size in float_sizes.items() if name not in by_choice}
    return QuantizationReport(
        tool_versions(),
        (*notes, *calibrating.note_float_parts(unasked, unasked_sizes)),
        float_operators=tuple(scaling_nodes),
        float_islands=tuple(islands),
        float_weights=tuple(sorted(float_sizes)),
    )


def _quantize_static(
    model: str,
    prepared_file: Path,
    out: Path,
    folder: Path,
    ranges: Mapping[str, Sequence[float]],
    nodes_to_exclude: list[str],
    weight_bits: int | str,
) -> None:
    """QDQ with uint8 activations per tensor and int8 weights per channel.

    uint8, since on x86 ONNX Runtime computes int8 activations as uint8, and fuses none where both meet: of a residual
    network 8 in 13 convolutions ran in float32, at half the speed. On ARM the types differ by -2 to 8 % of instructions, and
    both computed the same.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    ranges_file, own_file = folder / "ranges.json", folder / "prepared.onnx"
    # A file is written beside it, and removed: other processes read the folder of the cache.
    shutil.copyfile(prepared_file, own_file)
    activation_observer.write_ranges(ranges, ranges_file)
    failures: tuple[type[Exception], ...] = (*reader.runtime_errors(), ValueError, AssertionError)  # "scale issue"
    try:
        quantize_static(
            str(own_file),
            str(out),
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=activation_observer.METHOD,
            calibration_cache_path=str(ranges_file),
            nodes_to_exclude=nodes_to_exclude,
            extra_options={"TensorQuantOverrides": weight_scales.build_overrides(prepared_file, weight_bits)},
        )
    except failures as error:
        raise InputError(f"{model}: ONNX Runtime cannot quantize it: {brief_message(error)}") from error


def _quantize_dynamic(model: str, out: Path, folder: Path) -> None:
    """Weights in uint8 per channel, activations quantized at run time, float in between.

    uint8 and not int8 for two reasons: ConvInteger takes int8 weights only in recent ONNX Runtimes, and no processor
    saturates with it (`edgeship.formats.pair_sums`).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    _prepare_model(model, folder / "prepared.onnx")
    prepared_file = str(folder / "prepared.onnx")
    types = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # of what MatMulNBits makes, which no shape inference knows
    quantize_dynamic(
        prepared_file,
        str(out),
        per_channel=True,
        weight_type=QuantType.QUInt8,
        nodes_to_exclude=reader.stacked_products(Path(prepared_file)),
        extra_options=types,
    )


def _store_float16(model: str, out: Path, folder: Path) -> None:
    """Kernels and tables in float16, each behind a Cast, computed in float32: ONNX Runtime folds the Casts when it loads.

    Activations in float16 overflow beyond 65504, and lose raw features whose mean is far above their deviation; they are no
    faster on x86 and older ARM cores. Factors and summands stay float32 for the same reason, vectors since they are small.
    """
    import onnx

    proto = onnx.load(model)
    readers = [node for node in proto.graph.node if node.op_type in reader.ARITHMETIC]
    precise = {name for node in readers for name in node.input}
    for tensor in proto.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2 or tensor.name in precise:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        if fits_float16(values):
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype("float16"), f"{name}_float16"))
            cast = onnx.helper.make_node("Cast", [tensor.name], [name], name=f"{name}_cast", to=onnx.TensorProto.FLOAT)
            proto.graph.node.insert(0, cast)
    onnx.save(proto, str(out))


def _store_four_bits(model: str, out: Path, folder: Path) -> None:
    """Dense kernels and tables in 4 bits, computed in float32; all else as it is."""
    four_bits.store_four_bits(model, out, "weight_only_w4")


def _quantize_four_bits(model: str, out: Path, folder: Path) -> None:
    """Dense kernels in 4 bits with activations rounded to int8 at run time, tables in 4 bits; all else as `dynamic_w8`."""
    four_bits.store_four_bits(model, folder / "four_bits.onnx", "dynamic_w4")
    _quantize_dynamic(str(folder / "four_bits.onnx"), out, folder)


_WRITERS: dict[str, Callable[[str, Path, Path], None]] = {
    "dynamic_w8": _quantize_dynamic,
    "dynamic_w4": _quantize_four_bits,
    "float16": _store_float16,
    "weight_only_w4": _store_four_bits,
}


def _prepare_model(model: str, out: Path) -> None:
    """The model folded and fused as the quantizer wants it, written to `out`.

    Without the symbolic shape inference, which fails on models that compute a shape from a dynamic batch and adds
    nothing that ONNX's own does not find in converted Keras models.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(model, str(out), skip_symbolic_shape=True)

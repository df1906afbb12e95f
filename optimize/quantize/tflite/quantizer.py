"""Post-training quantization of a float `.tflite` with litert-quantizer: calibrate once, quantize many times.

Meant for a child process; TensorFlow is not imported.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgeship.data import Batch, RepresentativeDataset
from edgeship.errors import InputError, brief_message, unknown_name_error
from edgeship.formats import flatbuffer
from edgeship.optimize.quantize import calibration as calibrating
from edgeship.optimize.quantize import input_scaling, spectra
from edgeship.optimize.quantize.reports import CalibrationReport, QuantizationReport
from edgeship.optimize.quantize.tflite import (
    activation_observer,
    divisions,
    mixed_precision,
    op_versions,
    reader,
    repairs,
    unfit_kernels,
    weight_storage,
)
from edgeship.recipes import quantization
from edgeship.storage.atomic import atomic_file
from edgeship.types import TensorSpec, to_json
from edgeship.untrusted import damage_as_input_error


def tool_versions() -> dict[str, str]:
    """The versions of what does the work."""
    return {name: importlib.metadata.version(name) for name in ("litert-quantizer", "ai-edge-litert")}


def calibrate(
    model: str,
    data: str | None,
    out: str,
    *,
    count: int = quantization.DEFAULT_SAMPLES,
    batch: int | None = None,
    closely: bool = False,
) -> CalibrationReport:
    """Observe the range of every tensor of a float `.tflite` over representative data and write it to `out` (JSON).

    The ranges are the minimum and maximum over at most `count` samples, spread evenly over the data, so they depend
    neither on the order nor (but for a model that mixes the samples of a batch) on the `batch` size. The runtime itself
    keeps them, so memory is that of one batch.
    Every signature is calibrated; inputs are matched by name. `closely` goes over the samples one by one, for the ranges of
    all calibration methods (`edgeship.optimize.quantize.ranges`).

    Raises InputError where there is no data, or it does not fit the model.
    """
    content, source = reader.read(model), calibrating.open_data(data)
    inputs = reader.read_signatures(content, model)
    shapes = {key: calibrating.sample_shapes(source, specs) for key, specs in inputs.items()}
    content = reader.with_shapes(content, inputs, shapes)

    def calibration_batches(each: int) -> Iterator[tuple[str, Batch]]:
        for key, specs in inputs.items():
            size = batch or calibrating.batch_size(specs, each)
            yield from ((key, feeds) for feeds in calibrating.spread_batches(source, specs, size, count))

    try:
        singly = (
            (key, feeds)
            for key, specs in inputs.items()
            for feeds in calibrating.spread_batches(
                source, specs, calibrating.batch_size(specs, calibrating.ONE), count
            )
        )
        kinds = activation_observer.observe_ranges(content, singly) if closely else {}
        ranges = kinds.pop(quantization.MIN_MAX, None)
        if ranges is None or reader.has_loops(content):  # the insides of a loop are not watched
            ranges = _observe_extremes(content, calibration_batches(reader.largest_activation(content)))
    except RuntimeError as error:  # LiteRT's own, for whatever it cannot do
        raise InputError(f"{model}: LiteRT cannot run it on {source.source}: {brief_message(error)}") from error
    samples = min(count, len(source))
    facts = {"tools": tool_versions(), "samples": samples, "data": source.digest}
    facts["float_scaling"] = to_json(_find_float_scaling(content, source, inputs, samples))
    calibrating.write_statistics(out, model, {**facts, "shapes": shapes}, ranges, kinds)
    notes = calibrating.note_few_samples(samples)
    return CalibrationReport(tool_versions(), tuple(notes), samples=samples, data=source.digest, tensors=len(ranges))


def _find_float_scaling(
    content: bytes, data: RepresentativeDataset, inputs: Mapping[str, Sequence[TensorSpec]], count: int
) -> calibrating.FloatScaling:
    """What must stay float at the inputs of any signature."""
    model, found, spectrum = flatbuffer.unpack(content), [], []
    for signature in model.signatureDefs:
        graph_inputs, operators = reader.input_operators(model, signature)
        spectrum += spectra.find_spectra(list(graph_inputs.values()), reader.list_operators(model, signature))
        if scaling := input_scaling.scaling_at(list(graph_inputs.values()), operators):
            feeds = input_scaling.read_samples(data, inputs[signature.signatureKey.decode()], count)
            by_tensor = {graph_inputs[name]: array for name, array in feeds.items()}
            found.append(input_scaling.find_float_scaling(by_tensor, scaling))
    behind_float = [name for item in found for name in item.operators]
    behind_int8 = [name for item in found for name in item.operators_behind_int8]
    return calibrating.FloatScaling(
        list(dict.fromkeys((*behind_float, *spectrum))),
        list(dict.fromkeys((*behind_int8, *spectrum))),
        any(item.inputs for item in found) or bool(spectrum),
        spectrum,
    )


def _observe_extremes(content: bytes, batches: Iterable[tuple[str, Batch]]) -> dict[str, list[float]]:
    """Minimum and maximum of every tensor, by name, over (signature, feeds)."""
    from litert_quantizer import calibrator

    observer = calibrator.Calibrator(
        content,
        num_threads=os.cpu_count() or 1,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=_widen_range,
    )
    for key, feeds in batches:
        # One batch per call, since the calibrator makes a list of what it is given; it needs no recipe here.
        observer.calibrate({key: [feeds]}, None)
    extremes = observer.get_model_qsvs()
    return {name: [extremes[name]["min"].item(), extremes[name]["max"].item()] for name in sorted(extremes)}


def _widen_range(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {"min": np.minimum(old["min"], new["min"]), "max": np.maximum(old["max"], new["max"])}


def quantize(
    model: str,
    out_file: str,
    recipe: str,
    *,
    statistics: str | None = None,
    io: str = "auto",
    calibration_method: str = quantization.MIN_MAX,
    mixed: mixed_precision.Mixed | None = None,
    layers: Sequence[str] = (),
) -> QuantizationReport:
    """Write the float `.tflite` `model` to `out_file`, quantized by `recipe` (see `edgeship.recipes.quantization`).

    `statistics` is what `calibrate` wrote, needed by static_w8a8 only, and `calibration_method` which ranges of it. `io` is the
    element type that static_w8a8 gives to float inputs and outputs: "int8", "float32" with QUANTIZE and DEQUANTIZE at the ends,
    or "auto", int8 but for inputs that it is too coarse for (`input_scaling`; operators there stay float with any `io`).
    Integer inputs, as embedding ids, stay what they are. `mixed` gives operators of static_w8a8 another precision (see
    `mixed_precision`); divisions that could fail stay float. Notes and errors name the Keras model's `layers`. The file is run
    once before it is moved into place.

    Raises InputError for a recipe that cannot be had, CheckError where the result does not run; nothing is written then.
    """
    needs_statistics = _check_recipe(recipe, io).data
    content = reader.read(model)
    calibration = calibrating.read_statistics(statistics, model) if needs_statistics else None
    ranges = calibration.ranges_of(calibration_method) if calibration else None
    if calibration:
        content = reader.with_shapes(content, reader.read_signatures(content, model), calibration.shapes)
    scaling = calibration.float_scaling if calibration else calibrating.FloatScaling()
    float_inputs, io, float_operators = _choose_float_inputs(scaling, io)
    with damage_as_input_error(model):
        unfit = [] if calibration else unfit_kernels.find_unfit_kernels(content, recipe)
    divided = divisions.find_float_divisions(content, ranges) if ranges is not None else []
    in_division = list(dict.fromkeys(name for names in divided for name in names))
    mixed = divisions.keep_float(mixed_precision.keep_float(mixed, [*float_operators, *unfit]), in_division)
    result = _run_quantizer(content, model, recipe, (float_inputs, io), ranges, mixed)
    result_model = flatbuffer.unpack(result)
    reader.check_branches(result_model)
    with atomic_file(out_file) as beside:
        beside.write_bytes(result)
        reader.check_runs(beside, calibration.shapes if calibration else None, layers)
    islands, float_sizes, notes = _read_float_parts(result_model, mixed, calibrated=calibration is not None)
    notes += calibrating.note_few_samples(calibration.samples) if calibration else []
    scaling_operators = [name for name in float_operators if name not in scaling.spectrum]
    notes += input_scaling.describe(scaling_operators, float_inputs=float_inputs)
    notes += spectra.describe(scaling.spectrum)
    return QuantizationReport(
        tool_versions(),
        (*notes, *unfit_kernels.describe(unfit), *divisions.describe([names[0] for names in divided], layers)),
        float_operators=tuple(dict.fromkeys((*float_operators, *unfit, *in_division))),
        float_islands=tuple(islands),
        float_weights=tuple(sorted(float_sizes)),
        io=io if calibration else "float32",
    )


def _choose_float_inputs(scaling: calibrating.FloatScaling, io: str) -> tuple[bool, str, Sequence[str]]:
    """Whether inputs are float, the type of the other edges, and the operators behind the inputs that stay float."""
    float_inputs, edges = (scaling.inputs, "int8") if io == "auto" else (io == "float32", io)
    return float_inputs, edges, scaling.operators if float_inputs else scaling.operators_behind_int8


def _read_float_parts(
    model: Any, mixed: mixed_precision.Mixed | None, *, calibrated: bool
) -> tuple[list[str], dict[str, int], list[str]]:
    """The operators and constants of a quantized `ModelT` that are float, and notes on those that nobody asked to be."""
    islands, sizes = reader.float_islands(model) if calibrated else [], dict(reader.float_weights(model))
    unasked = [item for item in islands if mixed_precision.is_integer(mixed, f"{item.partition(' ')[2]};")]
    by_choice = reader.constants_of(model, lambda output: not mixed_precision.is_integer(mixed, f"{output};"))
    unasked_sizes = {name: size for name, size in sizes.items() if name not in by_choice}
    return islands, sizes, calibrating.note_float_parts(unasked, unasked_sizes)


def _check_recipe(recipe: str, io: str) -> quantization.RecipeSupport:
    """What a recipe does; refuses what makes no file of its own."""
    how = quantization.recipe_support(recipe, "tflite")
    if io not in quantization.IO_TYPES:
        raise unknown_name_error("I/O type", io, quantization.IO_TYPES)
    if recipe == "float32":
        raise InputError("recipe 'float32' changes nothing: use the converted file as it is")
    if recipe == "auto":
        raise InputError("recipe 'auto' is a search over static_w8a8 with `mixed` precisions, not one file")
    return how


def _quantizer_recipe(name: str, float_inputs: bool, io: str) -> list[dict[str, Any]]:
    """The recipe in litert-quantizer's own terms; `io` is the type of the outputs."""
    from litert_quantizer import algorithm_manager, qtyping, recipe, recipe_manager

    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    manager = recipe_manager.RecipeManager()
    if name == "float16":
        manager.add_weight_only_config(
            ".*", everything, 16, algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING
        )
        return list(manager.get_quantization_recipe())
    if name != "static_w8a8":
        return list(recipe.weight_only_wi8_afp32() if name == "weight_only_w8" else recipe.dynamic_wi8_afp32())
    manager.load_quantization_recipe(recipe.static_wi8_ai8())
    ends = [qtyping.TFLOperationName.INPUT] if float_inputs else []
    ends += [qtyping.TFLOperationName.OUTPUT] if io == "float32" else []
    for end in ends:
        manager.add_quantization_config(".*", end, None, algorithm_manager.AlgorithmName.NO_QUANTIZE)
    return list(manager.get_quantization_recipe())


def _with_four_bits(base: list[dict[str, Any]], content: bytes, model: str) -> list[dict[str, Any]]:
    """The recipe `base` with the kernels of dense layers in 4 bits, 32 along the features to a scale, but for small ones.

    Raises InputError where no other layer's features are a multiple of 32, as LiteRT's kernels want them.
    """
    from litert_quantizer import qtyping, recipe_manager

    least = quantization.LEAST_IN_FOUR_BITS
    outputs = reader.dense_outputs(content, 32, least)
    if not outputs:
        raise InputError(
            f"{model}: no dense layer has a multiple of 32 features and {least:,} weights or more: ask for dynamic_w8"
        )
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(base)
    pattern = "|".join(re.escape(name) for name in outputs)
    dense, blocks = qtyping.TFLOperationName.FULLY_CONNECTED, qtyping.QuantGranularity.BLOCKWISE_32
    manager.add_dynamic_config(f"^(?:{pattern});$", dense, num_bits=4, granularity=blocks)
    return list(manager.get_quantization_recipe())


def _run_quantizer(
    content: bytes,
    model: str,
    recipe: str,
    ends: tuple[bool, str],
    ranges: Mapping[str, Sequence[float]] | None,
    mixed: mixed_precision.Mixed | None,
) -> bytes:
    """`ends`: whether float inputs stay float, and the type of the outputs."""
    from litert_quantizer import quantizer

    extremes, io = None, ends[1] if ranges is not None else "float32"
    if ranges is not None:
        extremes = {name: {"min": np.array([low]), "max": np.array([high])} for name, (low, high) in ranges.items()}
    try:
        base_recipe = _quantizer_recipe(recipe, *ends)
        if recipe == "dynamic_w4":
            base_recipe = _with_four_bits(base_recipe, content, model)
        worker = quantizer.Quantizer(
            content, mixed_precision.build_recipe(base_recipe, mixed, io) if mixed else base_recipe
        )
        result = worker.quantize(extremes, enable_progress_bar=False, enable_progress_report=False)
    except (KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{model}: litert-quantizer cannot apply {recipe} to this model: {error}") from error
    quantized_bytes = bytes(result.quantized_model)
    if ranges is None:
        return op_versions.mark_op_versions(
            weight_storage.shrink_constants(quantized_bytes, "float16" if recipe == "float16" else "int8")
        )
    return repairs.repair_ends(
        quantized_bytes, content, io, ranges, lambda output: mixed_precision.is_integer(mixed, f"{output};")
    )

"""TensorFlow Lite flatbuffers."""

from __future__ import annotations

from pathlib import Path

from edgeship.formats.format import TENSORFLOW, Format, RecipeSupport


def _is_tflite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(8)[4:] == b"TFL3"


FORMAT = Format(
    name="tflite",
    title=".tflite",
    rank=0,
    target="apps",
    file="model.tflite",
    runtime="litert",
    matches=_is_tflite,
    tools=(*TENSORFLOW, "ai-edge-litert"),
    converter="edgeship.convert.tflite.convert:run",
    converter_modules=("tensorflow", "tensorflow.lite.python.lite"),
    options={"allow_flex": "flex", "sparse": "sparse_encoding"},
    receipt_reader="edgeship.convert.receipts.tflite:read",
    reads_apart=True,
    calibrator="edgeship.optimize.quantize.tflite.quantizer:calibrate",
    quantizer="edgeship.optimize.quantize.tflite.quantizer:quantize",
    quantizer_modules=("edgeship.optimize.quantize.tflite.quantizer", "litert_quantizer.quantizer"),
    quantizer_tools=("litert-quantizer", "ai-edge-litert", "numpy"),
    recipes={
        "float32": RecipeSupport("as converted"),
        "float16": RecipeSupport("weights stored as float16, computed in float32"),
        "static_w8a8": RecipeSupport("int8 weights per channel, int8 activations per tensor, calibrated", data=True),
        "auto": RecipeSupport("static_w8a8 with the layers that the gate asks for in float32 or int16", data=True),
        "dynamic_w8": RecipeSupport("int8 weights per channel, activations quantized at run time"),
        "dynamic_w4": RecipeSupport(
            "dense kernels in blocks of 4 bits, activations quantized at run time; other weights in 8 bits"
        ),
        "weight_only_w4": RecipeSupport(
            refusal="LiteRT reads blocks of 4 bits with activations in int8 alone: ask for dynamic_w4"
        ),
        "weight_only_w8": RecipeSupport("int8 weights per channel, computed in float32"),
    },
    integer_io=True,
    sparse_encoding=True,
)

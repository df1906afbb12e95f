"""ONNX protobufs."""

from __future__ import annotations

from pathlib import Path

from edgeship.formats.format import TENSORFLOW, Format, RecipeSupport


def _is_onnx(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return path.suffix == ".onnx" or stream.read(1) == b"\x08"


FORMAT = Format(
    name="onnx",
    title=".onnx",
    rank=1,
    queue_rank=0,
    target="servers and desktops",
    installed=True,
    file="model.onnx",
    runtime="onnxruntime",
    matches=_is_onnx,
    tools=(*TENSORFLOW, "tf2onnx", "onnx"),
    converter="edgeship.convert.onnx.convert:run",
    converter_modules=("tensorflow", "tf2onnx.convert"),
    receipt_reader="edgeship.convert.receipts.onnx:read",
    reads_apart=True,
    calibrator="edgeship.optimize.quantize.onnx.quantizer:calibrate",
    quantizer="edgeship.optimize.quantize.onnx.quantizer:quantize",
    quantizer_modules=("edgeship.optimize.quantize.onnx.quantizer",),
    quantizer_tools=("onnxruntime", "onnx", "numpy"),
    quantizer_options={"weight_bits": "weight_bits"},
    recipes={
        "float32": RecipeSupport("as converted"),
        "float16": RecipeSupport("weights stored as float16, computed in float32"),
        "static_w8a8": RecipeSupport(
            "QDQ: int8 weights per channel, uint8 activations per tensor, calibrated; float I/O", data=True
        ),
        "auto": RecipeSupport("static_w8a8 with the layers that the gate asks for in float32", data=True),
        "dynamic_w8": RecipeSupport("8-bit weights per channel, activations quantized at run time"),
        "dynamic_w4": RecipeSupport(
            "dense kernels and tables in blocks of 4 bits, activations quantized at run time; other weights in 8 bits"
        ),
        "weight_only_w4": RecipeSupport(
            "dense kernels and tables in blocks of 4 bits, computed in float32; tables need a later ONNX Runtime than 1.20"
        ),
        "weight_only_w8": RecipeSupport(
            refusal="ONNX Runtime unpacks 8-bit weights to float when it loads them: ask for dynamic_w8 or static_w8a8"
        ),
    },
)

"""Graph models of TensorFlow.js: a folder with model.json and shards of weights."""

from __future__ import annotations

from pathlib import Path

from edgeship.formats.format import TENSORFLOW, Format, RecipeSupport

_NO_INT8 = "TF.js has no int8 inference, only weight storage: ask for weight_only_w8"

_NO_4_BITS = "TF.js stores no weights in 4 bits: ask for weight_only_w8"


def _is_tfjs(path: Path) -> bool:
    return (path / "model.json").is_file() or path.name == "model.json"


FORMAT = Format(
    name="tfjs",
    title="TF.js",
    rank=2,
    queue_rank=2,
    target="pages",
    file="model/model.json",
    runtime="tfjs-node",
    matches=_is_tfjs,
    tools=(*TENSORFLOW, "tensorflowjs"),
    converter="edgeship.convert.tfjs.convert:run",
    converter_modules=("tensorflow", "edgeship.convert.tfjs.ahead"),
    converter_setup="edgeship.convert.tfjs.shim:install_if_missing",
    receipt_reader="edgeship.convert.receipts.tfjs:read",
    weight_storage={"float32": "float32", "float16": "float16", "weight_only_w8": "uint8"},
    recipes={
        "float32": RecipeSupport("as converted"),
        "float16": RecipeSupport("weights stored as float16, computed in float32"),
        "static_w8a8": RecipeSupport(refusal=_NO_INT8),
        "auto": RecipeSupport(refusal=_NO_INT8),
        "dynamic_w8": RecipeSupport(
            refusal="TF.js has no integer kernels, only weight storage: ask for weight_only_w8"
        ),
        "dynamic_w4": RecipeSupport(refusal=_NO_4_BITS),
        "weight_only_w4": RecipeSupport(refusal=_NO_4_BITS),
        "weight_only_w8": RecipeSupport("weights stored as uint8, computed in float32"),
    },
    default_variants=("weight_only_w8",),
    integers="int32",  # JavaScript has no 64-bit or small whole numbers
    static_batch_refusal="is for .tflite and .onnx: TF.js takes any batch without",
)

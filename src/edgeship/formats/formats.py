"""What each format is made with, and the file that an artifact of it is."""

from __future__ import annotations

TENSORFLOW = ("tensorflow", "keras", "tf-keras")
TOOLS = {
    "tflite": (*TENSORFLOW, "ai-edge-litert"),
    "onnx": (*TENSORFLOW, "tf2onnx", "onnx"),
    "tfjs": (*TENSORFLOW, "tensorflowjs"),
}
QUANTIZERS = {
    "tflite": ("litert-quantizer", "ai-edge-litert", "numpy"),
    "onnx": ("onnxruntime", "onnx", "numpy"),
}
FILES = {"tflite": "model.tflite", "onnx": "model.onnx", "tfjs": "model/model.json"}
TFJS_WEIGHTS = {"float32": "float32", "float16": "float16", "weight_only_w8": "uint8"}

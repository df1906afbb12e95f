"""Post-training quantization of `.onnx` files."""

"""Post-training quantization of `.tflite` files."""

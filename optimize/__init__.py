"""What changes the numbers: calibration and post-training quantization of artifacts."""

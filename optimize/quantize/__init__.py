"""Post-training quantization: ranges, calibration, and a folder for each format."""

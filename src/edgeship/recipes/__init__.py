"""What a variant's recipe may say, for quantization and for training."""

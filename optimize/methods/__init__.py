"""Training-time methods, one file each: pruning, clustering, quantization-aware training, distillation."""

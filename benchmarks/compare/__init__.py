"""What figures are compared with: accuracy, parity, statistics."""

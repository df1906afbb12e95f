"""What judges: size, latency, accuracy, parity, the gate and the reports."""

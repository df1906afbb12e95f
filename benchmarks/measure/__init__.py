"""What is measured: size, time, memory, instructions, quality."""

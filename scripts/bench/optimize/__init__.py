"""`make bench-optimize`."""

"""`make bench-devices`."""

"""`make bench-browser` and `make bench-page`."""

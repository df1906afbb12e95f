"""One file per format, found by being here. Each defines `FORMAT`; importing it needs no more than the standard library."""

"""Tests mirror the rooms of the source; what several of them need is imported from the root: `from tests.hostile import ...`."""

"""Artifacts that are made again, byte for byte: what they were made of (a lock), and whether the same comes of it."""

"""The bundle: its manifest, its goldens, and the seal over its files."""

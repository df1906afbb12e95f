"""The self-test of a version: its goldens through the runtime of this device."""

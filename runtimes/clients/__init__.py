"""Lanes of generated clients: compiled with warnings as errors and run on the real runtime library, as an app would."""

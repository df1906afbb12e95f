"""Where a bundle keeps the answers behind its figures: to each sample of the evaluation data, beside the labels.

Two models that answered the same samples can be compared sample by sample, long after both were measured.
"""

from __future__ import annotations

FOLDER = "answers"
LABELS = f"{FOLDER}/labels.npz"  # the arrays y or y_<output>
SERVER = "server"  # whose answers stand beside those of artifacts


def answers_file(whose: str) -> str:
    """The `.npz` with the outputs of an artifact, or of the `SERVER`, under their names, as real numbers (n, ...)."""
    return f"{FOLDER}/{whose.replace('/', '-')}.npz"

"""What a learner of another language is to do: the bytes that drivers/teach.c reads, and what it said and answered."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning.package import Samples
from tests.deploy.codegen.conftest import run

Array = np.ndarray[Any, Any]
USUAL = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass
class Script:
    """Steps, in the order in which they are asked for."""

    content: bytes = b""

    def keep(self, samples: Samples) -> Script:
        """Samples that are features already."""
        return self._add("k", len(samples), samples.features, samples.target)

    def collect(self, tensors: Array, labels: Array) -> Script:
        return self._add("c", len(tensors), tensors, labels.astype("<u4"))

    def learn(self, *settings: float) -> Script:
        """`settings`: rate, passes, fewest and most steps, limit; or none, for the usual ones."""
        return self._add("l", 0, np.array(settings or USUAL, "<f8"))

    def predict(self, tensors: Array) -> Script:
        return self._add("p", len(tensors), tensors)

    def show_head(self) -> Script:
        return self._add("h", 0)

    def forget(self, *, samples: bool) -> Script:
        return self._add("f", int(samples))

    def reopen(self) -> Script:
        return self._add("o", 0)

    def _add(self, letter: str, number: int, *arrays: Array) -> Script:
        parts = [item.astype("<f4") if item.dtype == np.float32 else item for item in arrays]
        self.content += letter.encode() + struct.pack("<I", number) + b"".join(item.tobytes() for item in parts)
        return self


def play(program: Path, head: Path, state: Path, script: Script) -> tuple[list[dict[str, Any]], Array]:
    """What a driver said to each step (the first: to being opened), and its answers, float32, one after the other."""
    if not state.exists():
        state.mkdir()
    file, answers = state.with_suffix(".script"), state.with_suffix(".answers")
    file.write_bytes(script.content)
    said = run(program, head, state, file, answers).stdout
    return [json.loads(line) for line in said.splitlines()], np.fromfile(answers, "<f4")

"""Fifty pictures with the steps of a contract and the tensors of the reference: what a client of any language must give.

`python -m tests.deploy.contract.cases` writes them to web-demo/tests/contract-cases.json.
"""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.settings.inputs import FITS, RESAMPLERS
from edgeship.typed_json import convert

FILE = Path(__file__).resolve().parents[3] / "web-demo" / "tests" / "contract-cases.json"
COUNT = 50
SCALES: tuple[tuple[list[float], list[float]], ...] = (
    ([1.0], [0.0]), ([1 / 255], [0.0]), ([1 / 127.5], [-1.0]),
    ([1 / 58.395, 1 / 57.12, 1 / 57.375], [-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375]),
)  # fmt: skip


def build_cases() -> list[dict[str, Any]]:
    """The cases: each has a picture (base64 of bytes), its size and orientation, steps, and the tensor (base64, float32)."""
    return [_build_case(index, random.Random(index)) for index in range(COUNT)]


def _build_case(index: int, dice: random.Random) -> dict[str, Any]:
    height, width = (dice.choice((1, 2, 5, 7, 9, 13, 16, 31)) for _ in range(2))
    new_height, new_width = (dice.choice((1, 3, 4, 8, 11, 17)) for _ in range(2))
    channels, grey = (1, 3, 4)[index % 3], dice.random() < 0.5
    steps = _choose_steps(dice, new_height, new_width, grey, RESAMPLERS[index % len(RESAMPLERS)])
    pixels = np.random.default_rng(index).integers(0, 256, (height, width, channels), np.uint8)
    orientation = index % 8 + 1
    item = convert(ContractInput, {
        "name": "image", "kind": "image", "steps": steps,
        "raw": {
            "dtype": "uint8", "layout": "HWC", "colour": "grey" if grey else "rgb", "alpha": True, "orientation": "exif",
        },
        "tensor": {"shape": [1, new_height, new_width, 1 if grey else 3], "dtype": "float32"},
    })  # fmt: skip
    tensor = preprocess_input(item, pixels, orientation)
    return {
        "height": height, "width": width, "channels": channels, "orientation": orientation,
        "pixels": base64.b64encode(pixels.tobytes()).decode(), "steps": steps, "grey": grey,
        "shape": list(tensor.shape[1:]), "tensor": base64.b64encode(tensor.astype("<f4").tobytes()).decode(),
    }  # fmt: skip


def _choose_steps(dice: random.Random, height: int, width: int, grey: bool, resampler: str) -> list[dict[str, Any]]:
    multiply, add = dice.choice(SCALES[:3] if grey else SCALES)
    invert = dice.choice((None, "dark", "light"))
    return [
        {"step": "orient"},
        {"step": "flatten_alpha", "ground": dice.choice((0, 99, 255))},
        *([{"step": "grey", "weights": [299, 587, 114]}] if grey else []),
        *([{"step": "invert", "ground": invert}] if invert else []),
        {
            "step": "resize", "height": height, "width": width, "fit": dice.choice(FITS), "resampler": resampler,
            "border": dice.choice((0, 255, 41, "rim")),
        },
        *([{"step": "swap_red_blue"}] if not grey and dice.random() < 0.3 else []),
        {"step": "affine", "multiply": multiply, "add": add},
    ]  # fmt: skip


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(case) for case in build_cases()) + "\n]\n", encoding="utf-8")

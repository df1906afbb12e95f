"""A contract of a small classifier of grey pictures, as JSON."""

from __future__ import annotations

import copy
from typing import Any

DIGEST = "0" * 64
_ARTIFACT = {
    "id": "tflite/int8", "path": "tflite/int8.tflite", "digest": DIGEST, "signature": "serving_default",
    "inputs": [
        {
            "input": "image", "tensor": "serving_default_image:0", "index": 0, "shape": [None, 8, 8, 1], "dtype": "int8",
            "quantization": {"scale": 1.0, "zero_point": -128},
        },
    ],
    "outputs": [
        {
            "output": "scores", "tensor": "StatefulPartitionedCall:0", "index": 0, "shape": [None, 2], "dtype": "int8",
            "quantization": {"scale": 0.00390625, "zero_point": -128}, "tolerance": 0.02,
        },
    ],
}  # fmt: skip
_CONTRACT = {
    "schema": 1, "kind": "edgeship-contract", "name": "digits", "server_model": DIGEST,
    "inputs": [
        {
            "name": "image", "kind": "image",
            "raw": {"dtype": "uint8", "layout": "HWC", "colour": "grey", "alpha": True, "orientation": "exif"},
            "steps": [
                {"step": "orient"}, {"step": "flatten_alpha", "ground": 0}, {"step": "grey", "weights": [299, 587, 114]},
                {"step": "invert", "ground": "dark"},
                {"step": "resize", "height": 8, "width": 8, "fit": "contain", "resampler": "area", "border": 0},
                {"step": "affine", "multiply": [1.0], "add": [0.0]},
            ],
            "tensor": {"shape": [1, 8, 8, 1], "dtype": "float32"},
            "known": {"resampler": "unknown", "fit": "inferred", "affine": "stated"},
        },
    ],
    "outputs": [{"name": "scores", "shape": [1, 2], "activation": "softmax", "labels": ["one", "two"]}],
    "artifacts": [_ARTIFACT],
    "goldens": {
        "samples": 1, "folder": "goldens/raw",
        "cases": [
            {
                "name": "0", "input": {"image": {"height": 8, "width": 8, "channels": 1, "orientation": 1}},
                "label": "two", "clear": ["tflite/int8"],
            },
        ],
    },
}  # fmt: skip


def example_contract() -> dict[str, Any]:
    return copy.deepcopy(_CONTRACT)

"""Store the weights of a TF.js graph model in another type, by the converter's own hand: the graph is the same for all."""

from __future__ import annotations

import json
from pathlib import Path


def store_weights(folder: Path, weights: str) -> None:
    """Write the float32 weights of a graph model anew as `weights` (uint8, float16), in place."""
    from tensorflowjs.read_weights import read_weights
    from tensorflowjs.write_weights import write_weights

    file = folder / "model.json"
    model = json.loads(file.read_text(encoding="utf-8"))
    groups = read_weights(model["weightsManifest"], str(folder))
    for name in [name for group in model["weightsManifest"] for name in group["paths"]]:
        (folder / name).unlink()
    manifest = write_weights(groups, str(folder), write_manifest=False, quantization_dtype_map={weights: "*"})
    file.write_text(json.dumps({**model, "weightsManifest": manifest}), encoding="utf-8")

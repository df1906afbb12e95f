"""Make `runtimes/launchers/known.npz` again.

Usage: python -m scripts.maintain.known_models BUNDLE EVALUATION.npz

Takes the int8 `.tflite` and `.onnx` of a bundle, a few samples, and this machine's outputs for them.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.runtimes import tensors
from edgeship.runtimes.launchers.selfcheck import FILE
from edgeship.runtimes.session import open_session

SAMPLES = 48


def main(bundle: Path, data: Path) -> None:
    """Write the file beside the doctor's source."""
    arrays: dict[str, Any] = {}
    for kind, runtime in (("tflite", "litert"), ("onnx", "onnxruntime")):
        path = bundle / kind / f"int8.{kind}"
        with open_session(runtime, path) as session, np.load(data) as stored:
            spec = session.inputs[0]
            values = stored[spec.name if spec.name in stored else "x"]
            chosen = values[np.linspace(0, len(values) - 1, SAMPLES).astype(int)].astype(np.float32)
            raw = tensors.check_feeds({spec.name: chosen}, session.inputs, runtime, raw=False)
            outputs = session.evaluate_stored(iter([raw]), SAMPLES, raw=True)
        arrays[f"{kind}_model"] = np.frombuffer(path.read_bytes(), np.uint8)
        arrays[f"{kind}_inputs"] = raw[spec.name]
        arrays[f"{kind}_outputs"] = next(iter(outputs.values()))
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

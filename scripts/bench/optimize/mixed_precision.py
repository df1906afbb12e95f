"""The part of `make bench-optimize` about `quantize = "auto"`: a model that int8 breaks, and what mending it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeship.processes.child import FunctionProcess
from scripts import ROOT

SEED, EPOCHS, SMALLER = 0, 6, 4e-3
TASK, BROKEN = "fashion-mnist", "depthwise4"
CONFIG = """
[data]
calibration = "../{task}/calibration.npz"
evaluation = "../{task}/evaluation.npz"

[variants.float32]
[variants.int8]
[variants.mended]
quantize = "auto"

[budget]
accuracy = "mlperf99"
"""


def build(data: str, out: str) -> None:
    """Train a net of depthwise blocks and make the channels of one differ; runs in a TensorFlow process.

    Scaling a channel by s and the kernel that reads it by 1/s changes no output, since ReLU keeps positive factors: batch
    normalization leaves models in this state (Nagel et al. 2019, arXiv 1906.04721, figure 2). An int8 tensor has one scale
    for all channels, so what is 250 times smaller than the largest vanishes. XNNPACK refuses to run what is wider apart.
    """
    import keras
    import numpy as np

    with np.load(data) as stored:
        (name,) = (name for name in stored.files if name != "y")
        images, labels = stored[name], stored["y"]
    keras.utils.set_random_seed(SEED)
    model = _net(keras, name, images.shape[1:], int(labels.max()) + 1)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), labels, batch_size=128, epochs=EPOCHS, verbose=0)
    writer, reader = model.get_layer(BROKEN), model.get_layer(BROKEN.replace("depthwise", "pointwise"))
    kernel, bias = writer.get_weights()
    scale = np.full(kernel.shape[2], SMALLER, np.float32)
    scale[0] = 1
    writer.set_weights([kernel * scale[:, None], bias * scale])
    (kernel,) = reader.get_weights()
    reader.set_weights([kernel / scale[:, None]])
    model.save(out)


def _net(keras: Any, name: str, shape: tuple[int, ...], classes: int) -> Any:
    layers = keras.layers
    image = keras.Input(shape, name=name)
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    for block, width in enumerate((16, 16, 32, 32, 32, 32)):
        strides = 2 if block == 2 else 1
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", activation="relu", name=f"depthwise{block}")(x)
        x = layers.Conv2D(width, 1, use_bias=False, name=f"pointwise{block}")(x)
        x = layers.ReLU(name=f"relu{block}")(layers.BatchNormalization(momentum=0.9, name=f"norm{block}")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="probabilities")(x))


def shipped(edgeship: Callable[..., None], work: Path) -> dict[str, Any]:
    """Ship plain int8 and `auto` of that model, which needs what the task's part has left."""
    home = work / "broken"
    home.mkdir(exist_ok=True)
    model, bundle = home / "broken.keras", home / "bundle"
    if not model.is_file():
        with FunctionProcess(env={"PYTHONPATH": str(ROOT)}) as process:
            process.call(
                "scripts.bench.optimize.mixed_precision:build", data=str(work / TASK / "train.npz"), out=str(model)
            )
    (home / "edgeship.toml").write_text(CONFIG.format(task=TASK), encoding="utf-8")
    edgeship("ship", model, "--out", bundle, "--to", "tflite,onnx", codes=(0, 1))
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    made = {item["id"]: item for item in manifest["artifacts"]}
    return {
        "rows": {item["artifact"]: _row(manifest, item) for item in manifest["measurements"]},
        "recipe": made["tflite/mended"]["steps"][-1]["recipe"],
    }


def _row(manifest: dict[str, Any], measurement: dict[str, Any]) -> dict[str, Any]:
    verdicts = {item["verdict"] for item in manifest["gate"]["checks"] if item["artifact"] == measurement["artifact"]}
    ratio = measurement["details"].get("latency_ratio") or {}
    return {
        "verdict": next(word for word in ("FAIL", "INCONCLUSIVE", "PASS") if word in verdicts),
        "bytes": next(item["value"] for item in measurement["metrics"] if item["name"] == "size_disk_bytes"),
        "latency_ratio": ratio.get("value"),
        **{key: measurement["details"]["accuracy"][key] for key in ("value", "drop", "low", "high", "n")},
    }

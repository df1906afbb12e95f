"""What `make bench-optimize` asks of the built-in tasks: configurations, client models, and the rows that must be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = """
[data]
calibration = "calibration.npz"
train = "train.npz"
validation = "validation.npz"
labels = "labels.txt"

[budget]
accuracy = "mlperf99"

[training]
seed = 0
"""
FURTHER = """epochs = {epochs}
teacher = {teacher}

[variants.float32]
[variants.int8]
[variants.pruned70-int8]
quantize = "static_w8a8"
prune = 0.7
"""
START = """epochs = {epochs}

[variants.float32]
"""
COMBINED = """[variants.{name}]
quantize = "static_w8a8"
prune = {sparsity}
cluster = 16
qat = true
"""
SPARSITIES: dict[str, dict[str, float]] = {
    "fashion-mnist": {"p70-c16-qat-int8": 0.7},
    "motion": {"p60-c16-qat-int8": 0.6, "p70-c16-qat-int8": 0.7},
}
CLIENT = """epochs = {epochs}
patience = {epochs}

[variants.float32]
"""
STUDENT = """[variants.{name}-int8]
quantize = "static_w8a8"
distill = {{ student = "{name}.keras" }}
"""
# Strided convolutions from the first layer on: width of each.
CLIENTS: dict[str, dict[str, tuple[int, ...]]] = {
    "fashion-mnist": {"client-8-24-64": (8, 24, 64), "client-8-28-64": (8, 28, 64)},
    "motion": {"client-16-24-32": (16, 24, 32), "client-16-32": (16, 32)},
}
# Per step of training: pruning alone, the combination of three steps, a client model.
EPOCHS = {"fashion-mnist": (4, 4, 8), "motion": (24, 6, 24)}
# The say of the server model in what a pruned one learns. The subjects of motion's splits differ, and labels of few of them
# lead away from the server model.
TEACHER = {"fashion-mnist": 0.0, "motion": 1.0}
FLOAT, INT8, PRUNED = "float32", "int8", "pruned70-int8"


@dataclass(frozen=True)
class Row:
    """What must be shown: a figure of one of the candidates (variants) at most `limit`, accuracy at most `drop` (share) lower."""

    what: str
    candidates: tuple[str, ...]
    drop: float
    figure: str
    limit: float


def rows(task: str) -> tuple[Row, ...]:
    """The rows, the same for every task."""
    clients = tuple(f"{name}-int8" for name in CLIENTS[task])
    return (
        Row("int8 PTQ", (INT8,), 0.003, "size to float32's", 0.27),
        Row("70 % pruned + int8", (PRUNED,), 0.007, "brotli to dense int8's", 0.5),
        Row(
            "pruned + clustered + QAT int8",
            tuple(SPARSITIES[task]),
            0.01,
            "brotli to brotli'd float32's",
            0.10,
        ),
        Row("distilled client model, int8", clients, 0.02, "latency to the server model's float32 .tflite", 0.2),
    )


def pruned(task: str, teacher: float) -> str:
    """The configuration file of the pruned variant, with that say of the server model."""
    return DATA + FURTHER.format(epochs=EPOCHS[task][0], teacher=teacher)


def configurations(task: str) -> dict[str, str]:
    """The configuration files: what is trained further, and the client models, which take more epochs."""
    clients = "".join(STUDENT.format(name=name) for name in CLIENTS[task])
    combined = "".join(COMBINED.format(name=name, sparsity=share) for name, share in SPARSITIES[task].items())
    _, steps, client = EPOCHS[task]
    return {
        "further.toml": pruned(task, TEACHER[task]),
        "combined.toml": DATA + START.format(epochs=steps) + combined,
        "client.toml": DATA + CLIENT.format(epochs=client) + clients,
    }


def figure(row: Row, name: str, found: Mapping[str, Any]) -> float:
    """The figure that a row limits, of the variant of that name; infinite where it could not be measured."""
    item = found[name]
    value = {
        "size to float32's": lambda: item["disk"] / found[FLOAT]["disk"],
        "brotli to dense int8's": lambda: item["brotli"] / found[INT8]["brotli"],
        "brotli to brotli'd float32's": lambda: item["brotli"] / found[FLOAT]["brotli"],
        "latency to the server model's float32 .tflite": lambda: item["latency_ratio"],
    }[row.figure]()
    return float("inf") if value is None else float(value)


def build_clients(task: str, server: str, folder: str) -> None:
    """Write untrained client models with the server model's ends; runs in a TensorFlow process."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.models.load_model(server)
    (shape,) = (tensor.shape[1:] for tensor in model.inputs)
    convolution = layers.Conv2D if len(shape) == 3 else layers.Conv1D
    for name, widths in CLIENTS[task].items():
        first = keras.Input(shape, name=model.inputs[0].name)
        # What the server model does to raw values stays as it is there.
        features = model.layers[1](first)
        for number, width in enumerate(widths, 1):
            size = 3 if len(shape) == 3 else 5
            options = {"strides": 2, "padding": "same", "use_bias": False, "name": f"conv{number}"}
            features = convolution(width, size, **options)(features)
            features = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(features)
            features = layers.ReLU(name=f"relu{number}")(features)
        features = layers.Dropout(0.3, name="dropout")(layers.Flatten(name="flatten")(features))
        answer = layers.Dense(model.outputs[0].shape[-1], activation="softmax", name="probabilities")(features)
        keras.Model(first, answer, name=name.replace("-", "_")).save(Path(folder) / f"{name}.keras")

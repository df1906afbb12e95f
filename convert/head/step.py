"""One step of training a model's head, as a SavedModel of builtin operators that keeps nothing between its calls.

    scores = features @ weights + bias;  answers = activation(scores)
    new_weights = weights - rate * features.T @ (answers - target) / batch
    new_bias = bias - rate * mean(answers - target)

It is gradient descent on `loss`: the mean over samples of the cross-entropy (softmax; sigmoid summed over outputs), or of half
the squared error (linear). These activations are the canonical links of their losses, so that the gradient by the scores is
answers - target for each (Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.6).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgeship.convert.export.export import SIDECAR, SIGNATURE
from edgeship.errors import InputError
from edgeship.server_model.description import ServerModelDescription
from edgeship.storage import atomic
from edgeship.types import TensorSpec, to_json


def step_inputs(features: int, outputs: int, batch: int) -> tuple[TensorSpec, ...]:
    """What a step reads, all float32: `batch` samples with their targets, the rate, and the head."""
    shapes: dict[str, tuple[int, ...]] = {
        "features": (batch, features),
        "target": (batch, outputs),
        "rate": (),
        "weights": (features, outputs),
        "bias": (outputs,),
    }
    return tuple(TensorSpec(name, shape, "float32") for name, shape in shapes.items())


def step_outputs(features: int, outputs: int) -> tuple[TensorSpec, ...]:
    """What a step gives, all float32: the next head, and the loss of the one that it was given."""
    shapes: dict[str, tuple[int, ...]] = {"new_weights": (features, outputs), "new_bias": (outputs,), "loss": ()}
    return tuple(TensorSpec(name, shape, "float32") for name, shape in shapes.items())


def run(out: str, features: int, outputs: int, activation: str, batch: int) -> None:
    """Write the step to the folder `out` as an export that the converters read. Raises InputError for an unknown activation."""
    import tensorflow as tf

    inputs = step_inputs(features, outputs, batch)

    def serve(**feeds: Any) -> dict[str, Any]:
        scores = tf.matmul(feeds["features"], feeds["weights"]) + feeds["bias"]
        answers, losses = _answer(tf, scores, feeds["target"], activation)
        error = (answers - feeds["target"]) / float(batch)
        gradient = tf.matmul(feeds["features"], error, transpose_a=True)
        return {
            "new_weights": feeds["weights"] - feeds["rate"] * gradient,
            "new_bias": feeds["bias"] - feeds["rate"] * tf.reduce_sum(error, 0),
            "loss": tf.reduce_mean(tf.reduce_sum(losses, 1)),
        }

    with atomic.atomic_folder(Path(out)) as draft:
        module = tf.Module()
        module.serve = tf.function(serve, autograph=False)
        tensors = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs}
        concrete = module.serve.get_concrete_function(**tensors)
        tf.saved_model.save(module, str(draft), signatures={SIGNATURE: concrete})
        description = ServerModelDescription(inputs, step_outputs(features, outputs))
        (draft / SIDECAR).write_text(json.dumps(to_json(description)), encoding="utf-8")


def _answer(tf: Any, scores: Any, target: Any, activation: str) -> tuple[Any, Any]:
    """The answers for scores, and the loss of each, (batch, outputs). Of operators that TFLite has."""
    if activation == "softmax":
        return tf.nn.softmax(scores), -target * tf.nn.log_softmax(scores)
    if activation == "sigmoid":  # max(z, 0) - z t + log(1 + exp(-|z|)), which no score overflows
        return tf.sigmoid(scores), tf.nn.relu(scores) - scores * target + tf.math.log(1.0 + tf.exp(-tf.abs(scores)))
    if activation == "linear":
        return scores, 0.5 * tf.square(scores - target)
    raise InputError(f"a head with {activation} is not learned; known are softmax, sigmoid and linear")

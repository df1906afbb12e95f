"""What needs Keras: broken variants of a trained model, and a small model with two inputs and two outputs.

Called by name in the TensorFlow process of `edgeship.processes.executors`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PAIR = {"raising": (1, 2, 6), "rotating": (3, 4)}  # exercises of the motion task that raise the arm, or turn it


def broken(model: str, out: str, change: str) -> None:
    """Write the model of the file `model` to `out`, broken by the function of that name below."""
    import keras

    loaded = keras.models.load_model(model)
    made = CHANGES[change](loaded)
    (made or loaded).save(out)


def _last_dense(model: Any) -> Any:
    return [layer for layer in model.layers if type(layer).__name__ == "Dense"][-1]


def _norms(model: Any) -> list[Any]:
    return [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


def _outputs_moved(order: Callable[[int], list[int]]) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        kernel, bias = _last_dense(model).get_weights()
        moved = order(len(bias))
        _last_dense(model).set_weights([kernel[:, moved], bias[moved]])

    return change


def _neighbours(classes: int) -> list[int]:
    """Only two of the classes change places."""
    return [1, 0, *range(2, classes)]


def _dropped(model: Any) -> None:
    kernel, bias = _last_dense(model).get_weights()
    bias[2] -= 1e4
    _last_dense(model).set_weights([kernel, bias])


def _statistics_reset(model: Any) -> None:
    for layer in _norms(model):
        gamma, beta, mean, variance = layer.get_weights()
        layer.set_weights([gamma, beta, np.zeros_like(mean), np.ones_like(variance)])


def _scale_reset(model: Any) -> None:
    for layer in _norms(model):
        gamma, beta, mean, variance = layer.get_weights()
        layer.set_weights([np.ones_like(gamma), np.zeros_like(beta), mean, variance])


def _one_statistic_reset(model: Any) -> None:
    layer = _norms(model)[-1]
    gamma, beta, mean, variance = layer.get_weights()
    layer.set_weights([gamma, beta, np.zeros_like(mean), np.ones_like(variance)])


def _epsilon(model: Any) -> Any:
    """Batch normalization with another framework's idea of epsilon, as a port with wrong defaults has it."""
    return _rebuilt(model, lambda layer, config: {**config, "epsilon": 0.1} if "epsilon" in config else config)


def _softmax_lost(model: Any) -> Any:
    last = _last_dense(model).name
    return _rebuilt(model, lambda layer, config: {**config, "activation": "linear"} if layer.name == last else config)


def _softmax_twice(model: Any) -> Any:
    import keras

    return keras.Model(model.inputs, keras.layers.Softmax(name="probabilities_again")(model.output))


def _normalization_forgotten(model: Any) -> Any:
    """What the model does to raw inputs is left out, as where an app was to do it and does not."""

    def plain(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
        if type(layer).__name__ == "Rescaling":
            return {**config, "scale": 1.0, "offset": 0.0}
        if type(layer).__name__ == "Normalization":
            return {**config, "mean": 0.0, "variance": 1.0}
        return config

    return _rebuilt(model, plain)


def _normalization_of_others(model: Any) -> Any:
    """Mean and deviation of another data set: ImageNet's grey mean and deviation, or those of one other person."""

    def other(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
        if type(layer).__name__ == "Rescaling":
            return {**config, "scale": 1 / (255 * 0.226), "offset": -0.449 / 0.226}
        if type(layer).__name__ == "Normalization":
            mean, variance = (np.ravel(value) for value in (layer.mean, layer.variance))
            return {**config, "mean": (mean + 0.5 * np.sqrt(variance)).tolist(), "variance": (variance * 4).tolist()}
        return config

    return _rebuilt(model, other)


def _rebuilt(model: Any, configure: Callable[[Any, dict[str, Any]], dict[str, Any]]) -> Any:
    """The same network with other settings of its layers; weights that still fit are kept."""
    import keras

    def clone(layer: Any) -> Any:
        return type(layer).from_config(configure(layer, layer.get_config()))

    made = keras.models.clone_model(model, clone_function=clone)
    for old, new in zip(model.layers, made.layers, strict=True):
        if [item.shape for item in old.weights] == [item.shape for item in new.weights]:
            new.set_weights(old.get_weights())
    return made


def _outputs_swapped(model: Any) -> Any:
    import keras

    first, second = model.output_names
    tensors = dict(zip(model.output_names, model.outputs, strict=True))
    ends = {first: tensors[second], second: tensors[first]}
    return keras.Model(model.inputs, {name: keras.layers.Identity(name=name + "_")(ends[name]) for name in ends})


def _inputs_swapped(model: Any) -> Any:
    import keras

    first, second = (keras.Input(item.shape[1:], name=item.name) for item in model.inputs)
    return keras.Model([first, second], model([second, first]))


def _decision_inverted(model: Any) -> None:
    kernel, bias = model.get_layer("rotating").get_weights()
    model.get_layer("rotating").set_weights([-kernel, -bias])


def _head_untrained(model: Any) -> None:
    kernel, bias = model.get_layer("rotating").get_weights()
    fresh = np.random.default_rng(0).normal(size=kernel.shape) * np.std(kernel)
    model.get_layer("rotating").set_weights([fresh, np.zeros_like(bias)])


CHANGES: dict[str, Callable[[Any], Any]] = {
    "classes permuted": _outputs_moved(lambda n: np.random.default_rng(3).permutation(n).tolist()),
    "labels off by one": _outputs_moved(lambda n: np.roll(np.arange(n), 1).tolist()),
    "two classes swapped": _outputs_moved(_neighbours),
    "a class dropped": _dropped,
    "batch norm: all statistics reset": _statistics_reset,
    "batch norm: one layer's statistics reset": _one_statistic_reset,
    "batch norm: gamma and beta reset": _scale_reset,
    "batch norm: another epsilon": _epsilon,
    "softmax lost": _softmax_lost,
    "softmax twice": _softmax_twice,
    "normalization forgotten": _normalization_forgotten,
    "mean and deviation of other data": _normalization_of_others,
    "outputs swapped": _outputs_swapped,
    "inputs swapped": _inputs_swapped,
    "a decision inverted": _decision_inverted,
    "a head never trained": _head_untrained,
}


def tabular(out: str, epochs: int = 12, seed: int = 0) -> None:
    """Train a model on statistics of the motion task's windows and write it with its data, as `edgeship train` does.

    Inputs `acceleration` and `rotation` (n, 12): mean and deviation per axis and half window. Outputs `raising` and
    `rotating` (n, 1): two yes-or-no questions about the exercise.
    """
    import keras

    from edgeship.train import motion

    data = motion.load(None)
    keras.utils.set_random_seed(seed)
    inputs = [keras.Input((12,), name=name) for name in ("acceleration", "rotation")]
    arrays = {split: _statistics(part) for split, part in data.splits.items()}
    scaled = []
    for tensor in inputs:
        normalize = keras.layers.Normalization(name=f"normalize_{tensor.name}")
        normalize.adapt(arrays["train"][tensor.name])
        scaled.append(normalize(tensor))
    features = keras.layers.Concatenate(name="both")(scaled)
    for number in (1, 2):
        features = keras.layers.Dense(48, activation="relu", name=f"dense{number}")(features)
    outputs = {name: keras.layers.Dense(1, activation="sigmoid", name=name)(features) for name in PAIR}
    model = keras.Model(inputs, outputs, name="exercise_questions")
    model.compile(keras.optimizers.Adam(3e-3), dict.fromkeys(PAIR, "binary_crossentropy"))
    fed = {tensor.name: arrays["train"][tensor.name] for tensor in inputs}
    truth = {name: arrays["train"][f"y_{name}"] for name in PAIR}
    model.fit(fed, truth, epochs=epochs, batch_size=32, verbose=0)
    keras.Model(model.inputs, model.output).save(Path(out) / "server.keras")
    for split, name in (("calibration", "calibration"), ("test", "evaluation")):
        np.savez(Path(out) / f"{name}.npz", **arrays[split])


def _statistics(split: Any) -> dict[str, Any]:
    halves = split.inputs.reshape(len(split.inputs), 2, -1, 6)
    found = np.concatenate([halves.mean(axis=2), halves.std(axis=2)], axis=1).astype(np.float32)  # (n, 4, 6)
    arrays = {
        "acceleration": found[..., :3].reshape(len(found), 12),
        "rotation": found[..., 3:].reshape(len(found), 12),
    }
    return {
        **{name: np.ascontiguousarray(array) for name, array in arrays.items()},
        **{f"y_{name}": np.isin(split.labels, chosen).astype(np.int64) for name, chosen in PAIR.items()},
    }

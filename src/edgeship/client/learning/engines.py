"""The two models of learning in the runtime that is installed: the base, which gives features, and the training step."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning.arithmetic import Array, Head
from edgeship.client.outcome import ClientError
from edgeship.client.selftest.runtimes import find_runtime, missing_reason


class NamedModel:
    """A `.tflite` or `.onnx` model, fed and read by the names of its tensors."""

    _run: Any

    def __init__(self, form: str, path: Path) -> None:
        runtime = find_runtime(form)
        if runtime is None:
            raise ClientError(missing_reason(form))
        self.runtime = runtime.name
        try:
            if form == "tflite":
                module = import_module(f"{runtime.module}.interpreter")
                interpreter = module.Interpreter(model_path=str(path))
                signature = next(iter(interpreter.get_signature_list()))
                self._run = interpreter.get_signature_runner(signature)
                self._names = tuple(self._run.get_output_details())
            else:
                module = import_module(runtime.module)
                session = module.InferenceSession(str(path), providers=["CPUExecutionProvider"])
                names = [item.name for item in session.get_outputs()]
                self._run = lambda **feeds: dict(zip(names, session.run(names, feeds), strict=True))
                self._names = tuple(names)
        except Exception as error:  # whatever a runtime raises over a damaged file
            raise ClientError(f"{path.name} cannot be opened: {' '.join(str(error).split())[:200]}") from error

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name. Raises ClientError where the runtime refuses the inputs."""
        try:
            answers: dict[str, Array] = self._run(**feeds)
        except Exception as error:  # the names and shapes are the caller's
            raise ClientError(f"the model does not take these inputs: {' '.join(str(error).split())[:200]}") from error
        return {name: np.asarray(answers[name]) for name in self._names}


class StepModel:
    """`head_step`: one step of training, nothing kept between calls."""

    def __init__(self, form: str, path: Path) -> None:
        self._model = NamedModel(form, path)

    def take_step(self, features: Array, target: Array, rate: float, head: Head) -> tuple[Head, float]:
        """The head after one step, and the loss before it; as `arithmetic.take_step`, in float32 for exactly one batch."""
        feeds = {"features": features, "target": target, "rate": rate, "weights": head.weights, "bias": head.bias}
        answers = self._model.run({name: np.asarray(value, np.float32, order="C") for name, value in feeds.items()})
        return Head(answers["new_weights"], answers["new_bias"]), float(answers["loss"])

"""The server model: TensorFlow with Keras, by way of `edgeship.server_model.server_model` (so this one needs all of edgeship)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edgeship.processes.wire import Arrays
from edgeship.runtimes.worker.interface import Spec
from edgeship.server_model.server_model import load as load_server_model
from edgeship.types import to_json


class ServerBackend:
    """TensorFlow; the version is TensorFlow's, for it is what computes."""

    VERSION = str(tf.__version__)

    def load(self, path: str, threads: int, options: dict[str, Any]) -> ServerRuntimeModel:
        """Load a `.keras`, `.h5` or SavedModel; `options` are those of `edgeship.server_model.server_model.load`."""
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1 if threads == 1 else 2)
        return ServerRuntimeModel(path, threads, options)


class ServerRuntimeModel:
    """A server model in inference mode."""

    def __init__(self, path: str, threads: int, options: dict[str, Any]) -> None:
        self._model = load_server_model(path, **options)
        self.inputs: list[Spec] = to_json(self._model.inputs)
        self.outputs: list[Spec] = to_json(self._model.outputs)
        self.engine = {"threads": threads, "loader": self._model.loader}

    def run(self, feeds: Arrays) -> Arrays:
        """One inference of the whole batch."""
        return dict(
            self._model.predict(feeds, batch_size=max(len(array) if array.ndim else 1 for array in feeds.values()))
        )

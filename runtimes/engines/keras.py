"""The server model: TensorFlow with Keras, by way of `edgeship.server_model.server_model` (so this one needs all of edgeship)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeship.runtimes.runtime import python_runtime

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays
    from edgeship.runtimes.worker.interface import Spec

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}
RUNTIMES = (
    python_runtime(
        "keras",
        "keras",
        "TensorFlow with Keras (server models)",
        ("tensorflow", "tensorflow-cpu"),
        extra="tensorflow",
        env=QUIET,
        on_boards=False,
    ),
)


def open_backend() -> ServerBackend:
    """Import it."""
    return ServerBackend()


class ServerBackend:
    """TensorFlow; the version is TensorFlow's, for it is what computes."""

    def __init__(self) -> None:
        self._tensorflow: Any = importlib.import_module("tensorflow")
        importlib.import_module("edgeship.server_model.server_model")
        self.VERSION = str(self._tensorflow.__version__)

    def load(self, path: str, threads: int, options: dict[str, Any]) -> ServerRuntimeModel:
        """Load a `.keras`, `.h5` or SavedModel; `options` are those of `edgeship.server_model.server_model.load`."""
        threading = self._tensorflow.config.threading
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1 if threads == 1 else 2)
        return ServerRuntimeModel(path, threads, options)


class ServerRuntimeModel:
    """A server model in inference mode."""

    def __init__(self, path: str, threads: int, options: dict[str, Any]) -> None:
        from edgeship.server_model.server_model import load
        from edgeship.types import to_json

        self._model = load(path, **options)
        self.inputs: list[Spec] = to_json(self._model.inputs)
        self.outputs: list[Spec] = to_json(self._model.outputs)
        self.engine = {"threads": threads, "loader": self._model.loader}

    def run(self, feeds: Arrays) -> Arrays:
        """One inference of the whole batch."""
        return dict(
            self._model.predict(feeds, batch_size=max(len(array) if array.ndim else 1 for array in feeds.values()))
        )

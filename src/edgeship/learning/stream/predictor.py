"""What answers rows: the artifact of a version, as it is shipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.benchmarks.measure.benchmark import evaluation_batch
from edgeship.bundle.bundle import Bundle
from edgeship.data import Batch
from edgeship.errors import InputError
from edgeship.learning.samples.scores import choose_artifact, predict_labels, split_batches
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session

Array = np.ndarray[Any, Any]


class Predictor:
    """A session of the artifact that a version's bundle recommends for servers; `version` is its number in the registry."""

    def __init__(self, version: int, bundle: Bundle) -> None:
        self.version, self.artifact = version, choose_artifact(bundle.manifest)
        entry = bundle.manifest.artifact(self.artifact)
        if entry is None:
            raise InputError(f"version {version} has no artifact that could answer")
        item, server = entry.within(bundle.root), bundle.manifest.server
        self._batch = evaluation_batch(entry.receipt, server.inputs)
        runtime = registry.for_format(item.format)[0]
        self._session = open_session(runtime.name, item.path, threads=None, outputs=server.outputs, bridge=item.bridge)

    def predict(self, inputs: Batch) -> Array:
        """The number of the class of each sample (n,), int64."""
        answers = self._session.evaluate(split_batches(inputs, self._batch), self._batch)
        return np.array([int(text) for text in predict_labels(next(iter(answers.values())), ())], np.int64)

    def close(self) -> None:
        """End the session."""
        self._session.close()

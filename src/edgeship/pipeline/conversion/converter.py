"""Drives one conversion: which steps are queued, and what is waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path
from typing import Any

from edgeship.formats.formats import ALL
from edgeship.pipeline.conversion.source import ConversionResult, ConvertedArtifact, ModelSource
from edgeship.pipeline.conversion.steps import ConversionSteps, Search
from edgeship.pipeline.step_queue import Step, StepQueue
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant


class Converter:
    """One conversion: `start` queues its steps, `finish` waits for them. `search`: see `ConversionSteps`."""

    def __init__(
        self,
        queue: StepQueue,
        model: Path,
        config: Config,
        pairs: Sequence[tuple[Variant, str]],
        search: Search | None = None,
    ) -> None:
        self._queue, self._pairs = queue, pairs
        self.steps = ConversionSteps(ModelSource.read(model, config), config, pairs, search)
        self._artifacts: dict[tuple[str, str], Future[ConvertedArtifact]] = {}

    def describe(self) -> ServerModelDescription:
        """Load the server model, and return what `ServerModel.describe` says of it; nothing is converted yet."""
        name = self.steps.describe()
        description: ServerModelDescription = self._submit()[name].result()
        return description

    def start(self, server_steps: Iterable[Step] = ()) -> Mapping[str, Future[Any]]:
        """Queue the steps of every pair; before those that convert, but behind the export, `server_steps`.

        Returns the future values of all steps, by name.

        The server model's process is the only one that can run these; whatever is converted meanwhile goes to the other.
        """
        self.exported = self.steps.export()
        for variant, _ in self._pairs:
            self.steps.exported(variant)
        for step in server_steps:
            self.steps.add(step)
        # What has most to be done behind its conversion first, so that all executors have work.
        order = sorted(self._pairs, key=lambda pair: (ALL[pair[1]].queue_rank, pair[0].quantize != "float32"))
        for variant, file_format in order:
            self.steps.convert(variant, file_format)
        names = {
            (variant.name, file_format): self.steps.artifact(variant, file_format) for variant, file_format in order
        }
        futures = self._submit()
        self._artifacts = {pair: futures[name] for pair, name in names.items()}
        return futures

    def _submit(self) -> Mapping[str, Future[Any]]:
        return self._queue.submit(self.steps.steps.values())

    @property
    def artifacts(self) -> Iterable[Future[ConvertedArtifact]]:
        """The artifacts that `start` queued, in the order in which they are made."""
        return self._artifacts.values()

    def finish(self) -> ConversionResult:
        """Wait for every pair. Raises the first error; nothing of this run is then used."""
        exported = self._submit()[self.exported].result()
        done, _ = wait(self._artifacts.values(), return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        artifacts = tuple(self._artifacts[variant.name, file_format].result() for variant, file_format in self._pairs)
        return ConversionResult(self.steps.model.exported(exported), artifacts, exported.entry.path)

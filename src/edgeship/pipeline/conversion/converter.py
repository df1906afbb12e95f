"""Drives one conversion: which steps are queued, and what is waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.errors import EdgeshipError
from edgeship.formats.formats import ALL
from edgeship.pipeline.conversion import failures
from edgeship.pipeline.conversion.source import ConversionResult, ConvertedArtifact, ModelSource
from edgeship.pipeline.conversion.steps import ConversionSteps, Search
from edgeship.pipeline.step_queue import Step, StepQueue
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant, built_in_variant


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
        self._ids = {f"{file_format}/{variant.name}": (variant, file_format) for variant, file_format in pairs}
        self._artifacts: dict[str, Future[ConvertedArtifact]] = {}

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
        for variant, file_format in order:
            self.steps.artifact(variant, file_format)
        futures = self._submit()
        self._artifacts = {name: futures[name] for name in self._ids}
        return futures

    def _submit(self) -> Mapping[str, Future[Any]]:
        return self._queue.submit(self.steps.steps.values())

    @property
    def artifacts(self) -> Iterable[Future[ConvertedArtifact]]:
        """The artifacts that `start` queued."""
        return self._artifacts.values()

    def finish(self) -> ConversionResult:
        """Wait for every pair; one that fails for reasons of its own is a failure of the result.

        Raises the error of the server model's export, any that says nothing of an artifact, and what all
        say where not even float32 can be made.
        """
        exported = self._submit()[self.exported].result()
        pending: set[Future[ConvertedArtifact]] = {*self._artifacts.values()}
        while pending:
            done, pending = wait(pending, return_when=FIRST_EXCEPTION)
            for future in done:
                error = future.exception()
                if error and (
                    not failures.is_of_variant(error) or failures.is_misconfigured(error, self._step_of(error))
                ):
                    raise error
        artifacts, errors = {}, {}
        for name, future in self._artifacts.items():
            error = future.exception()
            if isinstance(error, EdgeshipError):
                errors[name] = error
            else:
                artifacts[name] = future.result()
        result = ConversionResult(self.steps.model.exported(exported), tuple(artifacts.values()), exported.entry.path)
        return self.leave_out(result, errors)

    def _step_of(self, error: BaseException) -> str:
        return failures.find_step(error, self._queue.outcomes, self.steps.steps)

    def leave_out(
        self, result: ConversionResult, errors: Mapping[str, EdgeshipError], step: str = ""
    ) -> ConversionResult:
        """The result without the artifacts (by id) that failed, and with a record of each; in the order of the pairs.

        `step` is what failed, by default the step of the conversion. Where nothing is left float32 is made, so that a bundle
        shows what failed and what does not; raises what all say where that cannot be had either.
        """
        artifacts = tuple(item for item in result.artifacts if item.artifact.id not in errors)
        if errors and not artifacts:
            artifacts = self._make_floats(errors)
        if errors and not artifacts:
            raise failures.join_errors(errors)
        asked = dict.fromkeys(file_format for _, file_format in self._pairs)
        records = {item.artifact: item for item in result.failures}
        for name, error in errors.items():
            variant, file_format = self._ids[name]
            failed = step or self._step_of(error)
            others = [item for item in asked if item != file_format]
            layers = result.server.description.layers
            records[name] = failures.describe_failure(error, variant, file_format, failed, others, layers)
        return replace(
            result, artifacts=artifacts, failures=tuple(records[name] for name in self._ids if name in records)
        )

    def _make_floats(self, names: Iterable[str]) -> tuple[ConvertedArtifact, ...]:
        """The float32 artifacts behind others, as far as they can be made and were not tried."""
        behind: dict[str, str] = {}
        for variant, file_format in [self._ids[name] for name in names]:
            plain = replace(built_in_variant("float32", [file_format]), flex=variant.flex)
            name = f"{file_format}/{plain.name}"
            if name not in self._ids:
                self._ids[name] = plain, file_format
                behind[name] = self.steps.artifact(plain, file_format)
        futures = self._submit()
        made = [futures[step].result() for step in behind.values() if not futures[step].exception()]
        if made:
            names = ", ".join(item.artifact.id for item in made)
            self._queue.progress.note(
                f"nothing that was asked for could be made; in the bundle is {names}, to compare with"
            )
        return tuple(made)

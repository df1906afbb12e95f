"""The step of a conversion that trains the server model further, for the variants that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from edgeship.bundle.receipt import Receipt, TensorSparsity
from edgeship.data import RepresentativeDataset
from edgeship.errors import CheckError, InputError
from edgeship.pipeline.fine_tuning import summary
from edgeship.processes.executors import PipelineExecutors
from edgeship.recipes.training import Recipes
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.storage.cache import Entry, versions
from edgeship.typed_json import convert
from edgeship.types import Artifact, Step, to_json

TOOLS = ("tensorflow", "keras", "tf-keras", "tensorflow-model-optimization")
FILE = "trained.keras"
NO_DATA = (
    "training a variant further needs training data with labels: name it as train in [data] of the configuration "
    "(an .npz with one array per model input under its name, labels in y)"
)


class Converter(Protocol):
    """What this step needs of a conversion (`steps.Converter`)."""

    executors: PipelineExecutors
    config: Config
    model: Path
    model_digest: str
    loading: dict[str, Any]
    custom: str | None

    def once(self, name: str, executor: Any, job: Callable[[], Any]) -> Future[Any]: ...  # noqa: D102
    def cached(self, what: str, step: str, key: Mapping[str, Any], make: Callable[[Path], Any]) -> Entry: ...  # noqa: D102


def queue(converter: Converter, recipes: Recipes) -> Future[tuple[Path, str, tuple[Step, ...]]]:
    """The float model that is trained further from the converter's: its file, the digest of it, and the steps to it.

    Raises InputError where the configuration names no training data.
    """
    settings = converter.config
    source, validation = settings.data.train, settings.data.validation
    if source is None:
        raise InputError(NO_DATA)
    asked = {name: value for name, value in to_json(recipes).items() if value is not None}
    loading = {name: value for name, value in converter.loading.items() if name != "signature"}

    by_content = _by_content(asked)

    def job() -> tuple[Path, str, tuple[Step, ...]]:
        tools = versions(*TOOLS)
        data = RepresentativeDataset(source)
        held_out = RepresentativeDataset(validation) if validation else None
        key = {
            "model": converter.model_digest,
            "data": [data.digest, held_out.digest if held_out else None],
            "custom": converter.custom,
            "training": settings.training,
            "recipes": by_content,
            "tools": tools,
            **loading,
        }

        def make(folder: Path) -> Any:
            with digest.check_unchanged(converter.model, converter.model_digest):
                result: dict[str, Any] = converter.executors.train.call(
                    "edgeship.optimize.apply:run",
                    model=str(converter.model),
                    out=str(folder / FILE),
                    data=str(data.path),
                    validation=str(held_out.path) if held_out else None,
                    recipes=asked,
                    training=to_json(settings.training),
                    **loading,
                )
            return {**result, "notes": list(summary(result))}

        entry = converter.cached(f"train further: {', '.join(asked)}", "optimize", to_json(key), make)
        result = entry.result
        shown = {"prune": result.get("sparsity"), "cluster": result.get("clusters")}
        steps = (
            Step(
                f"optimize.{name}",
                converter.model_digest,
                {**recipe, "done": result["steps"][name], "tensors": shown.get(name) or []},
                tools,
            )
            for name, recipe in asked.items()
        )
        return entry.path / FILE, entry.digest, tuple(steps)

    return converter.once(f"further {asked}", converter.executors.train, job)


def with_sparsity(converter: Converter, artifact: Artifact, receipt: Receipt) -> Receipt:
    """An artifact's receipt with its sparsity, read from the artifact itself, where pruning was asked for.

    Raises CheckError where it holds fewer zeros than that.
    """
    asked = [row for step in artifact.steps if step.name == "optimize.prune" for row in step.recipe["tensors"]]
    if not asked:
        return receipt
    try:
        rows = converter.executors.quantize.call(
            "edgeship.convert.receipts.sparsity:check", path=str(artifact.path), format=artifact.format, asked=asked
        )
    except CheckError as error:
        raise CheckError(f"{artifact.id}: {error}; nothing was written") from error
    return replace(receipt, sparsity=convert(tuple[TensorSparsity, ...], rows))


def _by_content(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, with the student's digest in the place of its path."""
    distill = asked.get("distill") or {}
    if not distill.get("student"):
        return dict(asked)
    path = Path(distill["student"])
    if not path.is_file():
        raise InputError(f"student {path}: no such file")
    return {**asked, "distill": {**distill, "student": digest.of_path(path)}}

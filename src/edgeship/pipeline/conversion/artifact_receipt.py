"""What an artifact really holds, read back from its file, and whether that is what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeship.bundle.mixed_precision import MixedPrecisionRecipe
from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts import receipt as receipts
from edgeship.errors import CheckError
from edgeship.formats import formats
from edgeship.formats.layer_names import LayerNames
from edgeship.pipeline.step_queue import StepRun, run_cached
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.variants import Variant
from edgeship.storage.cache import Entry
from edgeship.typed_json import convert
from edgeship.types import Artifact, Bridge, Step, last_computing_step


def read_receipt(run: StepRun, path: Path, entry: Entry, file_format: str, model: ServerModelDescription) -> Receipt:
    """Open the artifact again and write down what it really holds."""
    place = formats.find(file_format).place(path)
    key = {"artifact": entry.digest, "kernels": model.kernel_elements}

    def make(_: Path) -> Receipt:
        return run.executor.call(receipts.read, path=str(place), format=file_format, kernels=model.kernel_elements)

    return convert(Receipt, run_cached(run, "", "receipt", key, make).result)


def check_receipt(
    receipt: Receipt,
    variant: Variant,
    file_format: str,
    model: ServerModelDescription,
    last: Step,
    bridge: Bridge | None = None,
) -> None:
    """Raise CheckError where an artifact is not what was asked for, as far as the `last` step of its making had no choice.

    The receipt has the layers that `auto` kept (`add_kept_layers`), which are no less int8 than was asked for.
    """
    full_integer = variant.quantize in ("static_w8a8", "auto")
    io = last.recipe.get("io", variant.io) if variant.io == "auto" else variant.io
    expected = receipts.ExpectedArtifact(
        model,
        variant="int8" if full_integer else variant.quantize,
        io=io if full_integer and formats.find(file_format).integer_io else "float32",
        allow_flex=variant.flex,
        sparse_encoding=variant.sparse_encoding,
        float_operators=_count_float_by_choice(receipt, last.recipe.get("float_operators", ()), model.layers)
        + (1 if bridge else 0),  # what makes one channel of three
    )
    try:
        receipts.check(receipt, expected)
    except CheckError as error:
        raise CheckError(f"{file_format}/{variant.name}: {error}").about(error.layers) from error


def _count_float_by_choice(receipt: Receipt, operators: Sequence[str], layers: Sequence[str]) -> int:
    """How many operators stayed float since int8 would have ruined them, or in layers that were kept in float32."""
    kept = [row for row in receipt.kept_layers or () if row.precision == "float32"]
    parts = {part for row in kept for part in row.layer.split(" + ")}
    names = LayerNames(layers, operators)
    others = [name for name in operators if not parts & {*names.layers_of(name)}]
    return len(others) + sum(row.kept for row in kept)


def add_sparsity(run: StepRun, artifact: Artifact, receipt: Receipt) -> Receipt:
    """An artifact's receipt with its sparsity, read from the artifact itself, where pruning was asked for.

    Raises CheckError where it holds fewer zeros than that.
    """
    asked = [row for step in artifact.steps if step.name == "optimize.prune" for row in step.recipe["tensors"]]
    if not asked:
        return receipt
    from edgeship.convert.receipts import sparsity

    try:
        rows = run.executor.call(sparsity.check, path=str(artifact.path), format=artifact.format, asked=asked)
    except CheckError as error:
        raise CheckError(f"{artifact.id}: {error}") from error
    return replace(receipt, sparsity=tuple(rows))


def add_kept_layers(
    run: StepRun, artifact: Artifact, receipt: Receipt, float_model: Path, model: ServerModelDescription
) -> Receipt:
    """An artifact's receipt with the precision of the layers that its recipe claims to be higher, read from the file itself.

    `float_model`: what it was quantized from. Raises CheckError where a claim does not hold.
    """
    from edgeship.optimize.quantize import kept_layers

    recipe = MixedPrecisionRecipe.parse(last_computing_step(artifact.steps).recipe)
    if not recipe.layers:
        return receipt
    try:
        rows = run.executor.call(
            kept_layers.check,
            path=str(artifact.path),
            float_model=str(float_model),
            format=artifact.format,
            precision=recipe.precision,
            claimed=recipe.layers,
            layers=model.layers,
        )
    except CheckError as error:
        raise CheckError(f"{artifact.id}: {error}").about(error.layers) from error
    return replace(receipt, kept_layers=tuple(rows))

"""The parent's side of training a model further: checks before TensorFlow starts, progress, and what is said at the end."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.optimize.receipt import DistillReceipt, OptimizeReceipt, QatReceipt
from edgeship.pipeline import remote_calls
from edgeship.processes.child import FunctionProcess, training_env
from edgeship.processes.progress_events import display_events, follow_events
from edgeship.recipes.training import Recipes, Training
from edgeship.types import to_json

BESIDE = "train.npz"  # what `edgeship train` leaves beside a model
NO_DATA = (
    "training a model further needs training data with labels: give --data train.npz (one array per model input under its "
    "name, labels in y, samples along the first axis)"
)


def run(
    model: Path,
    out: Path,
    recipes: Recipes,
    training: Training,
    *,
    data: str | None = None,
    validation: str | None = None,
    **loading: Any,
) -> OptimizeReceipt:
    """Apply the recipes in a TensorFlow process; writes `out` and its receipt beside it, and returns the receipt.

    Raises InputError before TensorFlow starts for what can be known by then.
    """
    beside = model.parent / BESIDE
    source = _check_possible(model, out, recipes, data or (str(beside) if beside.is_file() else None))
    with tempfile.TemporaryDirectory(prefix="edgeship-optimize-") as folder:
        progress = Path(folder) / "progress.jsonl"
        with display_events() as show, follow_events(progress, show), FunctionProcess(env=training_env()) as child:
            receipt = child.call(
                remote_calls.train_further,
                model=str(model),
                out=str(out),
                data=source,
                validation=validation,
                recipes={key: value for key, value in to_json(recipes).items() if value is not None},
                training=to_json(training),
                progress=str(progress),
                **loading,
            )
    receipt_path(out).write_text(
        json.dumps({"schema": 1, **receipt.record()}, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    return receipt


def receipt_path(out: Path) -> Path:
    """Where the receipt of a model lies."""
    return out.with_suffix(".optimize.json")


def _check_possible(model: Path, out: Path, recipes: Recipes, source: str | None) -> str:
    """The data source, where all that is asked for can be done."""
    if not recipes:
        raise InputError("nothing to do: ask for --prune, --cluster, --qat or --distill")
    if not model.exists():
        raise InputError(f"{model}: no such file; give a .keras model")
    if out.suffix != ".keras":
        raise InputError(f"{out}: the model is written as .keras; give a name that ends in it")
    if out.resolve() == model.resolve():
        raise InputError(f"{out}: is the model itself; give another --out, the server model stays the reference")
    place = next(folder for folder in out.absolute().parents if folder.exists())
    if not os.access(place, os.W_OK):
        raise InputError(f"{out}: cannot be written; give another --out")
    if source is None:
        raise InputError(NO_DATA)
    if source.endswith(".npz") and not Path(source).is_file():
        raise InputError(f"{source}: no such file; {NO_DATA}")
    return source


def summary(receipt: OptimizeReceipt) -> Iterator[str]:
    """A few lines on what came of it."""
    for name, before in receipt.before.items():
        metric, value = next(iter(before.items()))
        after, samples = receipt.after[name][metric], receipt.data.held_out
        yield f"{name}: {metric} {value:.4f} before, {after:.4f} after, on {samples:,} held-out samples"
    for kind, step in receipt.steps.items():
        if step.why:
            yield f"{kind}: with {step.engine}, as the model cannot be rebuilt in tf_keras ({step.why})"
        if isinstance(step, QatReceipt) and step.left_in_float:
            reasons = (f"{name} ({why})" for name, why in step.left_in_float.items())
            yield f"{kind}: left in float: {', '.join(reasons)}"
        if isinstance(step, DistillReceipt):
            sizes = step.parameters
            yield f"{kind}: {step.student}: {sizes.student:,} parameters instead of {sizes.server:,}"
    if pruned_tensors := receipt.sparsity:
        share = sum(row.achieved * row.values for row in pruned_tensors) / sum(row.values for row in pruned_tensors)
        zeros = f"asked for {pruned_tensors[0].asked:.1%} zeros, {share:.2%} achieved"
        yield f"pruned: {len(pruned_tensors)} tensors, {zeros}, read from {receipt.file.path}"
    if clustered_tensors := receipt.clusters:
        most = max(row.achieved for row in clustered_tensors)
        asked = clustered_tensors[0].asked
        yield f"clustered: {len(clustered_tensors)} tensors, at most {asked} values asked for, {most} achieved"

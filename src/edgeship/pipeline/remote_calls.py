"""Functions for child processes whose own modules import what the command line does without: these do so when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeship.optimize.receipt import FineTuneReceipt, OptimizeReceipt


def train_further(
    *,
    model: str,
    out: str,
    data: str,
    recipes: Mapping[str, Any],
    training: Mapping[str, Any],
    validation: str | None = None,
    progress: str | None = None,
    **loading: Any,
) -> OptimizeReceipt:
    """`optimize.apply.run`, behind TensorFlow."""
    from edgeship.optimize import apply

    return apply.run(
        model=model,
        out=out,
        data=data,
        recipes=recipes,
        training=training,
        validation=validation,
        progress=progress,
        **loading,
    )


def fine_tune(
    *,
    model: str,
    out: str,
    data: str,
    validation: str,
    training: Mapping[str, Any],
    taught: int = 0,
    layer: str | None = None,
    progress: str | None = None,
    **loading: Any,
) -> FineTuneReceipt:
    """`optimize.fine_tune.run`, behind TensorFlow."""
    from edgeship.optimize import fine_tune

    return fine_tune.run(
        model=model,
        out=out,
        data=data,
        validation=validation,
        training=training,
        taught=taught,
        layer=layer,
        progress=progress,
        **loading,
    )

"""Which variants are made in which formats."""

from __future__ import annotations

from collections.abc import Sequence

from edgeship.bundle.verdict import ArtifactReason
from edgeship.errors import InputError
from edgeship.recipes.quantization import needs_data
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant, default_variants, unsupported_reason

NO_DATA = (
    'quantize = "auto" leaves layers in higher precision until the gate passes, so it needs evaluation data, with labels '
    "where the budget asks for accuracy: give --evaluation evaluation.npz, or name it as evaluation in [data] of the "
    "configuration"
)


def plan(config: Config, formats: Sequence[str]) -> tuple[list[tuple[Variant, str]], list[ArtifactReason]]:
    """The (variant, format) pairs to make, and those skipped with the reason.

    A pair without meaning is refused (InputError) where nothing else was asked of that variant.
    """
    variants = (
        config.variants
        if config.variants is not None
        else default_variants(formats, config.data.calibration is not None)
    )
    pairs, skipped = [], []
    for variant in variants:
        asked = [name for name in formats if name in variant.formats]
        reasons = {name: reason for name in asked if (reason := unsupported_reason(variant, name))}
        if asked and len(reasons) == len(asked):
            raise InputError(f"variant '{variant.name}' cannot be made: {next(iter(reasons.values()))}")
        pairs += [(variant, name) for name in asked if name not in reasons]
        skipped += [ArtifactReason(f"{name}/{variant.name}", reason) for name, reason in reasons.items()]
    hungry = [variant.name for variant, _ in pairs if needs_data(variant.quantize)]
    if hungry and config.data.calibration is None:
        raise InputError(
            f"variant '{hungry[0]}' needs representative data to calibrate: give --data calibration.npz, or "
            "calibration in [data] (one array per model input under its name, a few hundred real samples along the first axis)"
        )
    if config.data.evaluation is None and any(variant.quantize == "auto" for variant, _ in pairs):
        raise InputError(NO_DATA)
    if not pairs:
        raise InputError("nothing to make: no variant asks for any of these formats")
    return pairs, skipped

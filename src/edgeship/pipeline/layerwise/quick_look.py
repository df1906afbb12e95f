"""Which layer of an int8 `.tflite` that fails costs most, where finding out takes seconds: for the advice under a verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeship.benchmarks.gate import advice
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.bundle import bundle as bundles
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.errors import EdgeshipError
from edgeship.pipeline.step_queue import StepQueue
from edgeship.settings.config import Config

# Each layer is two trial files, of a tenth of a second each for a file of this size: `edgeship debug` is for all others.
MOST_OPERATORS, MOST_BYTES = 16, 256 << 10
SAMPLES = 128


def look_at_layers(draft: Path, queue: StepQueue, manifest: Manifest, settings: Config, budget: Budget) -> Manifest:
    """The manifest of a draft with what each layer costs of the first small int8 `.tflite` that fails; as it is without one."""
    if not any(map(_is_small, manifest.artifacts)):
        return manifest
    gate = judge(replace(manifest, files=bundles.file_digests(draft)), budget)  # without them no file is what was made
    item = next((item for item in advice.find_static_failures(manifest, gate) if _is_small(item)), None)
    if item is None:
        return manifest
    from edgeship.pipeline.layerwise import layer_sensitivity  # with the quantizer's modules

    try:
        found = layer_sensitivity.examine(
            Bundle(draft, replace(manifest, gate=gate)), queue, settings, item.id, SAMPLES
        )
    except EdgeshipError as error:  # the verdict does not wait for it
        queue.progress.note(f"{item.id}: which layer costs most could not be found: {error}")
        return manifest
    return replace(manifest, debug={**manifest.debug, item.id: found})


def _is_small(item: ArtifactEntry) -> bool:
    receipt = item.receipt
    return (
        item.format == "tflite"
        and receipt is not None
        and sum(receipt.ops.values()) <= MOST_OPERATORS
        and receipt.weights.bytes <= MOST_BYTES
    )

"""What an artifact of an export must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeship.convert.receipts.receipt import ExpectedArtifact
from edgeship.types import TensorSpec


def expected_artifact(export: Mapping[str, Any]) -> ExpectedArtifact:
    """The border and the kernels that an export's summary tells."""
    inputs, outputs = (tuple(map(TensorSpec.from_json, export[side])) for side in ("inputs", "outputs"))
    return ExpectedArtifact(inputs, outputs, sum(export["weights"]["kernels"]))

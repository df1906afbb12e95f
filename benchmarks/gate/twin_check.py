"""The check of an artifact against its twin, the same artifact made anew from the server model.

Equal files need no more. Else the twin's constants and operators must be the artifact's but for rounding, and the noise about
as large: both were calibrated alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgeship.benchmarks.gate.checks import content_digests
from edgeship.bundle.figures.comparisons import TwinComparison
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.verdict import ArtifactReason, Check
from edgeship.types import Verdict

# dB: files of other tools with the same calibration (TensorFlow's converter, ONNX Runtime's quantizer; weights per channel and
# per tensor, of 7 and 8 bits) had at most 5.0 dB more noise than the twin, over ten seeds of two networks (docs/measuring.md 6).
LIMIT = 8.0
# dB: beyond that it is the rounding of float32 itself.
FLOAT = 60.0
REMARKED = 2  # differences of a file that others made


def check_twin(manifest: Manifest, artifact: ArtifactEntry, measurements: Sequence[Measurement]) -> Iterator[Check]:
    """Whether the artifact is its twin in other rounding; nothing where it has not been compared with one.

    Nor of files that others made: their recipe is not known, so that a difference is a remark (`remark_twins`).
    """
    twin = _find_twin(manifest, artifact)
    if twin is None or artifact.foreign:
        return
    if twin.same:
        yield Check(artifact.id, "", "twin", Verdict.PASS, reason="the same file as its twin, made anew")
        return
    if twin.files.differences:
        reason = (
            f"another computation than its twin, made anew from the server model: {'; '.join(twin.files.differences)}"
        )
        yield Check(artifact.id, "", "twin", Verdict.FAIL, reason=reason)
        return
    noises = list(_noises(twin.sqnr_db, measurements))
    for name, expected, value in noises:
        check = "twin" if len(twin.sqnr_db) == 1 else f"twin:{name}"
        floor = expected - LIMIT
        verdict = Verdict.PASS if value >= floor else Verdict.FAIL
        reason = f"{value:.1f} dB, its twin made anew has {expected:.1f}; at most {LIMIT:g} dB less is wanted"
        yield Check(artifact.id, "", check, verdict, value, floor, "dB", reason)
    if not noises:
        remark = f" ({twin.files.remark})" if twin.files.remark else ""
        reason = f"the {twin.files.numbers:,} numbers of its twin, but for rounding{remark}"
        yield Check(artifact.id, "", "twin", Verdict.PASS, reason=reason)


def remark_twins(manifest: Manifest) -> Iterator[ArtifactReason]:
    """What of files that others made differs from what edgeship makes of the server model by the recipe that is nearest."""
    for artifact in manifest.artifacts:
        twin = _find_twin(manifest, artifact)
        if twin is None or artifact.foreign is None or twin.same:
            continue
        noises = _noises(twin.sqnr_db, manifest.measurements_of(artifact.id))
        found = [
            f"SQNR of '{name}' {value:.1f} dB, where edgeship's own file of its kind has {expected:.1f}"
            for name, expected, value in noises
            if value < min(expected, FLOAT) - LIMIT
        ]
        if found := [*found, *twin.files.differences[:REMARKED]]:
            reason = f"{'; '.join(found)}: look at its model, calibration and recipe"
            yield ArtifactReason(artifact.id, reason)


def _find_twin(manifest: Manifest, artifact: ArtifactEntry) -> TwinComparison | None:
    """What was found beside the twin of what lies there now; None where it has not been compared with one."""
    twin = manifest.twins.get(artifact.id)
    known = twin is not None and not twin.reason and twin.content in content_digests(manifest, artifact)
    return twin if known else None


def _noises(expected: Mapping[str, float], measurements: Sequence[Measurement]) -> Iterator[tuple[str, float, float]]:
    """By output the twin's SQNR and the least of the artifact's own on this machine; those of plain float left out."""
    parities = [item.details.parity or {} for item in measurements if item.details.cell is None]
    for name, twin in expected.items():
        values = [value for parity in parities if name in parity and (value := parity[name].sqnr_db) is not None]
        if values and min(values) < FLOAT:
            yield name, twin, min(values)

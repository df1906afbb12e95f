"""Noise that a recipe does not explain, and noise that the answers do not bear.

The first is an artifact's against its peers, the bundle's other artifacts of as coarse a recipe. A floor that holds for every
network must be low, since some lose much to 8 bits. How much *this* network loses is known from the other formats: the same
recipe on the same model and samples gives about the same noise in each of them. `auto` with layers in higher precision has no
more than the same network all in int8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.mixed_precision import kept_layers
from edgeship.light_dataclass import dataclass

# From the recipe that keeps most to the one that keeps least; `auto` that keeps no layer higher is static_w8a8.
COARSER = ("weight_only_w8", "dynamic_w8", "auto", "static_w8a8")
ORDER = ("float32", "float16", *COARSER, "weight_only_w4", "dynamic_w4")
# dB: 30 times the noise power. Good artifacts of three networks lay within 8 dB of their peers.
LIMIT = 15.0
# dB: 8 bits stay well below, float32 lies above. An output nearer than that (an input that is handed through) saw no 8 bits.
FLOAT = 80.0
# A peer that computes less in 8 bits than this one by more than that share of its ops says nothing about its noise.
COVERAGE = 0.1
# The share of the server model's figure that may be lost where a budget names none: MLPerf's 99 %.
USUAL_MARGIN = 0.01


@dataclass(frozen=True)
class PeerNoise:
    """The SQNR in dB that a peer has in an output."""

    artifact: str
    sqnr_db: float


def recipes_of_files(manifest: Manifest, asked: Mapping[str, str | None]) -> dict[str, str | None]:
    """Each artifact's recipe by id as its file tells it, so that equal files are judged alike: of several the coarsest.

    `asked`: the recipe that each was made by, None where it is not one of plain quantization.
    """
    found = dict(asked)
    for artifact in manifest.artifacts:
        if asked[artifact.id] == "auto" and not kept_layers(artifact.steps):
            found[artifact.id] = "static_w8a8"
    for names in _equal_files(manifest):
        recipes = [found[name] for name in names]
        coarsest = max(recipes, key=lambda recipe: ORDER.index(recipe) if recipe in ORDER else -1)
        found |= dict.fromkeys(names, coarsest)
    return found


def peer_noise(manifest: Manifest, artifact: ArtifactEntry, recipes: Mapping[str, str | None]) -> dict[str, PeerNoise]:
    """By output the peer that is nearest to the server model; outputs without peers are left out.

    `recipes`: each artifact's recipe by id, as `recipes_of_files` has it.
    """
    equal = next((names for names in _equal_files(manifest) if artifact.id in names), (artifact.id,))
    kept = frozenset.intersection(*(_left_in_float(item) for item in manifest.artifacts if item.id in equal))
    nearest: dict[str, PeerNoise] = {}
    for peer in manifest.artifacts:
        if peer.id in equal or not _left_in_float(peer) <= kept or not _is_comparable(artifact, peer, recipes):
            continue
        for item in manifest.measurements_of(peer.id):
            for name, output in (item.details.parity or {}).items():
                if output.reason or output.sqnr_db is None or output.sqnr_db >= FLOAT:
                    continue
                if name not in nearest or output.sqnr_db > nearest[name].sqnr_db:
                    nearest[name] = PeerNoise(peer.id, output.sqnr_db)
    return nearest


def _equal_files(manifest: Manifest) -> list[tuple[str, ...]]:
    """The ids of artifacts of equal content, of which there are at least two."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in manifest.artifacts:
        if item.content:
            groups.setdefault((item.format, item.content), []).append(item.id)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _left_in_float(artifact: ArtifactEntry) -> frozenset[str]:
    """What was left in float on purpose: layers, and operators (of other names in each format): peers without it are noisier."""
    operators = artifact.steps[-1].recipe.get("float_operators") if artifact.steps else None
    return kept_layers(artifact.steps) | (frozenset({"/operators"}) if operators else frozenset())


def _is_comparable(artifact: ArtifactEntry, peer: ArtifactEntry, recipes: Mapping[str, str | None]) -> bool:
    mine, other = recipes[artifact.id], recipes[peer.id]
    if mine not in COARSER or other not in COARSER or COARSER.index(other) < COARSER.index(mine):
        return False
    full_integer = {"auto", "static_w8a8"}
    least_coverage = _int8_coverage(artifact) if mine == other or {mine, other} == full_integer else 1.0
    return _int8_coverage(peer) >= least_coverage - COVERAGE


def _int8_coverage(artifact: ArtifactEntry) -> float:
    receipt = artifact.receipt
    return receipt.int8_op_share + receipt.hybrid_op_share if receipt else 0.0


def margin_limit(agreement: float, margin: float | None) -> float:
    """The share of answers whose margin the noise may reach, for a recipe that keeps that `agreement` and a budget's `margin`.

    Noise goes either way, so that of the answers whose margin it reaches half turn. Those are near ties, of which the server
    model has hardly more right than the artifact: the fewer, the smaller the noise is. So the drop grows with the square of the
    share, and the share that fits a margin with its root. Untouched int8 files of 20 networks reached 0.10 at most, where the
    limit is 0.2.
    """
    return min(1.0, 2 * (1 - agreement) * math.sqrt((USUAL_MARGIN if margin is None else margin) / USUAL_MARGIN))

"""Noise that a recipe does not explain: an artifact against its peers, the bundle's other artifacts of as coarse a recipe.

A floor that holds for every network must be low, since some lose much to 8 bits. How much *this* network loses is known
from the other formats: the same recipe on the same model and samples gives about the same noise in each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

# From the recipe that keeps most to the one that keeps least.
COARSER = ("weight_only_w8", "dynamic_w8", "static_w8a8")
# dB: 30 times the noise power. Good artifacts of three networks lay within 8 dB of their peers.
LIMIT = 15.0
# dB: 8 bits stay well below, float32 lies above. An output nearer than that (an input that is handed through) saw no 8 bits.
FLOAT = 80.0
# A peer that computes less in 8 bits than this one by more than that share of its ops says nothing about its noise.
COVERAGE = 0.1


def peer_noise_floor(
    manifest: Json, artifact: Json, recipes: Mapping[str, str | None], output: str
) -> tuple[str, float] | None:
    """The peer that is nearest to the server model in `output`, and its SQNR in dB; None without peers.

    `recipes`: each artifact's recipe by id, None where it is not one of plain quantization.
    """
    found = [
        (peer["id"], noise)
        for peer in manifest["artifacts"]
        if peer["id"] != artifact["id"] and _comparable(artifact, peer, recipes)
        for noise in _noises(manifest, peer["id"], output)
    ]
    return max(found, key=lambda item: item[1], default=None)


def _comparable(artifact: Json, peer: Json, recipes: Mapping[str, str | None]) -> bool:
    mine, other = recipes[artifact["id"]], recipes[peer["id"]]
    if mine not in COARSER or other not in COARSER or COARSER.index(other) < COARSER.index(mine):
        return False
    wanted = 1.0 if mine != other else _coverage(artifact)
    return _coverage(peer) >= wanted - COVERAGE


def _coverage(artifact: Json) -> float:
    receipt = artifact.get("receipt") or {}
    return float(receipt.get("int8_op_share") or 0) + float(receipt.get("hybrid_op_share") or 0)


def _noises(manifest: Json, artifact: str, output: str) -> Iterator[float]:
    for item in manifest.get("measurements", []):
        figures = (item["details"].get("parity") or {}).get(output)
        if item["artifact"] == artifact and figures and not figures["reason"] and figures["sqnr_db"] < FLOAT:
            yield figures["sqnr_db"]

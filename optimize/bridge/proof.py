"""The proof that a bridged model computes what the Keras 3 model computes: both on the same random inputs, compared.

Where the outputs differ, the first layer whose own output differs is found, and that layer is carried instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgeship.optimize.bridge.bridge import NATIVE, Bridge, BridgedLayer, Wrap, bridge
from edgeship.optimize.bridge.graph import BridgeError, LayerCall, functional, named, walk

Array = np.ndarray[Any, Any]

# Largest absolute difference allowed, as a share of the output's range. Half precision rounds by 1e-3 itself.
TOLERANCE, HALF_TOLERANCE = 1e-5, 2e-2
SAMPLES, DYNAMIC, DYNAMIC_IMAGE = 4, 32, 64
ATTEMPTS = 3  # each carries what the proof before it found


@dataclass(frozen=True)
class Proof:
    """The largest difference over all outputs, absolute and as a share of that output's range, and what was allowed."""

    difference: float
    share: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the two models are equal; NaN is not."""
        return self.share <= self.tolerance


def proven(model: Any, wrap: Wrap | None = None, *, exact: bool = True) -> tuple[Bridge, Proof]:
    """Bridge the model and prove it on random inputs, before anything is done to it.

    `wrap` puts wrappers around layers once the layers themselves are proven; unless they are `exact`, what they compute
    may differ. Raises BridgeError naming the layers that cannot be rebuilt so that the outputs agree.
    """
    carry: list[str] = []
    feeds = random_feeds(model) if functional(model) else []
    for _ in range(ATTEMPTS):
        built = bridge(model, None, carry)
        proof = compare(built, feeds)
        if proof.holds:
            return (built, proof) if wrap is None else _wrapped(model, wrap, carry, proof, feeds if exact else None)
        culprits = [bridged.name for bridged in differing(built, feeds) if bridged.name not in carry]
        if not culprits:
            break
        carry += culprits
    told = f"; these differ in tf_keras: {', '.join(carry)}" if carry else ""
    raise BridgeError(f"the rebuilt model differs by {proof.share:.2g} of the output's range{told}")


def _wrapped(
    model: Any, wrap: Wrap, carry: Sequence[str], proof: Proof, feeds: Sequence[Array] | None
) -> tuple[Bridge, Proof]:
    built = bridge(model, wrap, carry)
    if feeds is not None and not (proof := compare(built, feeds)).holds:
        raise BridgeError(f"with TFMOT's wrappers the rebuilt model differs by {proof.share:.2g} of the output's range")
    return built, proof


def compare(built: Bridge, feeds: Sequence[Array]) -> Proof:
    """Both models on the same feeds, in inference mode."""
    expected = keras.tree.flatten(_call(built.source, feeds, functional(built.source)._inputs_struct))
    found = keras.tree.flatten(_call(built.model, feeds, functional(built.source)._inputs_struct))
    half = any(
        str(getattr(bridged.source, "compute_dtype", "")).endswith("float16") for bridged in built.bridged_layers
    )
    return difference(expected, found, HALF_TOLERANCE if half else TOLERANCE)


def difference(expected: Sequence[Any], found: Sequence[Any], tolerance: float = TOLERANCE) -> Proof:
    """The worst difference over pairs of arrays. Raises BridgeError where their numbers or shapes differ."""
    worst = (0.0, 0.0)
    if len(expected) != len(found):
        raise BridgeError(f"the rebuilt model has {len(found)} outputs instead of {len(expected)}")
    for a, b in zip(map(_wide, expected), map(_wide, found), strict=True):
        if a.shape != b.shape:
            raise BridgeError(f"the rebuilt model gives shape {b.shape} instead of {a.shape}")
        if not a.size:
            continue
        gap = float(np.max(np.abs(a - b)))
        # Of an output that hardly varies, float32 cannot tell more than a few units in the last place.
        scale = max(float(np.max(a) - np.min(a)), float(np.max(np.abs(a))) * 0.1, float(np.finfo(np.float32).tiny))
        worst = max(worst, (gap / scale, gap)) if np.isfinite(gap) else (np.inf, np.inf)
    return Proof(worst[1], worst[0], tolerance)


def differing(built: Bridge, feeds: Sequence[Array]) -> list[BridgedLayer]:
    """The layers whose tf_keras form answers otherwise than they do on the very same tensors."""
    bridged_layers = {id(bridged.source): bridged for bridged in built.bridged_layers}
    found: dict[str, BridgedLayer] = {}

    def call(visit: LayerCall) -> Any:
        expected = visit.operation(*visit.args, **visit.kwargs)
        bridged = bridged_layers[id(visit.operation)]
        if bridged.how == NATIVE:
            answered = bridged.layer(*visit.args[:1], **named(bridged.layer, visit.args), **visit.kwargs)
            pairs = keras.tree.flatten(expected), keras.tree.flatten(answered)
            if not difference(*pairs, tolerance=TOLERANCE).holds:
                found[bridged.name] = bridged
        return expected

    walk(functional(built.source), list(map(keras.ops.convert_to_tensor, feeds)), call)
    return list(found.values())


def random_feeds(model: Any, seed: int = 0) -> list[Array]:
    """Random inputs for a functional model: normal ones, and for whole numbers those that every embedding knows."""
    generator = np.random.default_rng(seed)
    sizes = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    feeds = []
    for tensor in functional(model).inputs:
        unknown = sum(size is None for size in tensor.shape[1:])
        filler = DYNAMIC_IMAGE if unknown > 1 else DYNAMIC
        shape = (tensor.shape[0] or SAMPLES, *(size or filler for size in tensor.shape[1:]))
        if np.dtype(tensor.dtype).kind == "f":
            feeds.append(generator.standard_normal(shape).astype(tensor.dtype))
        else:
            feeds.append(generator.integers(0, min(sizes, default=2), shape).astype(tensor.dtype))
    return feeds


def _call(model: Any, feeds: Sequence[Array], structure: Any) -> Any:
    packed = keras.tree.pack_sequence_as(structure, list(map(keras.ops.convert_to_tensor, feeds)))
    return model(packed, training=False)


def _wide(tensor: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(tensor)).astype(np.float64)

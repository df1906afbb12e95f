"""The proof that a bridged model computes what the Keras 3 model computes: both on the same random inputs, compared.

Where the outputs differ, the first layer whose own output differs is found, and that layer is carried instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.optimize.bridge.bridge import NATIVE, Bridge, BridgedLayer, Wrap, rebuild_in_tf_keras
from edgeship.optimize.bridge.graph import BridgeError, LayerCall, functional_graph, named_arguments, walk_calls

Array = np.ndarray[Any, Any]

# Largest absolute difference allowed, as a share of the output's range. Half precision rounds by 1e-3 itself.
TOLERANCE, HALF_TOLERANCE = 1e-5, 2e-2
SAMPLES, DYNAMIC, DYNAMIC_IMAGE = 4, 32, 64
ATTEMPTS = 3  # each carries what the proof before it found


@dataclass(frozen=True)
class Proof:
    """The largest difference over all outputs as a share of that output's range, and what was allowed."""

    share: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the two models are equal; NaN is not."""
        return self.share <= self.tolerance


def bridge_with_proof(model: Any, wrap: Wrap | None = None, *, exact: bool = True) -> tuple[Bridge, Proof]:
    """Bridge the model and prove it on random inputs, before anything is done to it.

    `wrap` puts wrappers around layers once the layers themselves are proven; unless they are `exact`, what they compute
    may differ. Raises BridgeError naming the layers that cannot be rebuilt so that the outputs agree.
    """
    carry: list[str] = []
    feeds = random_feeds(model) if functional_graph(model) else []
    for _ in range(ATTEMPTS):
        bridge = rebuild_in_tf_keras(model, None, carry)
        proof = compare_models(bridge, feeds)
        if proof.holds:
            return (
                (bridge, proof)
                if wrap is None
                else _wrap_and_check(model, wrap, carry, proof, feeds if exact else None)
            )
        culprits = [
            bridged_layer.name
            for bridged_layer in find_differing_layers(bridge, feeds)
            if bridged_layer.name not in carry
        ]
        if not culprits:
            break
        carry += culprits
    detail = f"; these differ in tf_keras: {', '.join(carry)}" if carry else ""
    raise BridgeError(f"the rebuilt model differs by {proof.share:.2g} of the output's range{detail}")


def _wrap_and_check(
    model: Any, wrap: Wrap, carry: Sequence[str], proof: Proof, feeds: Sequence[Array] | None
) -> tuple[Bridge, Proof]:
    bridge = rebuild_in_tf_keras(model, wrap, carry)
    if feeds is not None and not (proof := compare_models(bridge, feeds)).holds:
        raise BridgeError(f"with TFMOT's wrappers the rebuilt model differs by {proof.share:.2g} of the output's range")
    return bridge, proof


def compare_models(bridge: Bridge, feeds: Sequence[Array]) -> Proof:
    """Both models on the same feeds, in inference mode."""
    reference = keras.tree.flatten(_call_model(bridge.source, feeds, functional_graph(bridge.source)._inputs_struct))
    outputs = keras.tree.flatten(_call_model(bridge.model, feeds, functional_graph(bridge.source)._inputs_struct))
    half = any(
        str(getattr(bridged_layer.source, "compute_dtype", "")).endswith("float16")
        for bridged_layer in bridge.bridged_layers
    )
    return measure_difference(reference, outputs, HALF_TOLERANCE if half else TOLERANCE)


def measure_difference(reference: Sequence[Any], outputs: Sequence[Any], tolerance: float = TOLERANCE) -> Proof:
    """The worst difference over pairs of arrays. Raises BridgeError where their numbers or shapes differ."""
    worst = 0.0
    if len(reference) != len(outputs):
        raise BridgeError(f"the rebuilt model has {len(outputs)} outputs instead of {len(reference)}")
    for a, b in zip(map(_to_float64, reference), map(_to_float64, outputs), strict=True):
        if a.shape != b.shape:
            raise BridgeError(f"the rebuilt model gives shape {b.shape} instead of {a.shape}")
        if not a.size:
            continue
        gap = float(np.max(np.abs(a - b)))
        # Of an output that hardly varies, float32 cannot tell more than a few units in the last place.
        scale = max(float(np.max(a) - np.min(a)), float(np.max(np.abs(a))) * 0.1, float(np.finfo(np.float32).tiny))
        worst = max(worst, gap / scale) if np.isfinite(gap) else np.inf
    return Proof(worst, tolerance)


def find_differing_layers(bridge: Bridge, feeds: Sequence[Array]) -> list[BridgedLayer]:
    """The layers whose tf_keras form answers otherwise than they do on the very same tensors."""
    bridged_layers = {id(bridged_layer.source): bridged_layer for bridged_layer in bridge.bridged_layers}
    differing_layers: dict[str, BridgedLayer] = {}

    def compare_call(visit: LayerCall) -> Any:
        reference = visit.operation(*visit.args, **visit.kwargs)
        bridged_layer = bridged_layers[id(visit.operation)]
        if bridged_layer.how == NATIVE:
            outputs = bridged_layer.layer(
                *visit.args[:1], **named_arguments(bridged_layer.layer, visit.args), **visit.kwargs
            )
            pairs = keras.tree.flatten(reference), keras.tree.flatten(outputs)
            if not measure_difference(*pairs, tolerance=TOLERANCE).holds:
                differing_layers[bridged_layer.name] = bridged_layer
        return reference

    walk_calls(functional_graph(bridge.source), list(map(keras.ops.convert_to_tensor, feeds)), compare_call)
    return list(differing_layers.values())


def random_feeds(model: Any, seed: int = 0) -> list[Array]:
    """Random inputs for a functional model: normal ones, and for whole numbers those that every embedding knows."""
    generator = np.random.default_rng(seed)
    sizes = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    feeds = []
    for tensor in functional_graph(model).inputs:
        unknown = sum(size is None for size in tensor.shape[1:])
        filler = DYNAMIC_IMAGE if unknown > 1 else DYNAMIC
        shape = (tensor.shape[0] or SAMPLES, *(size or filler for size in tensor.shape[1:]))
        if np.dtype(tensor.dtype).kind == "f":
            feeds.append(generator.standard_normal(shape).astype(tensor.dtype))
        else:
            feeds.append(generator.integers(0, min(sizes, default=2), shape).astype(tensor.dtype))
    return feeds


def _call_model(model: Any, feeds: Sequence[Array], structure: Any) -> Any:
    arguments = keras.tree.pack_sequence_as(structure, list(map(keras.ops.convert_to_tensor, feeds)))
    return model(arguments, training=False)


def _to_float64(tensor: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(tensor)).astype(np.float64)

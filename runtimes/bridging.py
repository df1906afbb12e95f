"""What a file calls the server model's tensors, and how it lays them out: translated at the edge of its worker.

A stranger's file may have other names and axes, one of ours three channels for a grey picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from edgeship.data import Array, Batch
from edgeship.types import Bridge, TensorSpec


def describe_tensors(specs: Iterable[TensorSpec], bridge: Bridge | None) -> tuple[TensorSpec, ...]:
    """A file's tensors under the server model's names and in its axes; without those that the bridge does not name."""
    if bridge is None:
        return tuple(specs)
    own = {file: name for name, file in bridge.names.items()}
    return tuple(_describe_tensor(spec, own[spec.name], bridge) for spec in specs if spec.name in own)


def _describe_tensor(spec: TensorSpec, name: str, bridge: Bridge) -> TensorSpec:
    if name in bridge.three_channels:
        return replace(spec, name=name, shape=(*spec.shape[:-1], 1))
    if name not in bridge.channels_first:
        return replace(spec, name=name)
    return replace(spec, name=name, shape=(spec.shape[0], *spec.shape[2:], spec.shape[1]))


def to_file(feeds: Batch, bridge: Bridge | None) -> Batch:
    """The server model's arrays as the file takes them."""
    if bridge is None:
        return feeds
    return {bridge.names[name]: _lay_out(name, array, bridge) for name, array in feeds.items()}


def _lay_out(name: str, array: Array, bridge: Bridge) -> Array:
    if name in bridge.three_channels:
        return np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if name in bridge.channels_first else array


def from_file(outputs: Mapping[str, Array], bridge: Bridge | None) -> Batch:
    """A file's arrays as the server model gives them."""
    if bridge is None:
        return dict(outputs)
    first = bridge.channels_first
    return {
        name: np.ascontiguousarray(np.moveaxis(outputs[file], 1, -1)) if name in first else outputs[file]
        for name, file in bridge.names.items()
        if file in outputs
    }

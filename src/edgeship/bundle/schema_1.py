"""Manifests of schema 1, as edgeship wrote them until 2026: read as what schema 2 would say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeship.types import Availability

Json = dict[str, Any]
# How the reason of a missing value began; nothing else told what it meant.
PREFIXES = {"not run: ": Availability.NOT_RUN, "unstable": Availability.UNSTABLE}
NO_DATA = ("no evaluation data was given", "the evaluation data has no labels", "the server model needs TensorFlow")
RENAMED = {"likeness": "bit_exactness", "alone": "only_layer_int8", "spared": "only_layer_float", "why": "explanation"}
BY_OUTPUT = ("outputs", "parity")  # their keys are names of a model's outputs


def upgrade_content(content: Mapping[str, Any]) -> Json:
    """The content of a manifest of schema 2. What has not the form of a manifest is left as it is, to be refused."""
    manifest = {**content, "schema": 2}
    manifest["measurements"] = _change_each(content.get("measurements"), _upgrade_measurement)
    for name in ("debug", "matrix"):
        if name in content:
            manifest[name] = _rename_keys(content[name])
    return manifest


def _change_each(items: Any, change: Any) -> Any:
    return [change(item) if isinstance(item, dict) else item for item in items] if isinstance(items, list) else items


def _upgrade_measurement(item: Json) -> Json:
    details = item.get("details")
    newer = {**item, "metrics": _change_each(item.get("metrics"), _upgrade_metric)}
    if isinstance(details, dict):
        newer["details"] = {key: None if value == {} else value for key, value in _rename_keys(details).items()}
    return newer


def _upgrade_metric(item: Json) -> Json:
    if item.get("value") is not None:
        return item
    reason = item.get("reason")
    availability = Availability.FAILED
    if isinstance(reason, str):
        kinds = (kind for prefix, kind in PREFIXES.items() if reason.startswith(prefix))
        other = Availability.NO_DATA if reason.startswith(NO_DATA) else Availability.FAILED
        availability = next(kinds, other)
    return {**item, "availability": str(availability)}


def _rename_keys(value: Any) -> Any:
    """The same value with the keys of schema 2; rows of classes had their number as `class`."""
    if isinstance(value, list):
        return [_rename_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    newer = {RENAMED.get(key, key): _rename_below(key, item) for key, item in value.items()}
    if isinstance(newer.get("per_class"), list):
        newer["per_class"] = [
            {("label" if key == "class" else key): item for key, item in row.items()} if isinstance(row, dict) else row
            for row in newer["per_class"]
        ]
    return newer


def _rename_below(key: str, value: Any) -> Any:
    if key in BY_OUTPUT and isinstance(value, dict):
        return {name: _rename_keys(item) for name, item in value.items()}
    return _rename_keys(value)

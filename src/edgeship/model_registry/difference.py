"""What tells two versions apart: figures on the same samples, recipes and data in words, sizes and times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgeship.bundle.answers import SERVER
from edgeship.bundle.manifest import DataEntry, Manifest
from edgeship.bundle.metric import Figure
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.paired import Answers, PairedFigure, compare_models, recommended_pairs
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import TRAINING, Version
from edgeship.types import to_json
from edgeship.untrusted import shorten_text

COSTS = {
    "size_disk_bytes": "size on disk",
    "size_brotli_bytes": "download",
    "latency_p50_ms": "median latency",
    "latency_ratio": "time vs float32",
    "peak_memory_bytes": "peak memory",
    "instructions": "instructions",
}
_COST = re.compile(rf"(?:(?:device|runtime)\.(?P<place>[\w.-]+)\.)?(?P<cost>{'|'.join(COSTS)})\.(?P<artifact>[\w-]+)")
SHOWN = 60  # characters of a setting
MOST = 200  # differences of settings that are told


@dataclass(frozen=True)
class FigureChange:
    """A figure that both versions have, by its name in a search and in words. Times of two moments are no comparison."""

    name: str
    title: str
    before: Figure
    after: Figure


@dataclass(frozen=True)
class Difference:
    """Versions `before` and `after` of `name`: models on the same samples, what differs in making them, and what they cost."""

    name: str
    before: int
    after: int
    verdicts: tuple[str, str]
    paired: tuple[PairedFigure, ...]
    changes: tuple[str, ...]
    costs: tuple[FigureChange, ...]


def compare_versions(store: Store, before: Version, after: Version) -> Difference:
    """The second version beside the first; the server models, artifacts of the same id, and what is recommended for the same."""
    one, two = Answers(store, before), Answers(store, after)
    paired = [row for pair in _pairs(one, two) for row in compare_models(one, two, pair)]
    return Difference(
        before.name,
        before.number,
        after.number,
        (before.record.verdict or "not judged", after.record.verdict or "not judged"),
        tuple(paired),
        (*_describe_training(before, after), *describe_changes(one.manifest, two.manifest)),
        tuple(_compare_costs(before, after)),
    )


def _pairs(one: Answers, two: Answers) -> list[tuple[str, str]]:
    same = [(item.id, item.id) for item in one.manifest.artifacts if two.manifest.artifact(item.id)]
    best = [(before, after) for _, before, after in recommended_pairs(one.manifest, two.manifest) if after]
    return list(dict.fromkeys([(SERVER, SERVER), *best, *same]))


def describe_changes(before: Manifest, after: Manifest) -> Iterator[str]:
    """In words what went into the second bundle otherwise than into the first."""
    yield from _describe_server(before, after)
    for role in dict.fromkeys([*before.data, *after.data]):
        yield from _describe_data(role, before.data.get(role), after.data.get(role))
    first, second = ({item.id: item for item in manifest.artifacts} for manifest in (before, after))
    yield from (f"artifact {name}: new" for name in second if name not in first)
    yield from (f"artifact {name}: gone" for name in first if name not in second)
    for name in first.keys() & second.keys():
        steps = [
            {f"{step.name}.{key}": value for step in item.steps for key, value in step.recipe.items()}
            for item in (first[name], second[name])
        ]
        yield from _describe_mappings(f"recipe of {name}: ", *steps)
    settings = [
        _flatten({key: value for key, value in (manifest.config or {}).items() if key != "data"})
        for manifest in (before, after)
    ]
    yield from list(_describe_mappings("settings: ", *settings))[:MOST]
    yield from _describe_mappings("tool ", before.tools, after.tools)
    if before.edgeship != after.edgeship:
        yield f"edgeship: {before.edgeship} -> {after.edgeship}"
    machines = before.machine.get("cpu"), after.machine.get("cpu")
    if machines[0] != machines[1]:
        yield f"machine: {machines[0]} -> {machines[1]}, so that times of the two say nothing"


def _describe_server(before: Manifest, after: Manifest) -> Iterator[str]:
    one, two = before.server, after.server
    if one.digest == two.digest:
        yield "server model: the same"
        return
    parameters = ""
    if one.parameters != two.parameters and one.parameters is not None and two.parameters is not None:
        parameters = f", {one.parameters:,} -> {two.parameters:,} parameters"
    yield f"server model: another ({one.digest[:12]} -> {two.digest[:12]}{parameters})"


def _describe_training(before: Version, after: Version) -> Iterator[str]:
    one, two = (version.record.data.get(TRAINING) for version in (before, after))
    if one and two:
        same = one.digest == two.digest
        yield f"training of the server model: {'the same data' if same else 'other data'} ({two.samples:,} samples)"


def _describe_data(role: str, one: DataEntry | None, two: DataEntry | None) -> Iterator[str]:
    if one and two:
        if (one.digest, one.limit, one.samples) == (two.digest, two.limit, two.samples):
            yield f"{role} data: the same ({one.samples:,} samples)"
        elif one.digest == two.digest:
            counts = f"{one.limit or one.samples:,} -> {two.limit or two.samples:,}"
            yield f"{role} data: the same, of which {counts} samples were taken"
        else:
            yield f"{role} data: other ({one.source}, {one.samples:,} samples -> {two.source}, {two.samples:,} samples)"
    elif one or two:
        yield f"{role} data: {'none any more' if one else 'new'}"


def _describe_mappings(prefix: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*one, *two]):
        values = one.get(name), two.get(name)
        if to_json(values[0]) != to_json(values[1]):
            texts = ["none" if value is None else shorten_text(value, SHOWN) for value in values]
            yield f"{prefix}{name} {texts[0]} -> {texts[1]}"


def _flatten(value: Any, name: str = "") -> dict[str, Any]:
    """A JSON value as texts and numbers by their place; tables of variants by their name."""
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        inner = ((str(item["name"]), item) for item in value)  # type: ignore[assignment]
    else:
        return {name: value}
    return {
        key: item
        for part, child in inner
        for key, item in _flatten(child, f"{name}.{part}" if name else str(part)).items()
    }


def _compare_costs(before: Version, after: Version) -> Iterator[FigureChange]:
    """Sizes and times that both have: first those of what stands for each version, if that is not the same artifact."""
    one, two = before.record, after.record
    if one.artifact != two.artifact:
        pairs = [(name, f"{title} of {one.artifact} -> {two.artifact}") for name, title in COSTS.items()]
        yield from (
            FigureChange(name, title, one.figures[name], two.figures[name])
            for name, title in pairs
            if name in one.figures and name in two.figures
        )
    for name, value in one.figures.items():
        match = _COST.fullmatch(name)
        if match and name in two.figures:
            where = f" on {match['place']}" if match["place"] else ""
            title = f"{COSTS[match['cost']]} of {match['artifact']}{where}"
            yield FigureChange(name, title, value, two.figures[name])

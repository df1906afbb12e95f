"""The settings that a bundle is measured and debugged with: those it was made with, then what the caller says instead."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.bundle import Bundle, place_seen_from
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.notices import print_notice
from edgeship.pipeline import data_checks
from edgeship.settings import permissions
from edgeship.settings.config import Config
from edgeship.untrusted import DRIVE, SHOWN, is_code, printable


@dataclass(frozen=True)
class BundleOptions:
    """What a caller says beside a bundle's own configuration; what is None, empty or false is left to it."""

    evaluation: str | None = None
    devices: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    profile: str | None = None
    custom_objects: str | None = None
    allow_unsafe: bool = False


def bundle_settings(bundle: Bundle, file: Path | None, options: BundleOptions, required_keys: Set[str]) -> Config:
    """The configuration that a bundle was made with, with `file`'s benchmark and budget, and the options.

    What lets code run never comes from the bundle: it is taken from that file and the options. Raises InputError where
    one of the `required_keys` was given when the bundle was made, and is not now.
    """
    config_content = located_config(bundle)
    base = Config.restore(config_content)
    check_places(base)
    other = Config.read(file) if file else None
    if other:
        Budget.parse(other.budget, other.source)  # what the file itself says wrong comes before what it leaves out
        base = _with_file(base, other)
    if options.evaluation:
        base = replace(base, data=replace(base.data, evaluation=options.evaluation))
    base = _with_options(base, options)
    missing_grants = [
        grant
        for grant in permissions.find_grants(config_content)
        if not (
            (other or (grant.key == "devices" and options.devices))
            if grant.section == "benchmark"
            else getattr(getattr(base, grant.section), grant.key)
        )
    ]
    permissions.refuse_grants(bundle.root, (grant for grant in missing_grants if grant.key in required_keys))
    own_sources = {key for key in permissions.SOURCES if other and getattr(other.data, key)}
    own_sources |= {"evaluation"} if options.evaluation else set()
    base = _with_recorded_data(bundle, base, own_sources, required_keys)
    for grant in missing_grants:
        if grant.section == "data":
            left_out = f"left out, as a bundle cannot grant it: {grant}; name a file that says so with --config"
            print_notice(f"{printable(bundle.root)}: {left_out}")
    return base


def located_config(bundle: Bundle) -> Any:
    """The configuration in a bundle's manifest, with the paths of data and students as they lead there from here.

    They start where the command ran that wrote them. Where nothing lies there, they are taken from here, as they stand.
    """
    table, folder = bundle.manifest.config, bundle.manifest.folder
    if folder is None:
        return table
    start = bundle.root.resolve() / folder
    return locate_config(table, lambda source: _locate_path(start, source))


def locate_config(table: Any, locate: Callable[[str], str]) -> Any:
    """A configuration's table with the paths of data and students as `locate` gives them; code by name stays."""
    if not isinstance(table, Mapping):
        return table

    def locate_keys(part: Any, keys: Iterable[str]) -> Any:
        if not isinstance(part, Mapping):
            return part
        paths = {key: part[key] for key in keys if isinstance(part.get(key), str) and not is_code(part[key])}
        return {**part, **{key: locate(path) for key, path in paths.items()}}

    located = {**table, "data": locate_keys(table.get("data"), permissions.SOURCES)}
    if isinstance(variants := table.get("variants"), list):
        located["variants"] = [
            {**item, "distill": locate_keys(item["distill"], ["student"])}
            if isinstance(item, Mapping) and "distill" in item
            else item
            for item in variants
        ]
    return located


def _locate_path(start: Path, source: str) -> str:
    if os.path.isabs(source) or DRIVE.match(source):
        return source
    place = os.path.normpath(start / source)
    return source if os.path.exists(source) and not os.path.exists(place) else place_seen_from(Path.cwd(), Path(place))


def _with_file(base: Config, other: Config) -> Config:
    """The bundle's configuration with a file's benchmark, budget and model, and its data where it names some."""
    data = {key: getattr(other.data, key) or getattr(base.data, key) for key in permissions.SOURCES}
    model = replace(other.model, signature=other.model.signature or base.model.signature)
    base = replace(base, benchmark=other.benchmark, budget=other.budget, source=other.source, model=model)
    return replace(base, data=replace(base.data, **data))


def _with_options(base: Config, options: BundleOptions) -> Config:
    loading = {key: getattr(options, key) for key in ("custom_objects", "allow_unsafe")}
    changes = {key: getattr(options, key) for key in ("devices", "runtimes", "profile")}
    return replace(
        base,
        model=replace(base.model, **{key: value for key, value in loading.items() if value}),
        benchmark=replace(base.benchmark, **{key: value for key, value in changes.items() if value}),
    )


def _with_recorded_data(bundle: Bundle, base: Config, own_sources: Set[str], required_keys: Set[str]) -> Config:
    """The configuration without data that the bundle alone names and that is not what it was made with.

    Raises InputError where such data is among the `required_keys`.
    """
    strange = []
    for key in permissions.SOURCES:
        source = getattr(base.data, key)
        if not source or key in own_sources or is_code(source):
            continue
        if not os.path.exists(source):
            if key in required_keys:
                raise _data_error(bundle, key, f"its {key} data, {printable(source)[:SHOWN]}: no such file")
            continue
        if not data_checks.is_recorded(bundle.manifest, key, source):
            strange.append(key)
            if key in required_keys:
                raise _data_error(
                    bundle,
                    key,
                    f"its {key} data, {printable(source)[:SHOWN]}, is not what it was made with, by the digest in its manifest",
                )
    nothing: dict[str, Any] = dict.fromkeys(strange)
    return replace(base, data=replace(base.data, **nothing))


def _data_error(bundle: Bundle, key: str, problem: str) -> InputError:
    """Of data that a bundle names and that cannot be used, with what to give."""
    ways = ["add --data"] if key == "evaluation" else []
    return InputError(
        f"{printable(bundle.root)}: {problem}\n"
        f"name the data to use: {', or '.join([*ways, f'[data] {key} in a file for --config'])}"
    )


def check_places(settings: Config) -> None:
    """Refuse pipes and devices where the manifest of a bundle says that data or a student lies."""
    for key in permissions.SOURCES:
        if source := getattr(settings.data, key):
            permissions.check_place(source, f"{settings.source}, [data] {key}")
    for variant in settings.variants or ():
        distill = variant.recipes.distill
        if distill and isinstance(distill.student, str):
            permissions.check_place(distill.student, f"{settings.source}, [variants.{variant.name}] distill")

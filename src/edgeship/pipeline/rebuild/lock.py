"""A lock: the digests of all that a bundle's artifacts were made of, and of what came of it. Paths start in its own folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from edgeship import __version__
from edgeship.bundle.bundle import Bundle, place_seen_from
from edgeship.bundle.manifest import ArtifactEntry, DataEntry
from edgeship.bundle.metric import Digest
from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.run_settings.of_bundle import check_places, locate_config, located_config
from edgeship.recipes.quantization import needs_data
from edgeship.server_model.custom_objects import custom_digest
from edgeship.settings import permissions
from edgeship.settings.config import Config
from edgeship.settings.variants import default_variants
from edgeship.storage import cache, digest
from edgeship.typed_json import convert
from edgeship.untrusted import SHOWN, is_code, printable, read_json

FILE = "edgeship.lock"
SCHEMA = 1
LISTED = 5  # differences in a message


@dataclass(frozen=True)
class LockedModel:
    """The server model: where it lies, its digest (of a file or a folder)."""

    path: str
    digest: str


@dataclass(frozen=True)
class Lock:
    """What a bundle was made of, and the SHA-256 of each artifact's files by their paths in the bundle.

    `config` is as in a manifest, `data` has what of it was used; `others` are digests of what else is read (`digest_others`);
    `tools` their versions, `machine` where it was made. `bundle` is where the bundle lay, to compare with: it need not be there.
    """

    server_model: LockedModel
    config: Mapping[str, Any]
    tools: Mapping[str, str]
    artifacts: Mapping[str, Mapping[str, Digest]]
    formats: tuple[str, ...]
    data: Mapping[str, DataEntry | None] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    bundle: str = ""
    edgeship: str = ""
    schema: int = SCHEMA


def describe_lock(bundle: Bundle, folder: Path) -> Lock:
    """The lock of a bundle, for a file in that folder; the same for the same bundle. Raises InputError for foreign artifacts."""
    manifest, place = bundle.manifest, printable(bundle.root)
    if not manifest.artifacts or any(item.foreign for item in manifest.artifacts):
        raise InputError(
            f"{place}: its artifacts are of unknown origin, so they cannot be made again; lock what edgeship converted"
        )
    left_out = {item.artifact for item in manifest.skipped} | {item.artifact for item in manifest.failures}
    config = located_config(bundle)
    kinds = {name.partition("/")[0] for name in (*left_out, *(item.id for item in manifest.artifacts))}
    return Lock(
        LockedModel(place_seen_from(folder, _find_model(bundle)), manifest.server.digest),
        locate_config(config, lambda source: place_seen_from(folder, Path(source))),
        {name: str(version) for name, version in manifest.tools.items()},
        {item.id: files_of_artifact(item, manifest.files) for item in manifest.artifacts},
        tuple(name for name in formats.FORMATS if name in kinds),
        manifest.data,
        digest_others(_restore_all(config)),
        manifest.machine,
        place_seen_from(folder, bundle.root),
        manifest.edgeship,
    )


def files_of_artifact(item: ArtifactEntry, files: Mapping[str, str]) -> dict[str, str]:
    """The files of an artifact with their digests, out of those of its bundle."""
    form = formats.find(item.format)
    folder = item.path.removesuffix(form.main_file) if form.is_folder else None
    return {name: value for name, value in files.items() if (name.startswith(folder) if folder else name == item.path)}


def _find_model(bundle: Bundle) -> Path:
    """Where the bundle's server model was copied from, if it is there as it was, else the copy."""
    server = bundle.manifest.server
    source = bundle.root.resolve() / server.source
    try:
        if server.source and digest.of_path(source) == server.digest:
            return source
    except (InputError, OSError, ValueError):  # a manifest's text, which may be no path at all
        pass
    return bundle.root / server.path


def digest_others(settings: Config) -> dict[str, str]:
    """Digests of what becomes part of artifacts beside model and data: students, and the module of the model's own layers.

    Raises InputError where one is not there.
    """
    recipes = {variant.name: variant.recipes.distill for variant in settings.variants or ()}
    students = {name: recipe.student for name, recipe in recipes.items() if recipe and isinstance(recipe.student, str)}
    found = {f"student of {name}": digest.of_path(Path(student)) for name, student in students.items()}
    if module := custom_digest(settings.model.custom_objects):
        found["module of custom objects"] = module
    return found


def _restore_all(table: Any) -> Config:
    """The configuration of a table, with what lets code run."""
    settings = Config.restore(table)
    for grant in permissions.find_grants(table):
        if grant.section in ("model", "data"):
            if not isinstance(grant.value, bool if grant.key == "allow_unsafe" else str):
                raise InputError(f"[{grant.section}] {grant.key} is of another type than it must be")
            section = replace(getattr(settings, grant.section), **{grant.key: grant.value})
            settings = replace(settings, **{grant.section: section})
    return settings


def read_content(file: Path) -> dict[str, Any]:
    """What a lock of any schema holds, unchecked. Raises InputError for another file."""
    content = read_json(file, links=True)
    schema = content.get("schema") if isinstance(content, dict) else None
    if (
        not isinstance(content, dict)
        or "artifacts" not in content
        or isinstance(schema, bool)
        or not isinstance(schema, int)
    ):
        raise InputError(f"{printable(file)}: not a lock; `edgeship lock BUNDLE` writes one")
    return content


def read_lock(file: Path) -> Lock:
    """Read a lock. Raises InputError where it is none, or of another schema."""
    content, place = read_content(file), printable(file)
    schema = content["schema"]
    if schema != SCHEMA:
        raise InputError(f"{place}: lock schema {schema}, this edgeship reads {SCHEMA}; lock the bundle again")
    try:
        lock = convert(Lock, content)
    except InputError as error:
        raise InputError(f"{place}: {error}; lock the bundle again") from error
    if (
        not lock.artifacts
        or {name.partition("/")[0] for name in lock.artifacts} - {*lock.formats}
        or not {*lock.formats} <= {*formats.FORMATS}
    ):
        raise InputError(f"{place}: names formats that this edgeship does not know, or none; lock the bundle again")
    return lock


def read_settings(file: Path, lock: Lock, *, trust: bool) -> Config:
    """The configuration of a lock, with paths as they lead there from here; what lets code run counts only with `trust`.

    Raises InputError where it lets code run and is not trusted.
    """
    folder = file.absolute().parent

    def locate(source: str) -> str:
        return os.path.normpath(folder / source)

    table = locate_config(lock.config, locate)
    settings = replace(_restore_all(table), source=str(file))
    check_places(settings)
    grants = [grant for grant in permissions.find_grants(table) if grant.section in ("model", "data")]
    if grants and not trust:
        shown = "; ".join(map(str, grants))
        raise InputError(f"{printable(file)}: lets code run: {shown}\nif you trust it: add --trust")
    return settings


def check_inputs(file: Path, lock: Lock, settings: Config) -> Path:
    """The server model, if tools, model and data are what the lock says. Raises InputError that names what is not."""
    place = printable(file)
    here: dict[str, str] = {**cache.versions(*lock.tools), "edgeship": __version__}
    tools = {**lock.tools, "edgeship": lock.edgeship}
    if others := [
        f"{name} {here[name]} (locked: {version})" for name, version in tools.items() if here[name] != version
    ]:
        listed = printable(", ".join(others[:LISTED]) + (", ..." if len(others) > LISTED else ""))
        raise InputError(f"{place}: other tool versions are installed here: {listed}; install those that were locked")
    model = file.absolute().parent / lock.server_model.path
    shown = f"{place}: the server model {printable(lock.server_model.path)[:SHOWN]}"
    if not model.exists():
        raise InputError(f"{shown} is not there; put it there, or lock the bundle where both are")
    if digest.of_path(model) != lock.server_model.digest:
        raise InputError(f"{shown} is not the one that was locked (its digest is another)")
    for key in _needed_data(lock, settings):
        _check_data(place, key, getattr(settings.data, key), lock.data.get(key))
    for name, value in digest_others(settings).items():
        if lock.others.get(name) != value:
            raise InputError(f"{place}: its {printable(name)} is not what was locked (its digest is another)")
    return model


def _needed_data(lock: Lock, settings: Config) -> list[str]:
    """Which data becomes part of artifacts."""
    variants = settings.variants
    if variants is None:
        variants = tuple(default_variants(lock.formats, settings.data.calibration is not None))
    needed = {"calibration"} if any(needs_data(variant.quantize) for variant in variants) else set()
    needed |= {"evaluation"} if any(variant.quantize == "auto" for variant in variants) else set()
    needed |= {"train", "validation"} if any(variant.recipes for variant in variants) else set()
    return [key for key in permissions.SOURCES if key in needed and lock.data.get(key)]


def _check_data(place: str, key: str, source: str | None, entry: DataEntry | None) -> None:
    shown = f"{place}: its {key} data, {printable(source)[:SHOWN]},"
    if source is None or entry is None:
        raise InputError(f"{place}: does not say where its {key} data lies; lock the bundle again")
    if not is_code(source) and not os.path.exists(source):
        raise InputError(f"{shown} is not there; put it there, or lock the bundle where both are")
    if RepresentativeDataset(source).digest != entry.digest:
        raise InputError(f"{shown} is not what was locked (its digest is another)")

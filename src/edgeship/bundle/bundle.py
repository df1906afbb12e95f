"""A bundle: the folder that holds a model's artifacts, goldens, measurements and report, described by `manifest.json`.

Bundles are written beside their final place and moved into it, so an interrupted run leaves the old bundle or none.
The manifest holds the digest of every file and of itself: a bundle that was edited by hand is noticed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship import __version__, untrusted
from edgeship.bundle import named_files, schema_1
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import SCHEMA, Manifest, parse_manifest
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.notices import print_notice
from edgeship.storage import digest
from edgeship.types import Artifact, Verdict, to_json

MANIFEST = "manifest.json"
SIGNATURE = "signature.json"  # of manifest and files: deploy/signing
OUTSIDE = (MANIFEST, SIGNATURE)  # of the manifest's digests
SCHEMAS = (1, SCHEMA)  # that are read
DISK = "size_disk_bytes"  # the one figure that takes no time to be measured again
STALE_SECONDS = 86400
SCHEMA_MARK = b'"server_model"'  # what tells our manifests from other files of that name


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: where it lies and what its manifest says."""

    root: Path
    manifest: Manifest

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The artifacts, with paths under `root`."""
        return tuple(item.within(self.root) for item in self.manifest.artifacts)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What has been measured so far."""
        return self.manifest.measurements

    @property
    def verdict(self) -> Verdict | None:
        """What the gate decided; None where nothing was judged."""
        return self.manifest.gate.verdict if self.manifest.gate else None

    def find_damage(self, files: Mapping[str, Path]) -> list[str]:
        """What does not match the manifest: changed, missing and added files, by relative path; `files`: `files_of`."""
        recorded = self.manifest.files
        missing = [f"{name}: missing" for name in recorded.keys() - files.keys()]
        additions = [f"{name}: not in the manifest" for name in files.keys() - recorded.keys()]
        same = recorded.keys() & files.keys() if not missing and not additions else ()
        changes = [f"{name}: changed" for name in same if digest.of_path(files[name]) != recorded[name]]
        return sorted(changes + missing + additions)


def files_of(root: Path) -> dict[str, Path]:
    """Every file of a bundle but manifest and signature, by relative path. Raises InputError for links, pipes and devices."""
    return {name: path for name, path in untrusted.tree_files(root).items() if name not in OUTSIDE}


def file_digests(root: Path) -> dict[str, str]:
    """The `files` of a bundle's manifest: the digest of each file but manifest and signature, by relative path."""
    return {name: value for name, value in digest.of_files(root).items() if name not in OUTSIDE}


def open_bundle(path: str | os.PathLike[str], *, part: bool = False) -> Bundle:
    """Read a bundle. Raises InputError where it is none, is of another schema, or was changed after it was written.

    Nothing of it is opened before it is known to be a regular file inside. `part`: what a page carries of a bundle, without
    server model and configuration.
    """
    root = find_root(path)
    place = untrusted.printable(root)
    bundle = Bundle(root, _read_manifest(root, part=part))
    files = files_of(root)
    damaged = bundle.find_damage(files)
    if damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        problems = untrusted.printable("; ".join(damaged[:3]))
        raise InputError(f"{place}: does not match its manifest ({problems}{more}); make the bundle again")
    named_files.check_named_files(root, bundle.manifest, files, part=part)
    return Bundle(root, _with_real_sizes(bundle.manifest, files))


def find_root(path: str | os.PathLike[str]) -> Path:
    """The folder of the bundle that a user named, by itself or by its manifest. Raises InputError where no bundle is there."""
    root = Path(path)
    if root.name == MANIFEST:
        root = root.parent
    place = untrusted.printable(root)
    if root.exists() and not root.is_dir():
        ways = "`edgeship ship MODEL` writes one, of a .tflite or .onnx `edgeship benchmark FILE --server MODEL --out BUNDLE`"
        raise InputError(f"{place}: not a bundle, which is a folder; {ways}")
    if not os.path.lexists(root / MANIFEST):
        raise InputError(f"{place}: not a bundle (no {MANIFEST}); `edgeship convert` and `edgeship ship` write one")
    return root


def _with_real_sizes(manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """The manifest with the sizes of the files themselves in place of those that it claims (`files`: `files_of`)."""
    sizes = {}
    for item in manifest.artifacts:
        form = formats.find(item.format)
        folder = item.path.removesuffix(form.main_file) if form.is_folder else None
        names = [name for name in files if name.startswith(folder)] if folder else [item.path]
        sizes[item.id] = sum(files[name].stat().st_size for name in names)
    return replace(
        manifest, measurements=tuple(_with_real_size(item, sizes.get(item.artifact)) for item in manifest.measurements)
    )


def _with_real_size(measurement: Measurement, size: int | None) -> Measurement:
    metrics = (
        replace(metric, value=size) if metric.name == DISK and metric.value is not None and size is not None else metric
        for metric in measurement.metrics
    )
    return replace(measurement, metrics=tuple(metrics))


def _read_manifest(root: Path, *, part: bool) -> Manifest:
    """The manifest, of the shape that commands read, whichever of the known schemas it was written in."""
    place = untrusted.printable(root)
    try:
        content = untrusted.read_json(root / MANIFEST)
    except InputError as error:
        raise InputError(f"{error}; make the bundle again") from error
    if not isinstance(content, dict) or not isinstance(content.get("digest"), str) or "schema" not in content:
        raise InputError(f"{place}: its {MANIFEST} is not one of a bundle; make the bundle again")
    recorded, schema = content.pop("digest"), content["schema"]
    if schema not in SCHEMAS or isinstance(schema, bool):
        schema_text = untrusted.printable(repr(schema)[:20])
        known = " and ".join(map(str, SCHEMAS))
        raise InputError(f"{place}: bundle schema {schema_text}, this edgeship reads {known}; make the bundle again")
    with untrusted.damage_as_input_error(root / MANIFEST):  # numbers beyond all bounds, halves of characters
        differs = digest.of_json(content) != recorded
        json.dumps(content, ensure_ascii=False).encode()
    if differs:
        raise InputError(f"{place}: {MANIFEST} was changed after it was written; make the bundle again")
    try:
        return parse_manifest(schema_1.upgrade_content(content) if schema == 1 else content, part=part)
    except InputError as error:
        raise InputError(f"{place}: its {MANIFEST} cannot be read: {error}; make the bundle again") from error


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle of any version, whole or damaged; pages and browser extensions have manifests, too."""
    place, content = folder / MANIFEST, b""
    if place.is_file():  # anybody's: it may be endless, or closed
        with contextlib.suppress(OSError), place.open("rb") as stream:
            content = stream.read(untrusted.limits().json_bytes)
    return SCHEMA_MARK in content


def check_outside(path: Path) -> None:
    """Raises InputError for a place in a bundle: its manifest holds the digest of every file, so it would not open again."""
    for folder in path.absolute().parents:
        if is_bundle(folder):
            raise InputError(
                f"{path}: lies in the bundle {folder}, whose manifest lists every file; choose another place"
            )


def check_writable(out: Path) -> None:
    """Refuse, before any work, a place where a bundle cannot be written or where something else would be lost."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not is_bundle(out)):
        raise InputError(f"{out}: exists and is not a bundle; choose another --out")
    check_outside(out)
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{out}: cannot be written (no permission in {parent}); choose another --out")


@contextlib.contextmanager
def replace_bundle(out: Path) -> Iterator[Path]:
    """A draft folder beside `out` that takes its place when the block ends well, and vanishes when it does not."""
    out = out.absolute()
    check_writable(out)
    for stale in out.parent.glob(f".{out.name}.*.draft"):
        if not _is_alive(stale):
            shutil.rmtree(stale, ignore_errors=True)
    # Nobody can know the name and put something there before; it is made here or not at all.
    draft = out.parent / f".{out.name}.{secrets.token_hex(8)}.{os.getpid()}.draft"
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    try:
        yield draft
        old, signed = draft.with_suffix(".old.draft"), os.path.lexists(out / SIGNATURE)
        if out.is_symlink():  # what it points to stays as it is
            out.unlink()
        elif out.exists():
            out.rename(old)
        draft.rename(out)
        if signed:
            print_notice(f"{out}: the new bundle is not signed, as the old one was; `edgeship deploy sign` signs it")
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_alive(draft: Path) -> bool:
    """Whether the process that makes a draft still runs."""
    if os.name != "nt":
        try:
            os.kill(int(draft.name.split(".")[-2]), 0)
        except PermissionError:  # another user's
            return True
        except (ValueError, OverflowError, ProcessLookupError):
            return False
        return True
    # Windows has no signal that only asks: os.kill would end the process. A day is longer than any run.
    return time.time() - draft.stat().st_mtime < STALE_SECONDS


def seal_bundle(draft: Path, manifest: Manifest) -> Manifest:
    """Write the manifest of a finished draft, with the digests of all its files and of itself; returns what was written.

    Raises InputError where a link, a pipe or a device is among them.
    """
    sealed = replace(manifest, schema=SCHEMA, edgeship=__version__, files=file_digests(draft))
    _write_sealed(draft, to_json(sealed))
    return sealed


def seal_content(draft: Path, content: Mapping[str, Any]) -> None:
    """`seal_bundle` for the JSON content of a manifest."""
    _write_sealed(draft, {**content, "schema": SCHEMA, "edgeship": __version__, "files": file_digests(draft)})


def _write_sealed(draft: Path, content: dict[str, Any]) -> None:
    content.pop("digest", None)
    sealed = {**content, "digest": digest.of_json(content)}
    (draft / MANIFEST).write_text(json.dumps(sealed, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def place_seen_from(root: Path, place: Path) -> str:
    """Where a file or folder lies, seen from a folder; its absolute path where there is no way, as to another drive."""
    place, root = (path.parent.resolve() / path.name for path in (place, root))
    try:
        return Path(os.path.relpath(place, root)).as_posix()
    except ValueError:
        return place.as_posix()


def link_tree(source: Path, target: Path) -> None:
    """Bring the unchanged files of an old bundle into its successor without copying their bytes where possible.

    Empty folders come along: the digest of a server model's folder covers them.
    """
    for folder in source.rglob("*"):
        if folder.is_dir():
            (target / folder.relative_to(source)).mkdir(parents=True, exist_ok=True)
    for name, path in files_of(source).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target / name)
        except OSError:
            shutil.copy2(path, target / name)

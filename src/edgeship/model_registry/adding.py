"""Bundles into the registry, and out of it again."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from edgeship.benchmarks.gate.gate import judge_again
from edgeship.bundle.bundle import MANIFEST, SIGNATURE, Bundle, check_writable, open_bundle, replace_bundle
from edgeship.bundle.manifest import DataEntry, Manifest
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.figures import collect_figures, collect_texts, main_artifact
from edgeship.model_registry.files import FolderFiles
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import TRAINING, DataUse, Version, VersionRecord
from edgeship.storage import digest
from edgeship.untrusted import damage_as_input_error, place_within, read_json, regular_file

CARD = "model-card.json"
RETRAINING = ("labels", "audit")  # roles of data in the card of a model that was trained again


@dataclass(frozen=True)
class Addition:
    """The version that holds a bundle, and whether it is a new one."""

    version: Version
    is_new: bool


def add_bundle(store: Store, bundle: Bundle, name: str) -> Addition:
    """Keep a bundle's files and make a version of it, unless there is one. Whatever its verdict is, it can be added.

    One that was signed since it was added is the same version, which has that signature from now on.
    """
    manifest_file = bundle.root / MANIFEST
    with damage_as_input_error(manifest_file):  # its figures may be none
        manifest = judge_again(bundle.manifest)
        record = _record(bundle, manifest)
    with store.writing():
        known = store.versions(name) if name in store.names() else []
        same = next((row for row in known if row.record.bundle == record.bundle), None)
        if isinstance(store.files, FolderFiles):
            store.files.remove_drafts()
        signature = _store_files(store, bundle, record)  # of a known version, too: what was lost of it is there again
        if same:
            if signature and signature != same.signature:
                same = store.sign_version(same, signature)
            return Addition(same, False)
        number = store.add_version(name, record, signature)
    return Addition(Version(name, number, record, signature=signature), True)


def export_version(store: Store, version: Version, out: Path) -> Bundle:
    """Write a version's bundle to the folder `out` as it was added, and open it."""
    if os.path.lexists(out):
        raise InputError(f"{out}: exists; choose another --out")
    check_writable(out)
    manifest = store.manifest(version)
    with replace_bundle(out) as draft:
        signature = {SIGNATURE: version.signature} if version.signature else {}
        for name, content in {**manifest.files, MANIFEST: version.record.bundle, **signature}.items():
            target = place_within(draft, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.files.find(content), target)
        open_bundle(draft)
    return open_bundle(out)


def _store_files(store: Store, bundle: Bundle, record: VersionRecord) -> str | None:
    """Keep all files of a bundle, and return the digest of its signature, if it has one."""
    for relative, content in bundle.manifest.files.items():
        store.files.store(bundle.root / relative, content)
    store.files.store(bundle.root / MANIFEST, record.bundle)
    if record.card and (card := _find_card(bundle)):
        store.files.store(card, record.card)
    file = bundle.root / SIGNATURE
    if not os.path.lexists(file):
        return None
    signature = digest.of_path(regular_file(file))
    store.files.store(file, signature)
    return signature


def user_name() -> str:
    """Who runs this, as the system says; a container may know nobody."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def time_now() -> str:
    """ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _record(bundle: Bundle, manifest: Manifest) -> VersionRecord:
    verdict = str(manifest.gate.verdict) if manifest.gate else ""
    card = _find_card(bundle)
    used = {role: DataUse(data.digest, data.source, _samples(data)) for role, data in manifest.data.items() if data}
    return VersionRecord(
        bundle=digest.of_path(bundle.root / MANIFEST),
        added=time_now(),
        who=user_name(),
        verdict=verdict,
        server=manifest.server.digest,
        artifact=main_artifact(manifest),
        card=digest.of_path(card) if card else "",
        data={**used, **_training_data(card)},
        figures=collect_figures(manifest),
        texts=collect_texts(manifest, verdict or "not judged"),
    )


def _samples(data: DataEntry) -> int:
    return min(data.samples, data.limit or data.samples)


def _find_card(bundle: Bundle) -> Path | None:
    """The card that lies beside the file which the server model was copied from, if it is that model's."""
    server = bundle.manifest.server
    card = (bundle.root / server.source).parent / CARD
    if not server.source or not card.is_file():
        return None
    try:
        content = read_json(regular_file(card))
        return card if content["model"]["sha256"] == server.digest else None
    except (InputError, KeyError, TypeError):  # somebody else's file of that name
        return None


def _training_data(card: Path | None) -> dict[str, DataUse]:
    """What the server model was trained on, as its card tells, with the digest that `edgeship.data` would give that file.

    Of one that was trained again also its new labels and its audit, with the digest under which the registry's files have them.
    """
    found: dict[str, DataUse] = {}
    if card is None:
        return found
    content = read_json(card)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        name = "train.npz"
        file, samples = bytes.fromhex(content["files"][name]), content["data"]["splits"]["train"]["samples"]
        found[TRAINING] = DataUse(hashlib.sha256(file).hexdigest(), name, int(samples))
    for role in RETRAINING:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            use = content["retraining"][role]
            found[role] = DataUse(bytes.fromhex(use["digest"]).hex(), str(use["source"])[:200], int(use["samples"]))
    return found

"""The CycloneDX 1.7 document of a bundle (https://cyclonedx.org/docs/1.7/json/): everything in it is in the manifest.

What the manifest does not know is left out, licences above all: none is guessed, and that of the data is what `[data] license` of
the configuration says. The same bundle gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from edgeship.bundle.bundle import MANIFEST, Bundle
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.deploy.bom.model_card import describe_artifact, describe_server_model
from edgeship.formats import formats
from edgeship.storage import digest
from edgeship.types import Step, to_json
from edgeship.untrusted import printable_value

SPEC = "1.7"
BUNDLE, SERVER = "bundle", "server-model"  # references; an artifact's is its id, which has a slash
Json = dict[str, Any]


def render_bom(bundle: Bundle) -> str:
    """The bill of materials of a bundle as JSON text: ASCII, with a line end, the same for the same bundle."""
    document = printable_value(build_bom(bundle.manifest, digest.of_path(bundle.root / MANIFEST)))
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def build_bom(manifest: Manifest, manifest_digest: str) -> Json:
    """The document of a bundle whose `manifest.json` has that sha256.

    Raises InputError where the manifest is of a page's part of a bundle, which has no server model.
    """
    used = (name for name, entry in manifest.data.items() if entry)
    data = {name: f"data-{number}" for number, name in enumerate(used, 1)}
    artifacts = [_artifact_component(manifest, item, data) for item in manifest.artifacts]
    used_data = list(data.values())
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, f"edgeship bundle {manifest_digest}").urn,
        "version": 1,
        "metadata": _metadata(manifest, manifest_digest),
        "components": [_server_component(manifest, data), *artifacts, *_data_components(manifest, data)],
        "dependencies": [
            {"ref": BUNDLE, "dependsOn": [SERVER, *(item.id for item in manifest.artifacts), *used_data]},
            {"ref": SERVER},
            # Nothing is known of where a foreign artifact is from: it is no child of the model that it is compared with.
            *({"ref": item.id, "dependsOn": [] if item.foreign else [SERVER]} for item in manifest.artifacts),
            *({"ref": name} for name in used_data),
        ],
    }


def _metadata(manifest: Manifest, manifest_digest: str) -> Json:
    versions = {"edgeship": manifest.edgeship, **manifest.tools}
    tools = [{"type": "application", "name": name, "version": str(value)} for name, value in versions.items()]
    verdict = manifest.gate.verdict.value if manifest.gate else "not judged"
    return {
        **_timestamp(manifest.created),
        "tools": {"components": tools},
        "component": {
            "type": "data",
            "bom-ref": BUNDLE,
            "name": "edgeship bundle",
            "version": manifest_digest[:12],
            "description": f"A server model and what was made of it; {MANIFEST} has the digest here and that of every file.",
            "hashes": _sha256(manifest_digest),
            "properties": _properties({"verdict": verdict}),
        },
    }


def _timestamp(created: str) -> Json:
    """The bundle's time where it is one: a stranger's may be anything, and a time without its zone is no moment."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return {}
    return {"timestamp": moment.isoformat()} if moment.tzinfo else {}


def _server_component(manifest: Manifest, data: Mapping[str, str]) -> Json:
    server = manifest.server
    notes = {"loader": server.loader, "digest": server.digest, "parameters": server.parameters}
    return {
        "type": "machine-learning-model",
        "bom-ref": SERVER,
        "name": "server model",
        "version": server.digest[:12],
        **_files(manifest, server.path),
        "modelCard": describe_server_model(manifest, _references(data, ("evaluation",))),
        "properties": _properties({key: value for key, value in notes.items() if value not in ("", None)}),
    }


def _artifact_component(manifest: Manifest, item: ArtifactEntry, data: Mapping[str, str]) -> Json:
    steps = {f"step:{number}": _step_text(step) for number, step in enumerate(item.steps, 1)}
    verdict = manifest.gate.verdict_on(item.id) if manifest.gate else None
    notes = {"format": item.format, "variant": item.variant, "verdict": verdict or "not judged", **steps}
    form = formats.find(item.format)
    names = ("calibration", "evaluation") if _is_calibrated(item) else ("evaluation",)
    return {
        "type": "machine-learning-model",
        "bom-ref": item.id,
        "name": item.id,
        "version": (item.content or item.digest)[:12],
        **_files(manifest, item.path.removesuffix(form.main_file) if form.is_folder else item.path),
        "modelCard": describe_artifact(manifest, item, _references(data, names)),
        "properties": _properties(notes),
    }


def _is_calibrated(item: ArtifactEntry) -> bool:
    """Whether a step of it took ranges from calibration data; recipes that no format knows took none that is known of."""
    calibrating = {name for form in formats.ALL.values() for name, support in form.recipes.items() if support.data}
    return any(str(step.recipe.get("recipe")) in calibrating for step in item.steps)


def _step_text(step: Step) -> str:
    return json.dumps(to_json({"name": step.name, "recipe": step.recipe, "tools": step.tools}))


def _files(manifest: Manifest, path: str) -> Json:
    """The digest of a model that is one file; of one in a folder each file with its own, as a folder has no sha256."""
    if path in manifest.files:
        return {"hashes": _sha256(manifest.files[path])}
    folder = f"{path.rstrip('/')}/"
    files = {name: value for name, value in manifest.files.items() if name.startswith(folder)}
    parts = [{"type": "file", "name": name, "hashes": _sha256(value)} for name, value in files.items()]
    return {"components": parts}


def _data_components(manifest: Manifest, data: Mapping[str, str]) -> Iterator[Json]:
    for name, entry in manifest.data.items():
        if entry is None:
            continue
        # The digest is of the digests of all its files, not of their bytes: as a hash it would match no file.
        notes = {"digest": entry.digest, "samples": entry.samples, "limit": entry.limit}
        yield {
            "type": "data",
            "bom-ref": data[name],
            "name": f"{name} data",
            "version": entry.digest[:12],
            "data": [{"type": "dataset", "name": entry.source}],
            **_licenses(manifest),
            "properties": _properties({key: value for key, value in notes.items() if value is not None}),
        }


def _licenses(manifest: Manifest) -> Json:
    """The licence of the data, as the configuration in the manifest states it, which may be anything."""
    data = (manifest.config or {}).get("data")
    stated = data.get("license") if isinstance(data, Mapping) else None
    return {"licenses": [{"license": {"name": stated}}]} if isinstance(stated, str) and stated else {}


def _references(data: Mapping[str, str], names: tuple[str, ...]) -> list[Json]:
    return [{"ref": reference} for name, reference in data.items() if name in names]


def _properties(values: Mapping[str, Any]) -> list[Json]:
    return [{"name": f"edgeship:{name}", "value": str(value)} for name, value in values.items()]


def _sha256(value: str) -> list[Json]:
    return [{"alg": "SHA-256", "content": value}]

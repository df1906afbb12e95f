"""Which file of a bundle answers, under which name and version."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeship.bundle.bundle import MANIFEST, Bundle, open_bundle
from edgeship.errors import InputError, MissingDependencyError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import registry
from edgeship.serving.rest.plan import INSIDE, ModelPlan, Worker
from edgeship.storage import digest
from edgeship.types import Artifact
from edgeship.untrusted import printable

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
SERVER_MODEL = "keras"
TARGETS = ("servers and desktops", "apps")  # of recommendations, the fitting one first
VAGUE = ("bundle", "")  # what a folder is called that is named after nothing


@dataclass(frozen=True)
class Source:
    """A bundle that was named: its folder, what it is served as, and which version of that it is."""

    bundle: Path
    name: str
    version: str


def read_sources(texts: Sequence[str]) -> list[Source]:
    """Bundles as the command line names them: BUNDLE, NAME=BUNDLE or NAME/VERSION=BUNDLE.

    Without a name it is the folder's (or that of the folder around it, where it is called `bundle`), without a version it
    is the number among those of the same name. Raises InputError for what is no name, and a version that comes twice.
    """
    sources: list[Source] = []
    for text in texts:
        given, separator, place = str(text).rpartition("=")
        if separator and os.path.exists(text):  # a path may hold the sign
            given, place = "", str(text)
        name, _, version = given.partition("/")
        if not name:
            path = Path(place).resolve()
            name = re.sub(r"[^\w.-]+", "-", path.parent.name if path.name in VAGUE else path.name) or "model"
        version = version or str(1 + sum(item.name == name for item in sources))
        for what, value in (("name", name), ("version", version)):
            if not NAME.fullmatch(value):
                raise InputError(
                    f"{printable(text)}: {printable(value)!r} is no {what}: letters, digits, '.', '_' and '-'"
                )
        if any((item.name, item.version) == (name, version) for item in sources):
            raise InputError(f"{printable(text)}: {name}/{version} is there already; name it as NAME/VERSION=BUNDLE")
        sources.append(Source(Path(place), name, version))
    return sources


def plan_models(sources: Sequence[Source], artifact: str | None) -> list[ModelPlan]:
    """What the server has to know of each bundle; the last version of a name answers where none is asked for.

    Raises InputError for a bundle that cannot be read or has no fitting artifact, MissingDependencyError where nothing here
    runs it.
    """
    last = {source.name: source.version for source in sources}
    return [
        replace(plan_model(open_bundle(source.bundle), source, artifact), default=last[source.name] == source.version)
        for source in sources
    ]


def plan_model(bundle: Bundle, source: Source, artifact: str | None) -> ModelPlan:
    """One bundle's."""
    if artifact == SERVER_MODEL:
        return _plan_server_model(bundle, source)
    chosen = choose_artifact(bundle, artifact)
    runtime = _find_runtime(chosen)
    worker = None
    if runtime not in INSIDE:
        launch = registry.find(runtime).launch()
        worker = Worker(launch.command, dict(launch.env))
    path = chosen.path.resolve()
    return ModelPlan(
        source.name, source.version, chosen.id, str(bundle.root.resolve()), str(path), _content(bundle), runtime,
        bridge=chosen.bridge, worker=worker,
    )  # fmt: skip


def _content(bundle: Bundle) -> str:
    """The digest of the manifest, which has those of all files: weights may lie beside the file that names them."""
    return digest.of_path(bundle.root / MANIFEST)


def choose_artifact(bundle: Bundle, name: str | None) -> Artifact:
    """The artifact of that name; without one the recommended one, for servers if there is such.

    Raises InputError where there is none of that name, and where nothing has passed the gate.
    """
    known = {item.id: item for item in bundle.artifacts}
    place = printable(bundle.root)
    if name is not None:
        if name not in known:
            raise unknown_name_error("artifact", name, [*known, SERVER_MODEL], place)
        return known[name]
    gate = bundle.manifest.gate
    recommended = {item.target: item.artifact for item in gate.recommended} if gate else {}
    fitting = [recommended[target] for target in TARGETS if recommended.get(target) in known]
    if not fitting:
        why = f"its gate says {gate.verdict}" if gate else "it was never judged"
        names = ", ".join(known) or "none"
        raise InputError(f"{place}: recommends no artifact ({why}); name one by --artifact: {names}")
    return known[fitting[0]]


def _find_runtime(artifact: Artifact) -> str:
    """The first runtime here that runs it. Raises MissingDependencyError where none does."""
    for name, kind in INSIDE.items():
        if artifact.format == kind:
            return name
    reasons = []
    for runtime in registry.for_format(artifact.format):
        reason = runtime.refusal(artifact) or runtime.unavailable_reason()
        if runtime.in_browser or runtime.on_devices:
            continue
        if not reason:
            return runtime.name
        reasons.append(f"{runtime.name}: {reason}")
    raise MissingDependencyError(f"{artifact.id}: nothing here runs it ({'; '.join(reasons) or 'no runtime'})")


def _plan_server_model(bundle: Bundle, source: Source) -> ModelPlan:
    entry = bundle.manifest.server_model
    place = printable(bundle.root)
    if entry is None:
        raise InputError(f"{place}: has no server model")
    if entry.loading.get("custom_objects") or entry.loading.get("allow_unsafe"):
        raise InputError(
            f"{place}: its server model needs code of its own, which a bundle cannot allow; serve an artifact"
        )
    launch = registry.find(SERVER_MODEL).launch()
    path = (bundle.root / entry.path).resolve()
    options = {"signature": entry.loading.get("signature")}
    return ModelPlan(
        source.name, source.version, SERVER_MODEL, str(bundle.root.resolve()), str(path), _content(bundle), SERVER_MODEL,
        worker=Worker(launch.command, dict(launch.env)), options=options,
    )  # fmt: skip

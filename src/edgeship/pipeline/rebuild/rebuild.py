"""`edgeship rebuild`: make the artifacts of a lock again, from nothing, and compare them byte by byte."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.devices import machine
from edgeship.errors import EdgeshipError
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.pipeline import ship, verify
from edgeship.pipeline.rebuild.lock import Lock, check_inputs, files_of_artifact, read_lock, read_settings
from edgeship.processes.child import FunctionProcess
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.storage import cache, digest
from edgeship.untrusted import place_within, printable

CHUNK = 1 << 20  # bytes that are compared in one go
NOT_HERE = "the locked bundle is not here to compare with"


@dataclass(frozen=True)
class RebuiltArtifact:
    """An artifact beside the locked one: the `same` bytes, or the first `file` that differs, and the `offset` of its first byte.

    `differences` are those of constants and operators, in words: none where names, order or layout alone differ.
    `outputs_equal`: both give the same outputs on the goldens, to the last bit; None where that could not be tried. `reason`:
    why it was not made, or not compared further.
    """

    artifact: str
    same: bool
    file: str = ""
    offset: int | None = None
    differences: tuple[str, ...] = ()
    outputs_equal: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Rebuild:
    """What came of a lock. `elsewhere` says how this machine is another than the locked one, which may round otherwise."""

    artifacts: tuple[RebuiltArtifact, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether every artifact is the same, byte for byte."""
        return all(item.same for item in self.artifacts)


def rebuild(file: Path, out: Path | None, *, trust: bool) -> Rebuild:
    """Make the artifacts of a lock again without the cache, and compare them; the bundle is kept in `out`, whatever comes of it.

    Raises InputError where tools, model or data are not those that were locked, or the lock lets code run without `trust`.
    """
    lock = read_lock(file)
    settings = read_settings(file, lock, trust=trust)
    model = check_inputs(file, lock, settings)
    with tempfile.TemporaryDirectory(prefix="edgeship-rebuild-") as folder:
        target, store = out or Path(folder) / "bundle", cache.Cache(Path(folder) / "cache")
        manifest = ship.convert_model(model, target, settings, lock.formats, store)
        former = file.absolute().parent / lock.bundle
        found = [_compare(name, Bundle(target, manifest), former, lock) for name in lock.artifacts]
    further = [item.id for item in manifest.artifacts if item.id not in lock.artifacts]
    found += [RebuiltArtifact(name, False, reason="was not among the locked artifacts") for name in further]
    return Rebuild(tuple(found), tuple(_describe_other_machine(lock.machine)))


def _describe_other_machine(locked: Mapping[str, object]) -> list[str]:
    here = machine.describe_machine()
    names = ("system", "cpu", "python")
    return [
        f"{name} {here[name]} (locked: {printable(locked[name])})"
        for name in names
        if locked.get(name, here[name]) != here[name]
    ]


def _compare(name: str, rebuilt: Bundle, former: Path, lock: Lock) -> RebuiltArtifact:
    item = rebuilt.manifest.artifact(name)
    if item is None:
        return RebuiltArtifact(name, False, reason=_find_failure(rebuilt.manifest, name))
    locked, files = lock.artifacts[name], files_of_artifact(item, rebuilt.manifest.files)
    different = [path for path in sorted({*locked, *files}) if locked.get(path) != files.get(path)]
    if not different:
        return RebuiltArtifact(name, True)
    first, place = different[0], former / item.path
    try:
        originals = {path: place_within(former, path) for path in locked}
        if any(digest.of_path(path) != locked[key] for key, path in originals.items()):
            return RebuiltArtifact(name, False, first, reason=NOT_HERE)
        offset = (
            _first_difference(originals[first], rebuilt.root / first) if first in locked and first in files else None
        )
        differences = _compare_contents(item, place, rebuilt.root)
        return RebuiltArtifact(name, False, first, offset, differences, _give_same(item, place, rebuilt))
    except EdgeshipError as error:
        missing = not former.is_dir()
        return RebuiltArtifact(name, False, first, reason=NOT_HERE if missing else str(error).splitlines()[0])


def _find_failure(manifest: Manifest, name: str) -> str:
    return next((item.reason for item in manifest.failures if item.artifact == name), "was not made")


def _first_difference(one: Path, other: Path) -> int:
    """The offset of the first byte that differs; the end of the shorter file where it begins the longer one."""
    offset = 0
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            pair = [np.frombuffer(stream.read(CHUNK), np.uint8) for stream in (first, second)]
            least = min(map(len, pair))
            different = np.flatnonzero(pair[0][:least] != pair[1][:least])
            if len(different) or least < CHUNK:
                return offset + int(different[0] if len(different) else least)
            offset += CHUNK


def _compare_contents(item: ArtifactEntry, former: Path, root: Path) -> tuple[str, ...]:
    """What of constants and operators differs by more than rounding."""
    from edgeship.convert.twins import compare

    form = formats.find(item.format)
    with FunctionProcess("compare") as process:
        found = process.call(
            compare.compare,
            artifact=str(form.place(root / item.path)),
            twin=str(form.place(former)),
            format=item.format,
        )
    return found.differences


def _give_same(item: ArtifactEntry, former: Path, rebuilt: Bundle) -> bool | None:
    """Whether both give the same outputs on the goldens; None where no runtime is here."""
    artifact = item.within(rebuilt.root)
    runtime = registry.for_format(item.format)[0]
    if runtime.unavailable_reason() or runtime.refusal(artifact):
        return None
    inputs = verify.golden_arrays(rebuilt, "inputs")
    outputs = []
    for path in (former, artifact.path):
        with open_session(runtime.name, path, bridge=artifact.bridge) as session:
            outputs.append(session.run(inputs))
    return outputs[0].keys() == outputs[1].keys() and all(
        np.array_equal(array, outputs[1][name], equal_nan=True) for name, array in outputs[0].items()
    )

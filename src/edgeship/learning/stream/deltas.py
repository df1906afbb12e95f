"""What a device that has the parent's artifacts loads of an accepted snapshot: the channel's own patches."""

from __future__ import annotations

from edgeship.bundle.bundle import Bundle
from edgeship.client.rule_files import PATCH_BYTES
from edgeship.deploy.channel.patches import FEWEST_BYTES, make_patch
from edgeship.learning.samples.scores import recommended_artifacts
from edgeship.learning.stream.results import ArtifactDelta
from edgeship.model_registry.figures import main_artifact


def measure_deltas(before: Bundle, after: Bundle) -> tuple[ArtifactDelta, ...]:
    """The patches between the artifacts that both recommend (of bundles that recommend none: those that stand for them).

    Without bsdiff4 there are none; artifacts of many files, and those that a channel would give whole, have none.
    """
    try:
        import bsdiff4  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        return ()
    names = {*recommended_artifacts(after.manifest).values(), main_artifact(after.manifest)}
    found = []
    for name in sorted(names):
        old, new = before.manifest.artifact(name), after.manifest.artifact(name)
        if old is None or new is None:
            continue
        one, two = old.within(before.root).path, new.within(after.root).path
        if not (one.is_file() and two.is_file()):
            continue
        size = two.stat().st_size
        if min(one.stat().st_size, size) < FEWEST_BYTES or max(one.stat().st_size, size) > PATCH_BYTES:
            continue
        patch = make_patch(one, two, size)
        if patch is not None:
            found.append(ArtifactDelta(name, size, len(patch)))
    return tuple(found)

"""Versions of a registry as bundles to serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeship.model_registry.adding import export_version
from edgeship.model_registry.store import open_store
from edgeship.serving.rest.selection import Source


def export_versions(store: str, name: str | None, versions: Sequence[str], folder: Path) -> list[Source]:
    """The bundles of these versions (numbers or aliases), each written once into `folder`; two aliases of one are one.

    Raises InputError for a registry, name or version that is not there.
    """
    with open_store(store) as opened:
        chosen = opened.resolve_name(name)
        rows = {row.number: row for row in (opened.version(chosen, which) for which in versions)}
        sources = []
        for row in rows.values():
            place = folder / f"{row.record.bundle}-{row.number}"
            if not place.exists():
                export_version(opened, row, place)
            sources.append(Source(place, chosen, str(row.number)))
        return sources

"""Content digests: sha256 of files, folders and JSON values."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from edgeship.types import to_json

# What edgeship is written in: Python, and JavaScript and TypeScript for the runtimes that run them.
SOURCES = (".py", ".mjs", ".ts")
# Which sources and packages the page of the browser runtimes was built from; an installed edgeship has the page alone.
BUILT = "built.json"


def of_path(path: Path) -> str:
    """The digest of a file, or of a folder's relative names and contents."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = sorted(item.relative_to(path).as_posix() for item in path.rglob("*") if item.is_file())
    return of_json({name: of_path(path / name) for name in names})


def of_json(value: Any) -> str:
    """The digest of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True, allow_nan=False).encode()).hexdigest()


@cache
def of_code() -> str:
    """The digest of edgeship's own sources: part of every cache key, so that a changed program never meets old results."""
    root = Path(__file__).parent
    found = (path for stage in (root, *root.iterdir()) if stage.is_dir() for path in stage.rglob("*.*"))
    sources = sorted(
        path for path in found if (path.suffix in SOURCES or path.name == BUILT) and "node_modules" not in path.parts
    )
    return of_json({path.relative_to(root).as_posix(): of_path(path) for path in dict.fromkeys(sources)})

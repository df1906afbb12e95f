"""Content digests: sha256 of files, folders and JSON values."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from edgeship.types import to_json

# What edgeship is written in: Python, JavaScript for Node, a plugin in C, and what a device's known outputs are.
SOURCES = (".py", ".mjs", ".c", ".npz")
STAGES = ("train", "optimize", "convert", "runtimes", "benchmarks")
# What no step of a run executes: the command line, and pages, which steps in a browser name in their keys as they were built.
NOT_RUN = ("cli", "page", "runtimes/web")


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
def of_code(stages: tuple[str, ...] = STAGES, root: Path = Path(__file__).parent) -> str:
    """The digest of the sources of these stages and of the ground that all share, so that a changed program never meets
    old results. `root` is edgeship's folder.
    """  # noqa: D205  # one sentence
    others = {*STAGES} - {*stages}
    folders = (
        item for item in root.iterdir() if item.is_dir()
    )  # one by one: some are links, which rglob does not follow
    found = [path for folder in folders if folder.name not in others for path in folder.rglob("*.*")]
    sources = {
        path.relative_to(root).as_posix(): path for path in (*found, *root.glob("*.*")) if path.suffix in SOURCES
    }
    return of_json({name: of_path(path) for name, path in sources.items() if _runs(name)})


def _runs(name: str) -> bool:
    return "node_modules" not in name.split("/") and not name.startswith(tuple(f"{folder}/" for folder in NOT_RUN))

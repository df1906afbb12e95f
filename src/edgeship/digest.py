"""Content digests: sha256 of files, folders and JSON values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from edgeship import untrusted
from edgeship.types import to_json

# What edgeship is written in: Python, JavaScript for Node, a plugin in C, and what a device's known outputs are.
SOURCES = (".py", ".mjs", ".c", ".npz")
STAGES = ("train", "optimize", "convert", "runtimes", "benchmarks")
# What no step of a run executes: the command line, and pages, which steps in a browser name in their keys as they were built.
NOT_RUN = ("cli", "page", "runtimes/web")


def of_path(path: Path) -> str:
    """The digest of a regular file (sha256 of its content), or of a folder (`of_tree`); a link at `path` itself is followed.

    Raises InputError for what is neither, and for a link, a pipe or a device anywhere below: what lies behind a link may
    change without a trace.
    """
    if not path.is_dir():
        with untrusted.regular_file(path, links=True).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    files = {name: of_path(file) for name, file in untrusted.tree_files(path).items()}
    return of_tree(files, (folder.relative_to(path).as_posix() for folder in path.rglob("*") if folder.is_dir()))


def of_tree(files: Mapping[str, str], folders: Iterable[str] = ()) -> str:
    """The digest of a folder that holds these files (digest by relative path) and folders, empty ones too.

    Of another family than a file's, so that no file has it.
    """
    parents = (parent.as_posix() for name in files for parent in PurePosixPath(name).parents)
    held = {"files": dict(files), "folders": sorted({*folders, *parents} - {"."})}
    text = json.dumps(held, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=32, person=b"edgeship folder").hexdigest()


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

"""The few files of edgeship that a worker needs in an environment of its own, under an emulator or on a board."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
from pathlib import Path

import edgeship

# Whole folders, and the files that those import.
FOLDERS = ("runtimes/worker", "runtimes/engines")
FILES = (
    "__init__.py",
    "errors.py",
    "light_dataclass.py",
    "processes/__init__.py",
    "processes/child.py",
    "processes/environment.py",
    "processes/wire.py",
    "runtimes/__init__.py",
    "runtimes/runtime.py",
)


@functools.cache
def worker_files() -> Path:
    """A folder with these files, for `PYTHONPATH`; named after their content.

    It is this process's own, and goes with it: nobody else can have put anything there.
    """
    root = Path(edgeship.__file__).parent
    inside = (path.relative_to(root).as_posix() for folder in FOLDERS for path in (root / folder).glob("*.py"))
    names = sorted({*FILES, *inside})
    digest = hashlib.sha256(b"".join(name.encode() + (root / name).read_bytes() for name in names)).hexdigest()[:12]
    place = Path(tempfile.mkdtemp(prefix="edgeship-worker-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    for name in names:
        target = place / f"worker-{digest}" / "edgeship" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target)
    return place / f"worker-{digest}"

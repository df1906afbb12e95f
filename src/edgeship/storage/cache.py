"""Results cached by content: a key that covers everything a result depends on, and files that are checked on every hit.

A wrong hit is the worst bug there is. So each key holds the digests of what was read, the recipe, the versions of the
tools and the digest of those of edgeship's own sources that the step runs; an entry whose files do not match what was
written is made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage import digest
from edgeship.types import to_json
from edgeship.untrusted import printable, read_json

KEEP_DAYS = 30
DAY = 86400  # seconds
ROOT = 0  # the user id
# Which stages' code a step runs, beside the ground that all share. A step that is not named here may run any of them.
STAGES: Mapping[str, tuple[str, ...]] = {
    "describe": (),
    "reference": (),
    "golden-answers": (),
    "raw-goldens": (),
    "contract": (),
    "contract-lines": (),
    "profile": ("benchmarks",),
    **dict.fromkeys(("export", "receipt", "convert-tflite", "convert-onnx", "convert-tfjs"), ("convert",)),
    **dict.fromkeys(("calibrate-tflite", "calibrate-onnx", "quantize-tflite", "quantize-onnx"), ("optimize",)),
    **dict.fromkeys(("optimize", "retrain"), ("optimize",)),
    "stream": ("convert", "optimize"),
    "goldens": ("runtimes",),
    **dict.fromkeys(("size", "plots", "constant-answers", "server-figures", "between-formats"), ("benchmarks",)),
    **dict.fromkeys(("quality", "speed", "ratio", "kernel-spread"), ("benchmarks", "runtimes")),
    **dict.fromkeys(("doctor", "instructions", "compiler", "memory"), ("benchmarks", "runtimes")),
}


@dataclass(frozen=True)
class Entry:
    """A cached result: its folder, its JSON value, the digests of its files, and whether it was there already."""

    path: Path
    result: Any
    files: Mapping[str, str]
    hit: bool

    @property
    def digest(self) -> str:
        """The digest of the files: what a later step's key names as its input."""
        return digest.of_json(self.files)


def root() -> Path:
    """Where results are kept: `$EDGESHIP_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("EDGESHIP_CACHE") or platformdirs.user_cache_dir("edgeship"))


@cache
def versions(*packages: str) -> Mapping[str, str]:
    """The installed versions of distributions, without importing them; 'absent' where one is not installed.

    TensorFlow counts under one name whichever of its distributions is installed.
    """
    return {
        name: _find_version(name) or (name == "tensorflow" and _find_version("tensorflow-cpu")) or "absent"
        for name in packages
    }


def installed_version(name: str) -> str | None:
    """The version of one distribution, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


_find_version = cache(installed_version)  # many steps name the same tools


class Cache:
    """Folders under `root`, one per key. Several processes may use it at once: each key has a lock."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or root()

    def get(
        self,
        step: str,
        key: Mapping[str, Any],
        make: Callable[[Path], Any],
        usable: Callable[[Any], bool] = lambda _: True,
    ) -> Entry:
        """The entry of `step` under `key`; where there is none, `make(folder)` writes its files and returns what is kept as JSON.

        An entry whose result is not `usable` is made again. `make` writes into a folder beside the final one; an
        interrupted or failed make leaves nothing behind that counts.
        """
        final = self._place(step, key)
        with filelock.FileLock(final.with_suffix(".lock")):
            stored_entry = _read_entry(final)
            if stored_entry and usable(stored_entry.result):
                os.utime(final / "entry.json")
                return stored_entry
            draft = final.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            if final.is_symlink():
                final.unlink()
            shutil.rmtree(final, ignore_errors=True)
            draft.mkdir(mode=0o700)
            (draft / "files").mkdir()
            try:
                result = to_json(make(draft / "files"))
                files = digest.of_files(draft / "files")
                entry = {"name": final.name, "key": to_json(key), "result": result, "files": files}
                (draft / "entry.json").write_text(json.dumps(entry), encoding="utf-8")
                draft.rename(final)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            return Entry(final / "files", entry["result"], entry["files"], hit=False)

    def find(self, step: str, key: Mapping[str, Any]) -> Entry | None:
        """The entry of `step` under `key`, None where there is none; nothing is made."""
        return _read_entry(self._place(step, key))

    def _place(self, step: str, key: Mapping[str, Any]) -> Path:
        name = digest.of_json({"step": step, "key": key, "code": digest.of_code(STAGES.get(step, digest.STAGES))})
        return own_folder(own_folder(self.folder) / step) / name

    def prune(self) -> None:
        """Drop what has not been used for `KEEP_DAYS`; looked for once a day, since it looks at every entry."""
        now = time.time()
        last_look = own_folder(self.folder) / "pruned"
        with contextlib.suppress(OSError):
            if 0 <= now - last_look.lstat().st_mtime < DAY:
                return
        last_look.touch()
        # By the clock that the entries' times are of: a file server's, or one that this process's own runs ahead of.
        oldest = last_look.stat().st_mtime - KEEP_DAYS * DAY
        for entry in own_folder(self.folder).glob("*/*/entry.json"):
            if entry.lstat().st_mtime < oldest:
                shutil.rmtree(entry.parent, ignore_errors=True)


def own_folder(folder: Path) -> Path:
    """The folder, made for nobody else where it is not there; it may be reached through a link of the user's own.

    One that was made with a umask of 002 is closed to its group: what lies in it is looked at by itself. Raises InputError
    where it cannot be made, and as `check_own`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = f"no folder can be made there ({error.strerror})"
        raise InputError(f"{printable(folder)}: {reason}; name another with EDGESHIP_CACHE") from error
    mode = folder.stat().st_mode
    if os.name != "nt" and mode & 0o022 == 0o020 and folder.stat().st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(mode) & ~0o022)
    check_own(folder)
    return folder


def check_own(folder: Path) -> None:
    """Raise InputError where a folder belongs to somebody else, or others may write in it: what lies there would be theirs."""
    if os.name == "nt":  # a user's folders are closed by their place
        return
    advice = "so nothing in it is believed; chmod go-w it, or name a folder of your own (EDGESHIP_CACHE)"
    for status in (folder.lstat(), folder.stat()):
        if not _is_own(status):
            raise InputError(f"{printable(folder)}: belongs to another user, {advice}")
    if folder.stat().st_mode & 0o022:
        raise InputError(f"{printable(folder)}: others may write in it, {advice}")


def _is_own(status: os.stat_result) -> bool:
    """Whether it is the user's or the system's: whoever is root can write everywhere anyway."""
    return status.st_uid in (os.geteuid(), ROOT) if hasattr(os, "geteuid") else True


def _read_entry(folder: Path) -> Entry | None:
    """What lies in an entry's folder: the user's own, closed to others, made under this name, with the files of then."""
    try:
        status = folder.lstat()
        is_private = os.name == "nt" or (_is_own(status) and not status.st_mode & 0o077)
        if not stat.S_ISDIR(status.st_mode) or not is_private:
            return None
        entry = read_json(folder / "entry.json")
        if entry["name"] != folder.name or digest.of_files(folder / "files") != entry["files"]:
            return None
        return Entry(folder / "files", entry["result"], entry["files"], hit=True)
    except (OSError, InputError, KeyError, TypeError):
        return None

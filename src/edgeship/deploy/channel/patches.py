"""Differences between the files of versions (bsdiff4), where they are worth it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgeship.client.rule_files import PATCH_BYTES
from edgeship.client.rules import ChannelFile, Patch, Version
from edgeship.errors import ProcessError, brief_message

BASES = 3  # versions that patches begin from
SMALLER = 3  # times that a patch must be smaller than the file
FEWEST_BYTES, MOST_BYTES = 4096, PATCH_BYTES  # of a file: less is a packet or two; bsdiff takes 20 times as much memory
# bsdiff takes 1 to 2 s for a megabyte, but the square of the length for long runs of zeros: 4 s for one megabyte, hours for 64.
SECONDS, SECONDS_A_MEGABYTE = 20, 10
# In a process of its own, which ends by itself where nobody is left to end it.
_DIFF = """
import signal, sys
if hasattr(signal, "alarm"):
    signal.alarm(int(sys.argv[4]) + 1)
import bsdiff4
bsdiff4.file_diff(*sys.argv[1:4])
"""


def add_patches(
    version: Version, bases: Sequence[Version], locate: Callable[[str], Path]
) -> tuple[Version, dict[str, bytes]]:
    """The version with patches from the same files of its `bases`, the newest first, and these patches by sha256.

    `locate` tells where the content with a sha256 lies. A patch is left out where it is not smaller than a third of the file, as
    are those from still older bases; for files below 4 kB and beyond 64 MB; and where it takes too long to make.
    """
    patches: dict[str, bytes] = {}

    def patch(files: Sequence[ChannelFile], olds: Sequence[Sequence[ChannelFile]]) -> tuple[ChannelFile, ...]:
        earlier = [old for some in olds for old in some]
        return tuple(replace(file, patches=_patches_to(file, earlier, locate, patches)) for file in files)

    artifacts = {
        name: replace(
            item, files=patch(item.files, [base.artifacts[name].files for base in bases if name in base.artifacts])
        )
        for name, item in version.artifacts.items()
    }
    shared = patch(version.shared, [base.shared for base in bases])
    return replace(version, artifacts=artifacts, shared=shared), patches


def _patches_to(
    file: ChannelFile, earlier: Sequence[ChannelFile], locate: Callable[[str], Path], patches: dict[str, bytes]
) -> tuple[Patch, ...]:
    olds = {old.sha256: old for old in earlier if old.path == file.path and old.sha256 != file.sha256}
    found = []
    for old in olds.values():
        if min(old.size, file.size) < FEWEST_BYTES or max(old.size, file.size) > MOST_BYTES:
            continue
        content = make_patch(locate(old.sha256), locate(file.sha256), file.size)
        if content is None or len(content) * SMALLER >= file.size:  # older files are further off
            break
        sha256 = hashlib.sha256(content).hexdigest()
        patches[sha256] = content
        found.append(Patch(old.sha256, sha256, len(content)))
    return tuple(found)


def make_patch(old: Path, new: Path, size: int) -> bytes | None:
    """The patch from one file to another; None where it takes too long, or more memory than there is."""
    seconds = SECONDS + SECONDS_A_MEGABYTE * (size >> 20)
    with tempfile.TemporaryDirectory(prefix="edgeship-patch-") as folder:
        patch = Path(folder) / "patch"
        command = [sys.executable, "-P", "-c", _DIFF, str(old), str(new), str(patch), str(seconds)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        except subprocess.CalledProcessError as error:
            if error.returncode < 0 or b"MemoryError" in error.stderr:  # ended by its clock, or by the system
                return None
            raise ProcessError(f"bsdiff failed: {brief_message(error.stderr.decode(errors='replace'))}") from error
        return patch.read_bytes()

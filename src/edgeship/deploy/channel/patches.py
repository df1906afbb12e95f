"""Differences between the files of versions (bsdiff4), where they are worth it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import bsdiff4

from edgeship.client.rule_files import PATCH_BYTES
from edgeship.client.rules import ChannelArtifact, ChannelFile, Patch, Version

BASES = 3  # versions that patches begin from
SMALLER = 3  # times that a patch must be smaller than the file
FEWEST_BYTES, MOST_BYTES = (
    4096,
    PATCH_BYTES,
)  # of a file: less is one packet or two; bsdiff takes 20 times as much memory


def add_patches(
    version: Version, bases: Sequence[Version], read: Callable[[str], bytes]
) -> tuple[Version, dict[str, bytes]]:
    """The version with patches from the same files of its `bases`, and these patches by sha256.

    `read` gives the content of a file by its sha256. A patch is left out where it is not smaller than a third of the file, and
    for files below 4 kB and beyond 64 MB.
    """
    patches: dict[str, bytes] = {}
    artifacts = {}
    for name, item in version.artifacts.items():
        others = [base.artifacts[name] for base in bases if name in base.artifacts]
        files = (replace(file, patches=_patches_to(file, others, read, patches)) for file in item.files)
        artifacts[name] = replace(item, files=tuple(files))
    return replace(version, artifacts=artifacts), patches


def _patches_to(
    file: ChannelFile, others: Sequence[ChannelArtifact], read: Callable[[str], bytes], patches: dict[str, bytes]
) -> tuple[Patch, ...]:
    olds = [old for item in others for old in item.files if old.path == file.path and old.sha256 != file.sha256]
    found = []
    for old in {old.sha256: old for old in olds}.values():
        if min(old.size, file.size) >= FEWEST_BYTES and max(old.size, file.size) <= MOST_BYTES:
            content = bsdiff4.diff(read(old.sha256), read(file.sha256))
            if len(content) * SMALLER < file.size:
                sha256 = hashlib.sha256(content).hexdigest()
                patches[sha256] = content
                found.append(Patch(old.sha256, sha256, len(content)))
    return tuple(found)

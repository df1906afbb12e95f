"""Differences between the files of versions (bsdiff4), where they are worth it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import bsdiff4

from edgeship.client.rule_files import PATCH_BYTES
from edgeship.client.rules import ChannelFile, Patch, Version

BASES = 3  # versions that patches begin from
SMALLER = 3  # times that a patch must be smaller than the file
FEWEST_BYTES, MOST_BYTES = 4096, PATCH_BYTES  # of a file: less is a packet or two; bsdiff takes 20 times as much memory
Read = Callable[[str], bytes]


def add_patches(version: Version, bases: Sequence[Version], read: Read) -> tuple[Version, dict[str, bytes]]:
    """The version with patches from the same files of its `bases`, the newest first, and these patches by sha256.

    `read` gives the content of a file by its sha256. A patch is left out where it is not smaller than a third of the file, as are
    those from still older bases, and for files below 4 kB and beyond 64 MB.
    """
    patches: dict[str, bytes] = {}

    def patch(files: Sequence[ChannelFile], olds: Sequence[Sequence[ChannelFile]]) -> tuple[ChannelFile, ...]:
        earlier = [old for some in olds for old in some]
        return tuple(replace(file, patches=_patches_to(file, earlier, read, patches)) for file in files)

    artifacts = {
        name: replace(
            item, files=patch(item.files, [base.artifacts[name].files for base in bases if name in base.artifacts])
        )
        for name, item in version.artifacts.items()
    }
    shared = patch(version.shared, [base.shared for base in bases])
    return replace(version, artifacts=artifacts, shared=shared), patches


def _patches_to(
    file: ChannelFile, earlier: Sequence[ChannelFile], read: Read, patches: dict[str, bytes]
) -> tuple[Patch, ...]:
    olds = {old.sha256: old for old in earlier if old.path == file.path and old.sha256 != file.sha256}
    found = []
    for old in olds.values():
        if min(old.size, file.size) < FEWEST_BYTES or max(old.size, file.size) > MOST_BYTES:
            continue
        content = bsdiff4.diff(read(old.sha256), read(file.sha256))
        if len(content) * SMALLER >= file.size:  # older files are further off, and bsdiff takes 5 s for 8 MB
            break
        sha256 = hashlib.sha256(content).hexdigest()
        patches[sha256] = content
        found.append(Patch(old.sha256, sha256, len(content)))
    return tuple(found)

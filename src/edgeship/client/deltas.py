"""bsdiff4 patches: applied to a base of the right digest only, and believed only where the result has the right one."""

from __future__ import annotations

import hashlib

from edgeship.client.rules import ChannelFile, Patch

MOST_BYTES = 64 << 20  # of a base and of a result: both are in memory
_MAGIC, _HEADER_BYTES, _SIZE_AT = b"BSDIFF40", 32, 24


def choose_patches(file: ChannelFile) -> tuple[Patch, ...]:
    """The patches to a file that can be applied here, the smallest first; none where bsdiff4 is not installed."""
    if file.size > MOST_BYTES or not any(patch.kind == "bsdiff4" for patch in file.patches):
        return ()
    try:
        import bsdiff4  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        return ()
    usable = (patch for patch in file.patches if patch.kind == "bsdiff4" and patch.size < file.size)
    return tuple(sorted(usable, key=lambda patch: patch.size))


def apply_patch(base: bytes, patch: bytes, file: ChannelFile) -> bytes | None:
    """The content of `file`; None where the patch does not give it."""
    import bsdiff4

    # The header tells how much memory is asked for: sign and magnitude, as bsdiff writes whole numbers.
    size = int.from_bytes(patch[_SIZE_AT:_HEADER_BYTES], "little")
    if not patch.startswith(_MAGIC) or size != file.size:
        return None
    try:
        content: bytes = bsdiff4.patch(base, patch)
    except (ValueError, OSError, EOFError, MemoryError):
        return None
    return content if len(content) == file.size and hashlib.sha256(content).hexdigest() == file.sha256 else None

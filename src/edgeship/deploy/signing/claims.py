"""Whose signatures a bundle claims to have, which takes no library to read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeship import untrusted
from edgeship.bundle.bundle import SIGNATURE
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

FORMS = ("dsse", "openssf")
SHORT = 16  # digits of a key id that are shown


@dataclass(frozen=True)
class SignatureCheck:
    """The key ids whose signatures a bundle claims to have, and those of them that were found good.

    The first alone proves nothing. `file`: a signature of OpenSSF's format, which lies beside the bundle; None for that in it.
    """

    claimed: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    file: Path | None = None


def read_claims(root: Path) -> SignatureCheck:
    """Whose signatures a bundle claims to have, unchecked. Raises InputError for a `signature.json` that cannot be read."""
    file = root / SIGNATURE
    if not os.path.lexists(file):
        return SignatureCheck()
    content = untrusted.read_json(file)
    with untrusted.damage_as_input_error(file):
        key_ids = tuple(item["keyid"] for item in content["signatures"])
    if not all(isinstance(key_id, str) for key_id in key_ids):
        raise InputError(f"{untrusted.printable(file)}: a key id is no text; sign the bundle again")
    return SignatureCheck(key_ids)


def short_ids(key_ids: Sequence[str]) -> str:
    """The first digits of at most five key ids, for a message."""
    return untrusted.printable(", ".join(key_id[:SHORT] for key_id in key_ids[:5])) or "nobody"

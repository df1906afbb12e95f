"""The keys that a command was given, and which of them sign for which role of a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Metadata, Root

from edgeship.deploy.signing.keys import load_public_key, load_signer
from edgeship.errors import InputError
from edgeship.untrusted import printable

ROLES = ("root", "targets", "snapshot", "timestamp")


class Signers:
    """The private keys in folders of `edgeship deploy keygen`, or in files of one key each; read when they are asked for.

    `extra`: keys that sign for a role beside those that a root knows: those of the next root.
    """

    def __init__(self, places: Sequence[Path], extra: Mapping[str, Sequence[Signer]] | None = None) -> None:
        if missing := [place for place in places if not place.exists()]:
            raise InputError(f"{printable(missing[0])}: no such keys; `edgeship deploy keygen --out KEYS` makes them")
        self.places = tuple(places)
        self.extra = extra or {}
        self._signers: dict[str, list[Signer]] = {}

    def of_role(self, role: str) -> list[Signer]:
        """What may sign for a role, by the names of the files; a file of one key for any of them. Each key once."""
        if role not in self._signers:
            found = (load_signer(place, role) for place in self.places if _has_key(place, role))
            self._signers[role] = list({signer.public_key.keyid: signer for signer in found}.values())
        return self._signers[role]

    def known_to(self, root: Root, role: str) -> list[Signer]:
        """Those of a role's keys in `root` that are here."""
        return [signer for signer in self.of_role(role) if signer.public_key.keyid in root.roles[role].keyids]

    def can_sign(self, root: Root, role: str) -> bool:
        """Whether there are as many of a role's keys here as it needs."""
        return len(self.known_to(root, role)) >= root.roles[role].threshold

    def signing(self, root: Root, role: str) -> list[Signer]:
        """What a role's metadata is signed with."""
        return [*self.known_to(root, role), *self.extra.get(role, ())]

    def check(self, root: Root, roles: Sequence[str]) -> None:
        """Raise InputError where a role's keys are not here, or not enough of them."""
        for role in roles:
            if not self.can_sign(root, role):
                needed, wanted = root.roles[role].threshold, ", ".join(name[:8] for name in root.roles[role].keyids)
                here = len(self.known_to(root, role))
                raise InputError(
                    f"{self}: {here} of the {needed} keys that '{role}' of this channel needs (of those with ids {wanted}...); "
                    "name further folders with --key"
                )

    def root_keys(self) -> list[Key]:
        """The public root keys beside the private ones: what tells one's own channel from another."""
        files = [place / "root.pub" for place in self.places if place.is_dir()]
        return [load_public_key(file) for file in files if file.exists()]

    def __str__(self) -> str:
        return ", ".join(map(printable, self.places))


def sign(metadata: Metadata[Any], signers: Sequence[Signer], role: str) -> None:
    """Sign metadata with these keys and no others. Raises InputError where a key's device or service does not."""
    metadata.signatures.clear()
    for signer in signers:
        try:
            metadata.sign(signer, append=True)
        except InputError:
            raise
        except Exception as error:  # of a device's or a service's library: they document none
            cause = printable(error.__cause__ or error)[:200]
            raise InputError(f"{role}: its key does not sign ({cause})") from error


def _has_key(place: Path, role: str) -> bool:
    return not place.is_dir() or any((place / f"{role}{suffix}").exists() for suffix in (".pem", ".uri"))

"""A bundle's signature: `signature.json`, a DSSE envelope (v1.0) over an in-toto Statement (v1) with a digest of every file.

It lies in the bundle and outside of the manifest's digests. A manifest's own digest tells damage; whoever changes a bundle
can seal it again. A signature takes the private key.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Signer, SSlibKey

from edgeship import untrusted
from edgeship.bundle.bundle import SIGNATURE
from edgeship.deploy.signing.claims import SignatureCheck, short_ids
from edgeship.errors import CheckError, InputError
from edgeship.storage import digest

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:edgeship:bundle:v1"


def sign_bundle(root: Path, signer: Signer) -> SignatureCheck:
    """Sign the bundle in `root`, which its caller opened; another key's signature of the same state stays beside it.

    Raises InputError where the signature there is of another state of the bundle, the signer fails or does not fit its public
    key, or nothing can be written.
    """
    payload, envelope = _statement(root), None
    if os.path.lexists(root / SIGNATURE):
        envelope = _read_envelope_of(root, payload)
    envelope = envelope or Envelope(payload, PAYLOAD_TYPE, {})
    try:
        signature = envelope.sign(signer)
        signer.public_key.verify_signature(signature, envelope.pae())
    except InputError:  # a secret that is not there
        raise
    except Exception as error:  # of a device's or a service's library: they document none
        message = untrusted.printable(error)[: untrusted.SHOWN]
        raise InputError(f"{_place(root)}: could not be signed ({type(error).__name__}: {message})") from error
    _write_beside(root / SIGNATURE, json.dumps(envelope.to_dict(), indent=1) + "\n")
    return SignatureCheck(tuple(envelope.signatures), (signature.keyid,))


def read_signature(root: Path) -> bytes | None:
    """A bundle's `signature.json`, by whatever keys; None where there is none. Raises InputError for one of another state."""
    if not os.path.lexists(root / SIGNATURE):
        return None
    _read_envelope_of(root, _statement(root))
    return (root / SIGNATURE).read_bytes()


def check_signature(root: Path, keys: Sequence[SSlibKey], threshold: int = 1) -> SignatureCheck:
    """Whether at least `threshold` of these public keys signed the bundle's files as they are, all of them and no others.

    Raises CheckError where not, InputError for a link, a pipe or a device in the bundle, for a `signature.json` that cannot be
    read, and for a threshold above the number of different keys.
    """
    different = {key.keyid: key for key in keys}
    if not 1 <= threshold <= len(different):
        raise InputError(f"a threshold of {threshold} needs as many different keys, {len(different)} were given")
    if not os.path.lexists(root / SIGNATURE):
        raise CheckError(f"{_place(root)}: is not signed (no {SIGNATURE}); `edgeship deploy sign` signs a bundle")
    envelope = _read_envelope(root)
    try:
        verified = envelope.verify(list(different.values()), threshold)
    except VerificationError as error:
        wanted = short_ids(list(different))
        raise CheckError(
            f"{_place(root)}: has no good signature by {threshold} of the keys {wanted}; it claims to be signed by "
            f"{short_ids(list(envelope.signatures))}"
        ) from error
    refuse_changes(root, _digests(root), _signed_files(envelope.payload, root))
    return SignatureCheck(tuple(envelope.signatures), tuple(verified))


def digest_files(root: Path) -> dict[str, str]:
    """SHA-256 of every file in a bundle by relative path, hidden ones, too. Raises InputError for a link, a pipe or a device."""
    return {name: digest.of_path(file) for name, file in untrusted.tree_files(root).items()}


def refuse_changes(root: Path, present: Mapping[str, str], signed: Mapping[str, str]) -> None:
    """Raises CheckError where the files that are present in `root` are not the signed ones (SHA-256 by relative path)."""
    missing = [f"{name}: missing" for name in signed.keys() - present.keys()]
    additions = [f"{name}: not signed" for name in present.keys() - signed.keys()]
    changes = [f"{name}: changed" for name in present.keys() & signed.keys() if present[name] != signed[name]]
    if problems := sorted(missing + additions + changes):
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        shown = untrusted.printable("; ".join(problems[:3]))
        raise CheckError(f"{_place(root)}: is not what was signed ({shown}{more}); get it again from who signed it")


def _statement(root: Path) -> bytes:
    """The in-toto statement of a bundle's files as they are: the same bytes for the same files."""
    subjects = [{"digest": {"sha256": value}, "name": name} for name, value in _digests(root).items()]
    statement = {"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE, "subject": subjects}
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def _digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file but the signature, of the manifest, too, by relative path."""
    return {name: value for name, value in digest_files(root).items() if name != SIGNATURE}


def _read_envelope(root: Path) -> Envelope:
    file = root / SIGNATURE
    content = untrusted.read_json(file)
    with untrusted.damage_as_input_error(file):
        if content["payloadType"] != PAYLOAD_TYPE:
            raise InputError(
                f"{untrusted.printable(file)}: signs {untrusted.printable(content['payloadType'])[:100]}, not the files of a "
                f"bundle ({PAYLOAD_TYPE})"
            )
        return Envelope.from_dict(content)


def _read_envelope_of(root: Path, payload: bytes) -> Envelope:
    envelope = _read_envelope(root)
    if envelope.payload != payload:
        raise InputError(
            f"{_place(root)}: its {SIGNATURE} is of another state of the bundle; delete that file and sign again"
        )
    return envelope


def _signed_files(payload: bytes, root: Path) -> dict[str, str]:
    """SHA-256 by relative path, as a statement says. Raises InputError where it is none of a bundle."""
    file = root / SIGNATURE
    statement: Any = untrusted.parse_json(payload, file)
    with untrusted.damage_as_input_error(file):
        kind = (statement["_type"], statement["predicateType"])
        if kind != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise InputError(
                f"{untrusted.printable(file)}: a statement of another kind; this edgeship knows {PREDICATE_TYPE}"
            )
        files = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
        if len(files) != len(statement["subject"]):
            raise InputError(f"{untrusted.printable(file)}: names a file twice")
    return files


def _write_beside(target: Path, text: str) -> None:
    """Write a file of a bundle whole or not at all; its draft lies outside, where it makes no bundle invalid."""
    folder = target.parent.resolve()
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            draft = Path(beside) / target.name
            draft.write_text(text, encoding="utf-8")
            draft.replace(target)
    except OSError as error:
        raise InputError(f"{untrusted.printable(target)}: cannot be written ({error.strerror})") from error


def _place(root: Path) -> str:
    return untrusted.printable(root)

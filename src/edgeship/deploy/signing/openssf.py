"""A bundle's signature as OpenSSF model-signing writes it: a file beside the bundle, by a key on P-256.

Its library (model-signing 1.1.1) does what is cryptography here. It leaves out `.git` and the like, and what a signature says is
to be ignored; so that the signed files are all that are there is checked by ourselves.
"""

from __future__ import annotations

import base64
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import ECDSA_SHA2_NISTP256

from edgeship import untrusted
from edgeship.deploy.signing import keys as key_files
from edgeship.deploy.signing.claims import SignatureCheck, short_ids
from edgeship.deploy.signing.signature import digest_files, refuse_changes
from edgeship.errors import CheckError, InputError, MissingDependencyError
from edgeship.storage import atomic

try:
    from model_signing import signing, verifying
except ImportError as missing:
    raise MissingDependencyError(
        f"OpenSSF's format needs model-signing ({missing}): pip install 'edgeship[openssf]'"
    ) from missing


def signature_place(root: Path) -> Path:
    """Where the signature of the bundle in `root` is written: `<its name>.sig` beside it."""
    whole = root.absolute()
    return whole.with_name(f"{whole.name}.sig")


def sign_bundle(root: Path, keys: Path) -> SignatureCheck:
    """Sign every file of the bundle in `root`, which its caller opened, into `signature_place`; one that is there is replaced.

    `keys`: a folder of `generate_keys`, or the file `.pem` of one private key. Raises InputError where the key is none on P-256,
    or lies in a device; where the bundle holds files that the format leaves out; and where nothing can be written.
    """
    file, place = keys / f"{key_files.BUNDLE}.pem" if keys.is_dir() else keys, signature_place(root)
    if file.suffix == ".uri" or (keys.is_dir() and not file.exists()):
        raise InputError(
            f"{untrusted.printable(keys)}: OpenSSF's format takes a private key in a file, as {key_files.BUNDLE}.pem"
        )
    public = key_files.load_signer(file, key_files.BUNDLE).public_key
    if public.scheme != ECDSA_SHA2_NISTP256:
        raise InputError(
            f"{untrusted.printable(file)}: OpenSSF's format takes no key of kind {public.scheme}; "
            "`edgeship deploy keygen --type ecdsa` makes one that it takes"
        )
    if place.exists() and not place.is_file():
        raise InputError(f"{untrusted.printable(place)}: is no file that a signature can replace")
    # Their parameter is annotated as text, and what it is handed to takes bytes, and none for a key that is not encrypted.
    password: Any = key_files.read_password() if b"ENCRYPTED" in file.read_bytes() else None
    try:
        with atomic.atomic_file(place) as draft:
            config = signing.Config().use_elliptic_key_signer(private_key=file, password=password)
            config.sign(root, draft)
            _, signed = _parse_signature(draft)
            if left_out := sorted(digest_files(root).keys() - signed.keys()):
                shown = untrusted.printable(", ".join(left_out[:3]))
                raise InputError(f"{untrusted.printable(root)}: OpenSSF's format leaves {shown} out; remove it")
    except OSError as error:
        raise InputError(f"{untrusted.printable(place)}: cannot be written ({error.strerror})") from error
    return SignatureCheck((public.keyid,), (public.keyid,), place)


def check_signature(root: Path, file: Path, keys: Sequence[Path]) -> SignatureCheck:
    """Whether one of these public keys made the signature in `file` of the bundle's files as they are, all of them and no others.

    Raises CheckError where not; InputError for a link, a pipe or a device in the bundle, for a signature that cannot be read, and
    for keys that are none on P-256.
    """
    public = {key: key_files.load_public_key(key) for key in keys}
    for key, content in public.items():
        if content.scheme != ECDSA_SHA2_NISTP256:
            raise InputError(
                f"{untrusted.printable(key)}: no signature of OpenSSF's format is by a {content.scheme} key"
            )
    content_of_file, signed = _parse_signature(file)
    refuse_changes(root, digest_files(root), signed)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "signature"  # the very bytes whose list of files was compared
        copy.write_bytes(content_of_file)
        for key in keys:
            if _is_by(root, copy, key):
                return SignatureCheck((public[key].keyid,), (public[key].keyid,), file)
    wanted = short_ids([key.keyid for key in public.values()])
    raise CheckError(f"{untrusted.printable(file)}: is no good signature of {untrusted.printable(root)} by {wanted}")


def _is_by(root: Path, file: Path, key: Path) -> bool:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where it prints, and our JSON goes
            verifying.Config().use_elliptic_key_verifier(public_key=key).verify(root, file)
    except Exception:  # ValueError, InvalidSignature, pydantic's, KeyError: none is documented
        return False
    return True


def _parse_signature(file: Path) -> tuple[bytes, dict[str, str]]:
    """The bytes of a signature, and the SHA-256 by relative path that it claims. Raises InputError where it is none."""
    label = untrusted.printable(file)
    content = untrusted.regular_file(file, links=True).read_bytes()
    bundle: Any = untrusted.parse_json(content, file)
    with untrusted.damage_as_input_error(f"{label} (a signature of OpenSSF model-signing is needed)"):
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True)
    statement: Any = untrusted.parse_json(payload, file)
    with untrusted.damage_as_input_error(f"{label} (a signature of OpenSSF model-signing 1.0 or later is needed)"):
        predicate = statement["predicate"]
        resources = predicate["resources"]
        if predicate["serialization"]["method"] != "files" or any(item["algorithm"] != "sha256" for item in resources):
            raise InputError(f"{label}: signs no SHA-256 of whole files; sign without options on how to hash")
        signed = {item["name"]: item["digest"] for item in resources}
    return content, signed

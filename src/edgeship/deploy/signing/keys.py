"""Key pairs of the roles that sign: one for bundles, and the four of an update channel (TUF 1.0)."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from edgeship import untrusted
from edgeship.errors import InputError, MissingDependencyError, unknown_name_error

try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.exceptions import UnsupportedLibraryError
    from securesystemslib.signer import ECDSA_SHA2_NISTP256, ED25519, CryptoSigner, Signer, SSlibKey
except ImportError as missing:
    raise MissingDependencyError("signatures need securesystemslib: pip install 'edgeship[deploy]'") from missing

BUNDLE = "bundle"
ROLES = (BUNDLE, "root", "targets", "snapshot", "timestamp")
PASSWORD = "EDGESHIP_KEY_PASSWORD"  # noqa: S105  # the variable's name
KINDS = ("ed25519", "ecdsa")  # ecdsa: on P-256, which the key stores of phones know
SCHEMES = (ED25519, ECDSA_SHA2_NISTP256)  # what browsers verify, too
LARGEST = 1 << 16  # bytes of a key's file


def generate_keys(out: Path, kind: str = "ed25519") -> dict[str, str]:
    """Write a key pair for each role into the new folder `out`, and return the roles' key ids (64 hex digits).

    `<role>.pem` is the private key (PKCS #8 in PEM, mode 0600, in a folder of mode 0700), encrypted with the password in the
    environment's `EDGESHIP_KEY_PASSWORD` where there is one; `<role>.pub` is the public key (PEM). `kind`: one of `KINDS`.
    Raises InputError where `out` is there already or cannot be written.
    """
    if kind not in KINDS:
        raise unknown_name_error("type of key", kind, KINDS)
    if os.path.lexists(out):
        raise InputError(f"{untrusted.printable(out)}: exists; keys are never overwritten, choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
            draft = Path(beside) / out.name
            draft.mkdir(mode=0o700)
            key_ids = {role: _write_pair(draft, role, kind) for role in ROLES}
            draft.rename(out)  # refused where keys lie there by now
            return key_ids
    except OSError as error:
        raise InputError(f"{untrusted.printable(out)}: cannot be written ({error.strerror})") from error


def _write_pair(folder: Path, role: str, kind: str) -> str:
    key: Ed25519PrivateKey | EllipticCurvePrivateKey
    key = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(SECP256R1())
    password, pem = read_password(), serialization.Encoding.PEM
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = os.open(folder / f"{role}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "wb") as stream:
        stream.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock))
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{role}.pub").write_bytes(public)
    return str(CryptoSigner(key).public_key.keyid)


def load_signer(keys: Path, role: str) -> Signer:
    """What signs for a role (`ROLES`): `keys` is a folder of `generate_keys`, or the file `.pem` or `.uri` of one key.

    A private key that cannot leave its device or service stands in the folder as `<role>.uri`, one line with its URI as
    securesystemslib's signers have it (`hsm:` for PKCS #11, `awskms:`, `azurekms:`, `gcpkms:`, `hv:`), beside its public key
    `<role>.pub`. The password of the file, or the device's PIN, is `EDGESHIP_KEY_PASSWORD`. Raises InputError where there is no
    such key, it cannot be read, or its kind is another than Ed25519 and ECDSA P-256; MissingDependencyError where its signer's
    library is not installed.
    """
    if role not in ROLES:
        raise unknown_name_error("role", role, ROLES)
    label = untrusted.printable(keys)
    if not keys.is_dir():
        return _load_uri(keys) if keys.suffix == ".uri" else _load_private(keys)
    if (file := keys / f"{role}.pem").exists():
        return _load_private(file)
    if (file := keys / f"{role}.uri").exists():
        return _load_uri(file)
    raise InputError(
        f"{label}: holds no private key of '{role}' ({role}.pem or {role}.uri); `edgeship deploy keygen` writes keys"
    )


def load_public_key(file: Path) -> SSlibKey:
    """The public key in a PEM file, with the id that its content gives.

    Raises InputError for anything else, and for kinds other than Ed25519 and ECDSA P-256.
    """
    if file.is_dir():
        raise InputError(f"{untrusted.printable(file)}: a folder; name the public key in it, as {BUNDLE}.pub")
    content = _read_key(file)
    with untrusted.damage_as_input_error(f"{file} (a public key in PEM, as keygen's .pub, is needed)"):
        key = SSlibKey.from_crypto(serialization.load_pem_public_key(content))
    return _check_kind(key, file)


def _load_private(file: Path) -> Signer:
    content, password, label = _read_key(file), read_password(), untrusted.printable(file)
    key = None
    with suppress(ValueError, TypeError):  # a key without a password takes none
        key = serialization.load_pem_private_key(content, None)
    if key is None and password is None and b"ENCRYPTED" in content:
        raise InputError(f"{label}: is encrypted; set its password in the environment's {PASSWORD}")
    try:
        signer = CryptoSigner(key or serialization.load_pem_private_key(content, password))
    except (ValueError, TypeError) as error:
        reason = "the password is not its own, or it is damaged" if b"ENCRYPTED" in content else "no private key in PEM"
        raise InputError(f"{label}: {reason}; `edgeship deploy keygen` writes keys") from error
    _check_kind(signer.public_key, file)
    return signer


def _load_uri(file: Path) -> Signer:
    public = load_public_key(file.with_suffix(".pub"))
    content, label = _read_key(file), untrusted.printable(file)
    with untrusted.damage_as_input_error(label):
        uri = content.decode("ascii").strip()
    try:
        return Signer.from_priv_key_uri(uri, public, _tell_secret)
    except UnsupportedLibraryError as error:
        raise MissingDependencyError(
            f"{label}: its signer is not installed ({untrusted.printable(error)[: untrusted.SHOWN]})"
        ) from error
    except InputError:
        raise
    except Exception as error:  # of a device's or a service's library: they document none
        message = untrusted.printable(error)[: untrusted.SHOWN]
        raise InputError(f"{label}: cannot be used ({type(error).__name__}: {message})") from error


def _tell_secret(name: str) -> str:
    """The secret that a device asks for by that name."""
    password = read_password()
    if password is None:
        raise InputError(f"the key asks for its {untrusted.printable(name)[:40]}; set {PASSWORD} in the environment")
    return password.decode()


def read_password() -> bytes | None:
    """What private keys are encrypted with, where the environment has it."""
    return os.environ.get(PASSWORD, "").encode() or None


def _read_key(file: Path) -> bytes:
    with untrusted.regular_file(file, links=True).open("rb") as stream:
        content = stream.read(LARGEST)
    return content


def _check_kind(key: SSlibKey, file: Path) -> SSlibKey:
    if key.scheme not in SCHEMES:
        raise InputError(f"{untrusted.printable(file)}: a key of kind {key.scheme}; known: {', '.join(SCHEMES)}")
    return key

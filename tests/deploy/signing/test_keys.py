import os
import stat

import pytest
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner

from edgeship.deploy.signing import keys
from edgeship.errors import InputError


@pytest.fixture(autouse=True)
def _no_password(monkeypatch):
    monkeypatch.delenv(keys.PASSWORD, raising=False)


@pytest.mark.parametrize(("kind", "scheme"), [("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")])
def test_each_role_signs_with_a_key_of_its_own(tmp_path, kind, scheme):
    key_ids = keys.generate_keys(tmp_path / "keys", kind)
    assert len({*key_ids.values()}) == len(keys.ROLES) == 5
    for role in keys.ROLES:
        signer, public = keys.load_signer(tmp_path / "keys", role), keys.load_public_key(tmp_path / f"keys/{role}.pub")
        assert (public.keyid, public.scheme) == (key_ids[role], scheme)
        public.verify_signature(signer.sign(b"text"), b"text")
    assert keys.load_signer(tmp_path / "keys/root.pem", "bundle").public_key.keyid == key_ids["root"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_reads_private_keys(tmp_path):
    keys.generate_keys(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "keys").glob("*.pem")} == {0o600}


def test_a_password_locks_private_keys(tmp_path, monkeypatch):
    monkeypatch.setenv(keys.PASSWORD, "a secret")
    keys.generate_keys(tmp_path / "keys")
    keys.load_signer(tmp_path / "keys", "bundle")
    monkeypatch.setenv(keys.PASSWORD, "another")
    with pytest.raises(InputError, match=r"bundle\.pem: the password is not its own"):
        keys.load_signer(tmp_path / "keys", "bundle")
    monkeypatch.delenv(keys.PASSWORD)
    with pytest.raises(InputError, match=f"is encrypted; set its password in the environment's {keys.PASSWORD}"):
        keys.load_signer(tmp_path / "keys", "bundle")
    monkeypatch.setenv(keys.PASSWORD, "not needed")
    (tmp_path / "plain.pem").write_bytes(CryptoSigner.generate_ed25519().private_bytes)
    keys.load_signer(tmp_path / "plain.pem", "bundle")


@pytest.mark.parametrize("there", ["folder", "file", "dangling link"])
def test_keys_are_never_overwritten(tmp_path, there):
    place = tmp_path / "keys"
    {"folder": place.mkdir, "file": place.touch, "dangling link": lambda: place.symlink_to("nowhere")}[there]()
    with pytest.raises(InputError, match="exists; keys are never overwritten"):
        keys.generate_keys(place)


def test_other_keys_are_refused(tmp_path):
    rsa = CryptoSigner.generate_rsa(size=2048)
    (tmp_path / "rsa.pem").write_bytes(rsa.private_bytes)
    (tmp_path / "rsa.pub").write_text(rsa.public_key.keyval["public"])
    (tmp_path / "p384.pem").write_bytes(CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp384").private_bytes)
    (tmp_path / "text.pem").write_text("no key")
    for name, message in {
        "rsa": "a key of kind rsassa-pss-sha256; known: ed25519, ecdsa-sha2-nistp256",
        "p384": "a key of kind ecdsa-sha2-nistp384",
        "text": "no private key in PEM",
        "missing": "no such file",
    }.items():
        with pytest.raises(InputError, match=message):
            keys.load_signer(tmp_path / f"{name}.pem", "bundle")
    with pytest.raises(InputError, match="a key of kind rsassa"):
        keys.load_public_key(tmp_path / "rsa.pub")
    with pytest.raises(InputError, match="a public key in PEM"):
        keys.load_public_key(tmp_path / "p384.pem")
    with pytest.raises(InputError, match=r"holds no private key of 'root' \(root\.pem or root\.uri\)"):
        keys.load_signer(tmp_path, "root")
    with pytest.raises(InputError, match="unknown role 'boss'"):
        keys.load_signer(tmp_path, "boss")


class DeviceSigner(CryptoSigner):
    """Keeps its key for itself, and asks for a PIN, as a device does."""

    key = CryptoSigner.generate_ecdsa()

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri, public_key, secrets_handler=None):
        if priv_key_uri != "device:7?label=ours":
            raise OSError("no such token")
        assert secrets_handler("PIN") == "1234"
        return cls(cls.key._private_key, public_key)


def test_a_key_in_a_device_is_named_by_its_uri(tmp_path, monkeypatch):
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "device", DeviceSigner)
    (tmp_path / "bundle.pub").write_text(DeviceSigner.key.public_key.keyval["public"])
    (tmp_path / "bundle.uri").write_text("device:7?label=ours\n")
    with pytest.raises(InputError, match=f"asks for its PIN; set {keys.PASSWORD}"):
        keys.load_signer(tmp_path, "bundle")
    monkeypatch.setenv(keys.PASSWORD, "1234")
    signer = keys.load_signer(tmp_path, "bundle")
    keys.load_public_key(tmp_path / "bundle.pub").verify_signature(signer.sign(b"text"), b"text")
    (tmp_path / "bundle.uri").write_text("device:8\n")
    with pytest.raises(InputError, match=r"bundle\.uri: cannot be used \(OSError: no such token\)"):
        keys.load_signer(tmp_path, "bundle")
    (tmp_path / "bundle.uri").write_text("unknown:8\n")
    with pytest.raises(InputError, match="Unsupported private key scheme unknown"):
        keys.load_signer(tmp_path, "bundle")

"""Signatures of OpenSSF's format, by its own library; its own command line makes and checks the same."""

import base64
import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from edgeship import api
from edgeship.bundle import bundle as bundles
from edgeship.deploy.signing import keys
from edgeship.errors import CheckError, InputError, MissingDependencyError
from tests.deploy.signing.test_signature import EMPTY, add, edit, remove, seal


@pytest.fixture(scope="module")
def key_folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("ours", "ecdsa"), ("stranger", "ecdsa"), ("ed25519", "ed25519")):
        keys.generate_keys(folder / name, kind)
    return folder


@pytest.fixture
def bundle(tmp_path):
    out = tmp_path / "bundle"
    with bundles.replace_bundle(out) as draft:
        (draft / "tflite").mkdir()
        (draft / "tflite" / "a.tflite").write_text("content")
        (draft / "server.keras").write_text("a server model")
        bundles.seal_content(draft, EMPTY)
    return out


def sign(bundle, key_folders, name="ours"):
    return api.sign_bundle(bundle, key_folders / name, form="openssf").file


def check(bundle, key_folders, *names, signature=None):
    """Without the goldens, which this bundle has none of."""
    with pytest.raises(CheckError) as caught:
        api.verify_bundle(
            bundle,
            keys=[key_folders / name / "bundle.pub" for name in names or ("ours",)],
            signature=signature or bundle.with_name("bundle.sig"),
        )
    return str(caught.value)


GOOD = "holds no artifact, so nothing was replayed"


def model_signing(*words):
    return subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True, check=False)


def test_a_signature_lies_beside_the_bundle(bundle, key_folders):
    file = sign(bundle, key_folders)
    assert file == bundle.with_name("bundle.sig") and sorted(item.name for item in bundle.parent.iterdir()) == [
        "bundle",
        "bundle.sig",
    ]
    assert GOOD in check(bundle, key_folders)
    assert GOOD in check(bundle, key_folders, "stranger", "ours")
    assert sign(bundle, key_folders, "stranger") == file  # it is replaced
    assert "is no good signature of" in check(bundle, key_folders)


@pytest.mark.parametrize(
    ("change", "says"),
    [(edit, "tflite/a.tflite: changed"), (add, ".git/x: not signed"), (remove, "tflite/a.tflite: missing")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_changed_bundle_is_refused(bundle, key_folders, change, says):
    sign(bundle, key_folders)
    change(bundle)
    seal(bundle)
    assert says in check(bundle, key_folders)


@pytest.mark.parametrize("part", ["nothing", "hint", "subject", "ignored", "signature"])
def test_a_changed_signature_is_refused(bundle, key_folders, part):
    """A stranger changes the bundle, and all of the signature but for what takes the key."""
    file = sign(bundle, key_folders)
    hint = json.loads(file.read_text())["verificationMaterial"]
    edit(bundle)
    seal(bundle)
    content = json.loads(sign(bundle, key_folders, "stranger").read_text())
    if part != "nothing":
        content["verificationMaterial"] = hint
    statement = json.loads(base64.b64decode(content["dsseEnvelope"]["payload"]))
    if part == "subject":
        statement["subject"][0]["digest"]["sha256"] = "0" * 64
    if part == "ignored":
        statement["predicate"]["serialization"]["ignore_paths"] = ["tflite/a.tflite"]
    if part == "signature":
        content["dsseEnvelope"]["signatures"] = []
    content["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    file.write_text(json.dumps(content))
    assert "is no good signature of" in check(bundle, key_folders)


def test_what_the_key_itself_says_is_to_be_ignored_is_not(bundle, key_folders):
    file = sign(bundle, key_folders)
    content = json.loads(file.read_text())
    statement = json.loads(base64.b64decode(content["dsseEnvelope"]["payload"]))
    statement["predicate"]["serialization"]["ignore_paths"].append("planted")
    envelope = Envelope(json.dumps(statement).encode(), "application/vnd.in-toto+json", {})
    private = serialization.load_pem_private_key((key_folders / "ours" / "bundle.pem").read_bytes(), None)
    signature = envelope.sign(CryptoSigner(private)).signature
    content["dsseEnvelope"]["payload"] = base64.b64encode(envelope.payload).decode()
    content["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(bytes.fromhex(signature)).decode()
    file.write_text(json.dumps(content))
    assert GOOD in check(bundle, key_folders)
    (bundle / "planted").write_text("planted")
    seal(bundle)
    assert "planted: not signed" in check(bundle, key_folders)


def test_other_keys_are_refused(bundle, key_folders, tmp_path):
    with pytest.raises(
        InputError, match="takes no key of kind ed25519; `edgeship deploy keygen --type ecdsa` makes one"
    ):
        sign(bundle, key_folders, "ed25519")
    sign(bundle, key_folders)
    with pytest.raises(InputError, match="no signature of OpenSSF's format is by a ed25519 key"):
        api.verify_bundle(bundle, keys=[key_folders / "ed25519/bundle.pub"], signature=tmp_path / "bundle.sig")
    with pytest.raises(InputError, match="by one key: name it with --key"):
        api.verify_bundle(bundle, signature=tmp_path / "bundle.sig")
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "bundle.uri").write_text("hsm:2")
    with pytest.raises(InputError, match=r"takes a private key in a file, as bundle\.pem"):
        api.sign_bundle(bundle, tmp_path / "device", form="openssf")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 1000, '{"dsseEnvelope": {"payload": "e30="}}'])
def test_a_damaged_signature_is_refused(bundle, key_folders, tmp_path, text):
    (tmp_path / "bundle.sig").write_text(text)
    with pytest.raises(InputError, match=r"bundle\.sig"):
        api.verify_bundle(bundle, keys=[key_folders / "ours/bundle.pub"], signature=tmp_path / "bundle.sig")


def test_what_the_format_leaves_out_is_not_signed(bundle, key_folders):
    add(bundle)
    seal(bundle)
    with pytest.raises(InputError, match=r"OpenSSF's format leaves \.git/x out; remove it"):
        sign(bundle, key_folders)
    assert not bundle.with_name("bundle.sig").exists()


def test_an_encrypted_key_signs(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv(keys.PASSWORD, "a secret")
    keys.generate_keys(tmp_path / "locked", "ecdsa")
    sign(bundle, tmp_path, "locked")
    assert GOOD in check(bundle, tmp_path, "locked")


def test_their_command_line_takes_our_signature_and_we_take_theirs(bundle, key_folders, tmp_path):
    file = sign(bundle, key_folders)
    key = ("--public_key", key_folders / "ours/bundle.pub")
    done = model_signing("verify", "key", bundle, *key, "--signature", file)
    assert done.returncode == 0 and "succeeded" in done.stdout + done.stderr
    theirs = tmp_path / "theirs.sig"
    done = model_signing("sign", "key", bundle, "--private_key", key_folders / "ours/bundle.pem", "--signature", theirs)
    assert done.returncode == 0, done.stderr
    assert GOOD in check(bundle, key_folders, signature=theirs)
    edit(bundle)
    done = model_signing("verify", "key", bundle, *key, "--signature", file)
    assert done.returncode == 1 and "a.tflite" in done.stdout + done.stderr


def test_without_the_library_the_extra_is_named(bundle, key_folders, monkeypatch):
    for name in [item for item in sys.modules if item.partition(".")[0] == "model_signing"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    monkeypatch.delitem(sys.modules, "edgeship.deploy.signing.openssf", raising=False)
    monkeypatch.delattr("edgeship.deploy.signing.openssf", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgeship\[openssf\]'"):
        sign(bundle, key_folders)

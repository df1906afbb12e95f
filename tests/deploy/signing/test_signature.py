import base64
import hashlib
import json
import os
import shutil

import pytest
from securesystemslib.dsse import Envelope

from edgeship import api
from edgeship.bundle import bundle as bundles
from edgeship.deploy.signing import keys, signature
from edgeship.errors import CheckError, InputError

SERVER = {"path": "server.keras", "digest": hashlib.sha256(b"a server model").hexdigest(), "inputs": [], "outputs": []}
EMPTY = {"artifacts": [], "measurements": [], "config": {}, "server_model": SERVER}


@pytest.fixture(scope="module")
def key_folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("ours", "ed25519"), ("partner", "ecdsa"), ("stranger", "ed25519")):
        keys.generate_keys(folder / name, kind)
    return folder


@pytest.fixture
def bundle(tmp_path):
    out = tmp_path / "bundle"
    with bundles.replace_bundle(out) as draft:
        (draft / "tflite").mkdir()
        (draft / "tflite" / "a.tflite").write_text("content")
        (draft / "server.keras").write_text("a server model")
        seal(draft)
    return out


@pytest.fixture
def signed(bundle, key_folders):
    api.sign_bundle(bundle, key_folders / "ours")
    return bundle


@pytest.fixture
def public(key_folders):
    return {name: keys.load_public_key(key_folders / name / "bundle.pub") for name in ("ours", "partner", "stranger")}


def seal(root):
    bundles.seal_content(root, EMPTY)


def sign_text(root, key_folders, payload, payload_type=signature.PAYLOAD_TYPE):
    envelope = Envelope(payload, payload_type, {})
    envelope.sign(keys.load_signer(key_folders / "ours", "bundle"))
    (root / bundles.SIGNATURE).write_text(json.dumps(envelope.to_dict()))


def test_a_signature_lies_in_the_bundle_and_says_what_is_in_it(signed, public):
    check = signature.check_signature(signed, [public["ours"]])
    assert check.verified == check.claimed == (public["ours"].keyid,)
    assert bundles.open_bundle(signed).manifest.files.keys() == {"server.keras", "tflite/a.tflite"}
    envelope = json.loads((signed / "signature.json").read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert [item["name"] for item in statement["subject"]] == ["manifest.json", "server.keras", "tflite/a.tflite"]
    assert [path.name for path in signed.parent.iterdir()] == ["bundle"]


def edit(root):
    (root / "tflite" / "a.tflite").write_text("another")


def add(root):
    (root / ".git").mkdir()
    (root / ".git" / "x").write_text("planted")


def remove(root):
    (root / "tflite" / "a.tflite").unlink()


def change_manifest(root):
    content = json.loads((root / "manifest.json").read_text())
    content["tools"] = {"a": "b"}
    bundles.seal_content(root, content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edit, "tflite/a.tflite: changed"),
        (add, ".git/x: not signed"),
        (remove, "tflite/a.tflite: missing"),
        (change_manifest, "manifest.json: changed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bundle_that_was_changed_and_sealed_again_is_refused(signed, public, change, says):
    change(signed)
    if change is not change_manifest:
        seal(signed)
    bundles.open_bundle(signed)  # its own digests are right again
    with pytest.raises(CheckError, match=says) as caught:
        signature.check_signature(signed, [public["ours"]])
    assert caught.value.exit_code == 1


def test_a_link_to_the_same_content_is_refused(signed, public):
    (signed / "tflite" / "a.tflite").rename(signed.parent / "a.tflite")
    (signed / "tflite" / "a.tflite").symlink_to(signed.parent / "a.tflite")
    with pytest.raises(InputError, match="a link, not a regular file"):
        signature.check_signature(signed, [public["ours"]])


def test_a_linked_signature_is_refused(signed, public):
    shutil.move(signed / "signature.json", signed.parent / "signature.json")
    (signed / "signature.json").symlink_to(signed.parent / "signature.json")
    with pytest.raises(InputError, match="a link, not a regular file"):
        signature.check_signature(signed, [public["ours"]])


def test_another_key_is_refused(signed, public):
    with pytest.raises(
        CheckError, match=f"no good signature by 1 of the keys {public['stranger'].keyid[:16]}; it claims"
    ):
        signature.check_signature(signed, [public["stranger"]])


def test_a_key_id_is_no_signature(signed, public):
    """A stranger's signature under our key's id."""
    file = signed / "signature.json"
    content = json.loads(file.read_text())
    content["signatures"][0]["keyid"] = public["stranger"].keyid
    file.write_text(json.dumps(content))
    with pytest.raises(CheckError, match="no good signature"):
        signature.check_signature(signed, [public["stranger"], public["ours"]])


def test_an_unsigned_bundle_is_refused(bundle, public):
    with pytest.raises(CheckError, match="is not signed"):
        signature.check_signature(bundle, [public["ours"]])


def test_another_type_of_payload_is_refused(signed, key_folders, public):
    payload = base64.b64decode(json.loads((signed / "signature.json").read_text())["payload"])
    sign_text(signed, key_folders, payload, "application/json")
    with pytest.raises(InputError, match="signs application/json, not the files of a bundle"):
        signature.check_signature(signed, [public["ours"]])


@pytest.mark.parametrize("name", ["_type", "predicateType"])
def test_a_signed_statement_of_another_kind_is_refused(signed, key_folders, public, name):
    statement = json.loads(base64.b64decode(json.loads((signed / "signature.json").read_text())["payload"]))
    sign_text(signed, key_folders, json.dumps(statement | {name: "https://slsa.dev/provenance/v1"}).encode())
    with pytest.raises(InputError, match="a statement of another kind"):
        signature.check_signature(signed, [public["ours"]])


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"payload": 1, "payloadType": 2, "signatures": 3}', "[" * 1000),
        '{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": [], "sig": "e30="}]}',
    ],
)
def test_a_damaged_signature_is_refused(signed, public, text):
    (signed / "signature.json").write_text(text)
    with pytest.raises((InputError, CheckError)):
        signature.check_signature(signed, [public["ours"]])
    with pytest.raises(InputError):
        api.verify_bundle(signed)


def test_two_keys_sign_the_same_state(signed, key_folders, public):
    both = [public["ours"], public["partner"]]
    with pytest.raises(CheckError, match="no good signature by 2 of the keys"):
        signature.check_signature(signed, both, 2)
    check = api.sign_bundle(signed, key_folders / "partner")
    assert check.verified == (public["partner"].keyid,)
    assert len(signature.check_signature(signed, both, 2).verified) == 2
    signature.check_signature(signed, [public["partner"]])
    with pytest.raises(InputError, match="a threshold of 2 needs as many different keys, 1 were given"):
        signature.check_signature(signed, [public["ours"]] * 2, 2)
    with pytest.raises(InputError, match="a threshold of 2 needs as many different keys, 0 were given"):
        api.verify_bundle(signed, threshold=2)


def test_a_signature_of_another_state_is_not_added_to(signed, key_folders):
    before = (signed / "signature.json").read_bytes()
    edit(signed)
    seal(signed)
    with pytest.raises(InputError, match="is of another state of the bundle; delete that file and sign again"):
        api.sign_bundle(signed, key_folders / "partner")
    assert (signed / "signature.json").read_bytes() == before


def test_a_damaged_bundle_is_not_signed(bundle, key_folders):
    edit(bundle)
    with pytest.raises(InputError, match="does not match its manifest"):
        api.sign_bundle(bundle, key_folders / "ours")
    assert not (bundle / "signature.json").exists()


def test_a_signer_with_another_public_key_is_refused(bundle, key_folders, monkeypatch):
    signer, other = (keys.load_signer(key_folders / name, "bundle") for name in ("ours", "stranger"))
    monkeypatch.setattr(signer, "_public_key", other.public_key)
    with pytest.raises(InputError, match="could not be signed"):
        signature.sign_bundle(bundle, signer)
    assert not (bundle / "signature.json").exists()


def test_a_bundle_that_is_written_again_is_not_signed_and_says_so(signed, capsys):
    """As `benchmark` and `debug` do it: they bring the old bundle's files into the new one."""
    with bundles.replace_bundle(signed) as draft:
        bundles.link_tree(signed, draft)
        seal(draft)
    assert "the new bundle is not signed, as the old one was" in capsys.readouterr().err
    assert not os.path.lexists(signed / "signature.json")
    bundles.open_bundle(signed)

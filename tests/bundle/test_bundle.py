import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from edgeship.bundle import bundle
from edgeship.errors import InputError
from edgeship.storage import digest

SERVER = {"path": "server.keras", "digest": hashlib.sha256(b"a server model").hexdigest(), "inputs": [], "outputs": []}
EMPTY = {"artifacts": [], "measurements": [], "config": {}, "server_model": SERVER}
FILES = {"server.keras", "tflite/a.tflite"}


def write(out, text="content"):
    with bundle.replace_bundle(out) as draft:
        (draft / "tflite").mkdir()
        (draft / "tflite" / "a.tflite").write_text(text)
        (draft / "server.keras").write_text("a server model")
        bundle.seal_content(draft, EMPTY)
    return out


def test_a_bundle_is_written_whole_and_opens(tmp_path):
    out = write(tmp_path / "deep" / "bundle")
    assert bundle.open_bundle(out).manifest.files.keys() == FILES
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("change", ["edit", "add", "remove", "manifest", "digest", "json", "schema"])
def test_a_bundle_edited_by_hand_is_refused(tmp_path, change):
    out = write(tmp_path / "bundle")
    manifest = out / "manifest.json"
    if change == "edit":
        (out / "tflite" / "a.tflite").write_text("other")
    elif change == "add":
        (out / "tflite" / "b.tflite").write_text("other")
    elif change == "remove":
        (out / "tflite" / "a.tflite").unlink()
    elif change == "json":
        manifest.write_text(manifest.read_text()[:50])
    else:
        data = json.loads(manifest.read_text())
        data[{"manifest": "artifacts", "digest": "digest", "schema": "schema"}[change]] = 7
        manifest.write_text(json.dumps(data))
    with pytest.raises(InputError) as caught:
        bundle.open_bundle(out)
    assert "make the bundle again" in str(caught.value)


def test_what_is_no_bundle_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="not a bundle"):
            bundle.open_bundle(path)


def test_a_failed_run_leaves_the_old_bundle(tmp_path):
    out = write(tmp_path / "bundle", "old")

    def fail():
        with bundle.replace_bundle(out) as draft:
            (draft / "half").write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        fail()
    assert (bundle.open_bundle(out).root / "tflite" / "a.tflite").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_killed_run_leaves_the_old_bundle_and_its_draft_is_cleared(tmp_path):
    out = write(tmp_path / "bundle", "old")
    code = (
        "import os, sys; from pathlib import Path; from edgeship.bundle import bundle\n"
        "with bundle.replace_bundle(Path(sys.argv[1])) as draft:\n    (draft / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False).returncode == -9
    assert (bundle.open_bundle(out).root / "tflite" / "a.tflite").read_text() == "old"
    write(out, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_nothing_else_is_overwritten(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("notes", "file"):
        with pytest.raises(InputError, match="exists and is not a bundle"):
            write(tmp_path / name)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("content", ["{}", '{"name": "a page", "icons": []}', "[]", ""])
def test_a_folder_with_another_manifest_is_not_overwritten(tmp_path, content):
    """Pages and browser extensions have a manifest.json, too."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "manifest.json").write_text(content)
    (tmp_path / "page" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not a bundle"):
        write(tmp_path / "page")
    assert (tmp_path / "page" / "thesis.txt").exists()


def test_none_is_written_into_another(tmp_path):
    """`edgeship rebuild LOCK --out bundle/again` broke the bundle."""
    out = tmp_path / "bundle"
    write(out)
    with pytest.raises(InputError, match="lies in the bundle"), bundle.replace_bundle(out / "more" / "again"):
        pass
    bundle.open_bundle(out)


def test_a_draft_of_another_user_s_process_is_left_alone(tmp_path, monkeypatch):
    drafts = [tmp_path / f".bundle.abc.{number}.draft" for number in ("1", "99999999999999999999", "x")]
    for draft in drafts:
        draft.mkdir()

    def kill(number, _):
        if number == 1:
            raise PermissionError
        raise OverflowError

    monkeypatch.setattr(os, "kill", kill)
    write(tmp_path / "bundle")
    assert [draft.exists() for draft in drafts] == [True, False, False]


def with_server_folder(out, described):
    """A bundle whose server model is a folder with an empty folder in it, as a SavedModel is."""
    with bundle.replace_bundle(out) as draft:
        (draft / "server" / "variables").mkdir(parents=True)
        (draft / "server" / "assets").mkdir()
        (draft / "server" / "variables" / "index").write_text("weights")
        server = {**SERVER, "path": "server", "digest": described or digest.of_path(draft / "server")}
        bundle.seal_content(draft, {**EMPTY, "server_model": server})
    return out


def test_a_server_model_is_the_one_that_the_manifest_describes(tmp_path):
    with pytest.raises(InputError, match="server is not the one that its manifest describes"):
        bundle.open_bundle(with_server_folder(tmp_path / "bundle", "5e" * 32))
    with bundle.replace_bundle(tmp_path / "file") as draft:
        (draft / "server.keras").write_text("another server model")
        bundle.seal_content(draft, EMPTY)
    with pytest.raises(InputError, match=r"server\.keras is not the one that its manifest describes"):
        bundle.open_bundle(tmp_path / "file")


def test_empty_folders_of_a_server_model_may_get_lost(tmp_path):
    out = with_server_folder(tmp_path / "bundle", None)
    (tmp_path / "linked").mkdir()
    bundle.link_tree(out, tmp_path / "linked")
    assert digest.of_path(tmp_path / "linked" / "server") == digest.of_path(out / "server")
    (out / "server" / "assets").rmdir()
    assert bundle.open_bundle(out).manifest.server.path == "server"
    shutil.rmtree(out)
    earlier = digest.of_json({"variables/index": hashlib.sha256(b"weights").hexdigest()})
    assert bundle.open_bundle(with_server_folder(out, earlier))

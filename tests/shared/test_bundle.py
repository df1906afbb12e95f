import json
import subprocess
import sys

import pytest

from edgeship import bundle
from edgeship.errors import InputError

SERVER = {"path": "server.keras", "digest": "d", "inputs": [], "outputs": []}
EMPTY = {"artifacts": [], "measurements": [], "config": {}, "server_model": SERVER}
FILES = {"server.keras", "tflite/a.tflite"}


def write(out, text="content"):
    with bundle.replacing(out) as draft:
        (draft / "tflite").mkdir()
        (draft / "tflite" / "a.tflite").write_text(text)
        (draft / "server.keras").write_text("a server model")
        bundle.seal(draft, EMPTY)
    return out


def test_a_bundle_is_written_whole_and_opens(tmp_path):
    out = write(tmp_path / "deep" / "bundle")
    assert bundle.open_bundle(out).manifest["files"].keys() == FILES
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
        with bundle.replacing(out) as draft:
            (draft / "half").write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        fail()
    assert (bundle.open_bundle(out).root / "tflite" / "a.tflite").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_killed_run_leaves_the_old_bundle_and_its_draft_is_cleared(tmp_path):
    out = write(tmp_path / "bundle", "old")
    code = (
        "import os, sys; from pathlib import Path; from edgeship import bundle\n"
        "with bundle.replacing(Path(sys.argv[1])) as draft:\n    (draft / 'half').write_text('x'); os.kill(os.getpid(), 9)"
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

"""What edgeship keeps for later runs, results and programs, is the user's own and what it was, or is not used."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from edgeship.bundle import bundle as bundles
from edgeship.errors import InputError
from edgeship.storage import atomic, installed
from edgeship.storage import cache as caches
from edgeship.storage.cache import Cache

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners and modes of POSIX")


def write(text: str):
    def make(folder: Path) -> str:
        (folder / "out.txt").write_text(text)
        return text

    return make


def test_what_is_kept_is_closed_to_others(tmp_path):
    entry = Cache(tmp_path / "cache").get("step", {}, write("text"))
    for folder in (tmp_path / "cache", tmp_path / "cache" / "step", entry.path.parent):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


@pytest.mark.parametrize("place", [".", "step"])
@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_cache_that_others_may_write_is_refused(tmp_path, place, mode):
    Cache(tmp_path / "cache").get("step", {}, write("text"))
    (tmp_path / "cache" / place).chmod(mode)
    with pytest.raises(InputError, match="others may write in it"):
        Cache(tmp_path / "cache").get("step", {}, write("text"))


@pytest.mark.parametrize("place", [".", "step"])
def test_a_cache_that_was_made_with_another_umask_is_closed_and_used(tmp_path, place):
    Cache(tmp_path / "cache").get("step", {}, write("text"))
    (tmp_path / "cache" / place).chmod(0o775)
    assert Cache(tmp_path / "cache").get("step", {}, write("text")).hit
    assert (tmp_path / "cache" / place).stat().st_mode & 0o777 == 0o755


def test_what_the_system_installed_is_used_by_everybody(program, monkeypatch):
    """By root, and read-only; with a record and without one."""
    owner = program.stat().st_uid

    def write(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(caches, "ROOT", owner)
    monkeypatch.setattr(installed, "_write_record", write)
    for change in (lambda: None, lambda: os.utime(program / "lib/code.py"), (program / installed.RECORD).unlink):
        change()
        check(program)
    monkeypatch.setattr(caches, "ROOT", owner + 2)
    with pytest.raises(InputError, match="belongs to another user"):
        check(program)


def test_a_cache_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(caches, "ROOT", -1)
    Cache(tmp_path / "cache").get("step", {}, write("text"))
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    for use in (lambda cache: cache.get("step", {}, write("text")), Cache.prune):
        with pytest.raises(InputError, match="belongs to another user"):
            use(Cache(tmp_path / "cache"))


def test_an_entry_that_others_may_touch_is_made_again(tmp_path):
    entry = Cache(tmp_path / "cache").get("step", {}, write("text"))
    entry.path.parent.chmod(0o755)
    again = Cache(tmp_path / "cache").get("step", {}, write("text"))
    assert not again.hit
    assert again.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_linked_entry_is_made_again(tmp_path):
    """Another entry, whole and with right digests, under this one's name."""
    cache = Cache(tmp_path / "cache")
    entry, other = cache.get("step", {"a": 1}, write("right")), cache.get("step", {"a": 2}, write("other"))
    shutil.rmtree(entry.path.parent)
    entry.path.parent.symlink_to(other.path.parent)
    assert cache.get("step", {"a": 1}, write("right")).result == "right"
    assert cache.get("step", {"a": 2}, write("other")).hit, "what the link pointed to is as it was"


def test_an_entry_under_another_name_is_made_again(tmp_path):
    """It is moved with all that belongs to it: only the name that it was made for is not this one."""
    cache = Cache(tmp_path / "cache")
    entry, other = cache.get("step", {"a": 1}, write("right")), cache.get("step", {"a": 2}, write("other"))
    shutil.rmtree(entry.path.parent)
    other.path.parent.rename(entry.path.parent)
    assert cache.get("step", {"a": 1}, write("right")).result == "right"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_an_entry_with_something_else_than_files_is_made_again(tmp_path, kind):
    cache = Cache(tmp_path / "cache")
    entry = cache.get("step", {}, write("right"))
    (tmp_path / "elsewhere").write_text("right")
    (entry.path / "out.txt").unlink()
    if kind == "link":
        (entry.path / "out.txt").symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(entry.path / "out.txt")
    again = cache.get("step", {}, write("right"))
    assert not again.hit
    assert not (again.path / "out.txt").is_symlink()


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"name": 1}', "[" * 100_000])
def test_an_entry_that_is_none_is_made_again(tmp_path, text):
    cache = Cache(tmp_path / "cache")
    entry = cache.get("step", {}, write("right"))
    (entry.path.parent / "entry.json").write_text(text)
    assert not cache.get("step", {}, write("right")).hit


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Something installed, and its check begun anew."""
    folder = tmp_path / "programs" / "tool"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "code.py").write_text("print('right')")
    (folder / "python").symlink_to(sys.executable)
    installed.record(folder)
    installed.check.cache_clear()
    return folder


def check(folder: Path) -> None:
    installed.check.cache_clear()
    installed.check(folder, "edgeship devices install tool")


def rewrite(folder: Path) -> None:
    """Other content of the same length, with the times that the file had."""
    path = folder / "lib" / "code.py"
    before = path.stat()
    path.write_text("print('wrong')"[: before.st_size])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(folder: Path) -> None:
    (folder / "python").unlink()
    (folder / "python").symlink_to("/bin/sh")


SPOILT = {
    "lib/code.py: changed": rewrite,
    "lib/sitecustomize.py: added": lambda folder: (folder / "lib" / "sitecustomize.py").write_text("1"),
    "lib/code.py: missing": lambda folder: (folder / "lib" / "code.py").unlink(),
    "python: changed": relink,
    "lib/more: added": lambda folder: (folder / "lib" / "more").symlink_to("/tmp"),
}


@pytest.mark.parametrize("says", SPOILT)
def test_a_program_that_is_not_what_was_installed_is_refused(program, says):
    check(program)
    SPOILT[says](program)
    with pytest.raises(InputError, match=rf"not what was installed \({says}\).*edgeship devices install tool"):
        check(program)


def test_a_program_that_was_copied_is_read_once_and_believed(program, tmp_path):
    copied = shutil.copytree(program, tmp_path / "copied", symlinks=True)
    before = (copied / installed.RECORD).read_text()
    check(copied)
    after = (copied / installed.RECORD).read_text()
    assert json.loads(before).keys() == json.loads(after).keys()
    assert before != after, "the times of its files are known now"
    rewrite(copied)
    with pytest.raises(InputError, match="changed"):
        check(copied)


def test_a_program_that_others_may_write_is_refused(program):
    program.chmod(0o777)
    with pytest.raises(InputError, match="others may write in it"):
        check(program)


def test_a_program_of_an_earlier_version_gets_its_record(program):
    (program / installed.RECORD).unlink()
    check(program)
    rewrite(program)
    with pytest.raises(InputError, match="changed"):
        check(program)


def test_a_device_s_environment_is_looked_at_before_it_starts(tmp_path, monkeypatch):
    """As `edgeship devices install` leaves it, with a module added that Python imports by itself."""
    from edgeship.devices.profiles import Device
    from edgeship.runtimes.launchers.venv import VenvLauncher
    from edgeship.types import Kind

    monkeypatch.setenv("EDGESHIP_CACHE", str(tmp_path / "cache"))
    launch = {"how": "environment", "requirements": ["numpy==1.26.4"]}
    place = VenvLauncher(Device("old", "an old runtime", Kind.MEASURED, ("litert",), 1, ("quality",), launch=launch))
    site = place.folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (place.folder / "bin").mkdir()
    place.python.symlink_to(sys.executable)
    installed.record(place.folder)
    installed.check.cache_clear()
    assert place.launch("litert").command[0] == str(place.python)
    (site / "sitecustomize.py").write_text("open('canary', 'w')")
    installed.check.cache_clear()
    with pytest.raises(InputError, match=r"sitecustomize.py: added.*edgeship devices install old"):
        place.launch("litert")


def test_the_cache_is_made_closed_wherever_it_begins(tmp_path):
    assert caches.own_folder(tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_an_output_s_place_is_replaced_and_not_followed(tmp_path, there):
    target = tmp_path / "elsewhere"
    if there:
        target.mkdir()
    for name in ("bundle", "site"):
        (tmp_path / name).symlink_to(target)
    with bundles.replace_bundle(tmp_path / "bundle") as draft:
        (draft / "new").write_text("")
    with atomic.atomic_folder(tmp_path / "site") as folder:
        folder.mkdir()
    assert sorted(path.name for path in tmp_path.iterdir() if path != target) == ["bundle", "site"]
    assert (tmp_path / "bundle/new").exists()
    assert not any((tmp_path / name).is_symlink() for name in ("bundle", "site"))
    assert not there or not list(target.iterdir())


def test_no_draft_has_a_name_that_can_be_known_before(tmp_path):
    """Where others may write beside a result, they could leave a link there that is written through."""
    from edgeship.bundle import bundle
    from edgeship.storage import atomic

    names = set()
    for _ in range(3):
        with atomic.atomic_file(tmp_path / "report.html") as draft:
            draft.write_text("text")
            names.add(draft.name)
        with bundle.replace_bundle(tmp_path / "bundle") as folder:
            (folder / bundle.MANIFEST).write_text('{"server_model": {}}')
            names.add(folder.name)
    assert len(names) == 6


@pytest.fixture
def converter(tmp_path, monkeypatch):
    """The TF.js converter as it is installed into the user's cache where it is absent, without a network."""
    import platformdirs

    from edgeship.convert.tfjs import shim

    def install(_: Path, target: Path) -> None:
        (target / "tensorflowjs").mkdir(parents=True)
        target.chmod(0o775)  # as where users have a group of their own
        (target / "tensorflowjs" / "__init__.py").write_text("print('right')")

    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "home"))
    monkeypatch.setattr(shim, "_run_installer", install)

    def again() -> Path:
        installed.check.cache_clear()
        return shim._ensure_installed()

    return again


def test_the_converter_of_pages_is_looked_at_before_it_is_imported(converter):
    place = converter()
    assert converter() == place
    (place / "tensorflowjs" / "__init__.py").write_text("print('wrong')")
    with pytest.raises(InputError, match=r"tensorflowjs/__init__.py: changed.*edgeship convert MODEL --to tfjs"):
        converter()


def test_the_converter_of_pages_is_the_user_s_own(converter):
    place = converter()
    assert place.parent.stat().st_mode & 0o777 == 0o700
    (place / "jax.py").write_text("1")
    with pytest.raises(InputError, match=r"jax.py: added"):
        converter()
    (place / "jax.py").unlink()
    for folder in (place, place.parent):
        folder.chmod(0o777)
        with pytest.raises(InputError, match="others may write in it"):
            converter()
        folder.chmod(0o700)

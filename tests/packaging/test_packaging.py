"""What a user installs is what lies in the repository, and it does the main job."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from edgeship.runtimes.browser import requirements

ROOT = Path(__file__).parents[2]
STAGES = ("train", "optimize", "convert", "runtimes", "benchmarks")
# Built pages, where they lie in a checkout and in the package.
PAGES = {"web-demo/dist": "page", "runtimes/web/dist": "runtimes/web/dist"}


@cache
def repository() -> tuple[str, ...]:
    """The paths of the repository's files: as git says or, unpacked without git, all but what `.gitignore` names."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
        return tuple(filter(None, listed.split("\0")))
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    names = []
    for folder, folders, files in os.walk(ROOT):  # which follows no links: those are files of the repository
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in ignored)]
        held = [name for name in (*files, *links) if not any(fnmatch(name, pattern) for pattern in ignored)]
        names += [Path(folder, name).relative_to(ROOT).as_posix() for name in held]
    return tuple(names)


def tracked() -> set[str]:
    """Every file of the package in the repository, by its path inside; the browser page ships built, not as sources."""
    of_package = tuple(f"{folder}/" for folder in ("src/edgeship", *STAGES))
    names = [name for name in repository() if name.startswith(of_package) and not (ROOT / name).is_symlink()]
    return {name.removeprefix("src/edgeship/") for name in names if not name.startswith("runtimes/web/")}


def pages() -> set[str]:
    """The files of the built pages, by their paths inside the package; `make test` has built them where npm is."""
    folders = {ROOT / source: target for source, target in PAGES.items()}
    if os.environ.get("CI"):
        assert all((folder / "index.html").is_file() for folder in folders), "make pages has built nothing"
    return {
        f"{target}/{path.relative_to(folder).as_posix()}"
        for folder, target in folders.items()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, built from the sdist as pip does, in a copy of the tracked files and the built pages."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    for name in repository():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    for name in PAGES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_every_stage(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("edgeship/") for name in archive.namelist() if name.startswith("edgeship/")}
    assert held == tracked() | pages()
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("edgeship/convert/export/export.py") for name in archive.getnames())


@pytest.mark.slow
def test_wheel_and_sdist_hold_files_and_no_links(built):
    """In the repository the stages are links into `src/edgeship`; Windows makes none of those that an archive holds."""
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        assert not [item.filename for item in archive.infolist() if stat.S_ISLNK(item.external_attr >> 16)]
        for name in sorted(tracked()):
            assert archive.read(f"edgeship/{name}") == (ROOT / "src" / "edgeship" / name).read_bytes(), name
    with tarfile.open(sdist) as archive:
        assert not [item.name for item in archive if item.issym() or item.islnk()]


def python_of(version: str) -> str | None:
    """An interpreter of that version: on the path, or where pyenv keeps them."""
    places = [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for place in filter(None, places):
        if subprocess.run([str(place), "-c", "import ssl"], check=False, capture_output=True).returncode == 0:
            return str(place)
    return None


def path_without(folder: Path, *names: str) -> str:
    """A PATH with the programs of this one but for some."""
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name not in names and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["this", "pip", "3.11", "3.12", "3.13"])
def test_an_installed_wheel_does_the_main_job_in_a_new_environment(built, tmp_path, missing, version):
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        pytest.skip("it is this Python")
    python = sys.executable if version in ("this", "pip") else python_of(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    environment = tmp_path / "venv"
    if subprocess.run([python, "-c", "import ensurepip"], check=False, capture_output=True).returncode:
        missing(f"{python} makes no environment with pip in it (Debian: python3-venv)")
    subprocess.run([python, "-m", "venv", str(environment)], check=True)
    binaries = environment / "bin"
    # Without byte-compiling all of TensorFlow, of which little is imported: half a minute. uv takes what the environment of
    # the tests was made of from its cache; by pip, as the README says, it is two minutes and `more`.
    uv = [sys.executable, "-m", "uv", "pip", "install", "--no-config", "--quiet", "--python", str(binaries / "python")]
    pip = uv if version == "this" else [str(binaries / "pip"), "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, f"{built[0]}[all]"], check=True)
    path = f"{binaries}:{path_without(tmp_path / 'programs', 'node', 'npm', 'edgeship')}"
    # Python compiles what is used as it is used, also where the environment of the tests tells it not to keep that.
    env = {**os.environ, "EDGESHIP_CACHE": str(tmp_path / "cache"), "PATH": path, "PYTHONDONTWRITEBYTECODE": ""}

    def edgeship(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["edgeship", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    # The light base alone says what is missing; with the extra everything runs.
    trained = edgeship("train", "motion", "--out", "motion", "--epochs", "3")
    assert trained.returncode == 0, trained.stderr
    shipped = edgeship("ship", "motion/server.keras", "--out", "bundle", "--json", "-")
    assert shipped.returncode in (0, 1), shipped.stderr
    told = json.loads(shipped.stdout)
    assert {item["id"] for item in told["artifacts"]} >= {"tflite/int8", "onnx/int8", "tfjs/float32"}
    measured = [item for item in told["measurements"] if item["runtime"] in ("litert", "onnxruntime")]
    assert all("accuracy" in item["details"] for item in measured)
    # Pages come built: neither the demo nor running a model in a browser needs Node.
    if pages():
        assert edgeship("demo", "bundle", "--out", "site").returncode == 0
        assert (tmp_path / "site" / "bundle" / "manifest.json").is_file()
    if requirements.find_chromium() and pages():
        replays = json.loads(edgeship("verify", "bundle", "--json", "-").stdout)["replays"]
        in_pages = {item["artifact"] for item in replays if item["runtime"] == "ort-web" and item["passed"]}
        assert in_pages == {"onnx/float32", "onnx/int8"}

"""Runtimes with an environment of their own: whole or not at all, with what is pinned."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from click.testing import CliRunner

from edgeship.cli import cli
from edgeship.cli.machine.runtimes import runtimes
from edgeship.demo import site
from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.runtimes import own_environment, registry, tfjs_node
from edgeship.runtimes.browser import requirements
from edgeship.runtimes.own_environment import OwnEnvironment

OLD = OwnEnvironment("tflite-runtime", "tflite-runtime 2.14 has no wheels for Python after 3.11")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda name: str(tmp_path / name))
    return own_environment.home()


def test_requirements_are_pinned_with_hashes_and_name_no_host():
    text = OLD.requirements.read_text()
    names = re.findall(r"^([a-z-]+)==", text, re.MULTILINE)
    assert names == ["mlcommons-loadgen", "numpy", "tflite-runtime"]
    assert "tflite-runtime==2.14.0" in text
    assert text.count("--hash=sha256:") > 3
    assert "://" not in text


def test_the_npm_lock_pins_by_digest_and_names_no_host():
    lock = json.loads((tfjs_node.SOURCE / "package-lock.json").read_text())
    packages = {name: item for name, item in lock["packages"].items() if name}
    assert {f"node_modules/{name}" for name in tfjs_node._pinned_packages()} <= set(packages)
    for item in packages.values():
        assert item["integrity"].startswith("sha512-")
        assert "resolved" not in item


def test_a_failed_installation_leaves_nothing(home, monkeypatch):
    monkeypatch.setattr(own_environment, "find_python311", lambda _: sys.executable)
    monkeypatch.setattr(
        own_environment, "pip_command", lambda *_, **__: [sys.executable, "-c", "raise SystemExit('no such version')"]
    )
    with pytest.raises(ProcessError, match=r"installing tflite-runtime failed; nothing was installed.*no such version"):
        OLD.install()
    assert [path.suffix for path in home.iterdir()] == [".lock"]
    assert OLD.unavailable_reason() == "its environment has not been made"


def test_a_python_without_wheels_is_told(home, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(MissingDependencyError, match=r"no wheels for Python after 3.11.*install Python 3.11 beside"):
        OLD.install()
    assert not [path for path in home.iterdir() if path.is_dir()]


def test_an_environment_whose_python_went_away_is_not_available(home):
    environment = OLD.folder
    (environment / "lib/python3.11/site-packages/tflite_runtime-2.14.0.dist-info").mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(home / "gone")
    assert "is gone" in (OLD.unavailable_reason() or "")


def test_npm_packages_of_another_version_do_not_count(tmp_path):
    for name, version in tfjs_node._pinned_packages().items():
        folder = tmp_path / "node_modules" / name
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"version": version}))
    assert tfjs_node._is_complete(tmp_path)
    (folder / "package.json").write_text(json.dumps({"version": "4.21.0"}))
    assert not tfjs_node._is_complete(tmp_path)


@pytest.fixture
def old_node(tmp_path, monkeypatch):
    """Debian 12's Node, with npm."""
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.20.4\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    tfjs_node._find_node.cache_clear()
    yield
    tfjs_node._find_node.cache_clear()


@pytest.mark.usefixtures("old_node")
def test_an_old_node_is_refused_with_the_version_that_is_needed(monkeypatch, tmp_path):
    assert tfjs_node.unavailable_reason() == "node is version 18, and 20 or later is needed"
    with pytest.raises(MissingDependencyError, match="install Node 20 or later with npm"):
        tfjs_node.install()
    needed = r"needs Node 20\.19 or later with npm; here is Node 18\.20"
    monkeypatch.setattr(site, "CHECKOUT", tmp_path)
    (tmp_path / "package.json").touch()
    for name in ("index.html", "vite.config.ts", "package-lock.json"):
        (tmp_path / name).touch()
    with pytest.raises(MissingDependencyError, match=f"building it {needed}"):
        site.built_page()
    monkeypatch.setattr(requirements, "WEB", tmp_path)
    with pytest.raises(MissingDependencyError, match=f"building the runner page {needed}"):
        requirements._build_page()


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("npm") or "is needed" in (tfjs_node.unavailable_reason() or ""),
    reason="Node 20 with npm is not installed",
)
def test_npm_packages_are_installed_from_the_lock_for_those_without_a_checkout(home, tmp_path, monkeypatch):
    monkeypatch.setattr(tfjs_node, "SOURCE", tmp_path / "tfjs")
    (tmp_path / "tfjs").mkdir()
    for name in tfjs_node.MANIFESTS:
        shutil.copyfile(Path(tfjs_node.__file__).parent / "tfjs" / name, tmp_path / "tfjs" / name)
    assert tfjs_node.unavailable_reason() == "its npm packages are not installed"
    folder = tfjs_node.install()
    assert folder.parent == home
    assert not tfjs_node.unavailable_reason()
    assert tfjs_node.version() == "4.22.0"
    assert {path.name for path in home.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_the_table_names_every_runtime():
    done = CliRunner().invoke(runtimes, [])
    assert done.exit_code == 0, done.output
    for name in (*registry.RUNTIMES, "server"):
        assert name in done.output


def test_the_table_as_json(tmp_path):
    done = CliRunner().invoke(cli, ["runtimes", "--json", "-"])
    listed = json.loads(done.output)
    assert listed["schema"] == 1
    assert [row["name"] for row in listed["runtimes"]] == [*registry.RUNTIMES, "server"]
    litert = next(row for row in listed["runtimes"] if row["name"] == "litert")
    assert litert == {**litert, "available": True, "formats": ["tflite"], "reason": "", "install": ""}


def test_the_server_is_listed_with_what_installs_it(home):
    """In an empty home it is missing, in both tables."""
    for command, entry in (("runtimes", "runtimes"), ("doctor", "tools")):
        listed = json.loads(CliRunner().invoke(cli, [command, "--json", "-"]).output)[entry]
        server = next(row for row in listed if row["name"] == "server")
        assert server["version"] is None
        assert "edgeship runtimes install server" in server.get("install", "") + server.get("remedy", "")


def test_installing_an_unknown_runtime_lists_the_known():
    done = CliRunner().invoke(cli, ["runtimes", "install", "tensorrt"])
    assert isinstance(done.exception, InputError)
    assert "known: client-c, " in str(done.exception) and "keras, litert" in str(done.exception)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['edgeship', 'runtimes', '--help']\n"
        "from edgeship.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print({'numpy', 'msgspec', 'rich', 'edgeship.runtimes'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "install" in done.stdout
    assert done.stderr.strip() == "set()"

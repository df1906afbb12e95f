"""The lock holds on four platforms and three Pythons: resolved here, in full, for each of them; installed on none of them.

For each pair uv resolves all extras and the development group from wheels only, under the lock's versions. What comes out must
be exactly what the lock wants there, and each of it must have a wheel that fits and whose digest the lock holds. That shows
that `make env` would find everything; whether the wheels work is shown only where edgeship's other tests run.

Needs the package index: part of `make test-more`.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# uv's name and, for the markers of the lock, what Python says of itself there. macOS: onnxruntime's wheels are for 14 and later.
PLATFORMS = {
    "linux-x86_64": ("x86_64-manylinux_2_28", "linux", "x86_64", "posix"),
    "linux-arm64": ("aarch64-manylinux_2_28", "linux", "aarch64", "posix"),
    "windows-x86_64": ("x86_64-pc-windows-msvc", "win32", "AMD64", "nt"),
    "macos14-arm64": ("aarch64-apple-darwin", "darwin", "arm64", "posix"),
}
NEWEST_MACOS = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}


def locked() -> dict[tuple[str, str], tuple[Requirement, set[str]]]:
    """The lock's requirements and their digests, by name and version."""
    lines = (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        if line[:1].isalnum():
            item = Requirement(line.partition(" --hash")[0])
            version = str(item.specifier).removeprefix("==")
            found[item.name, version] = (item, set(re.findall(r"--hash=sha256:(\w+)", line)))
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_lock_is_what_a_resolution_for_that_platform_gives(platform, python, tmp_path):
    name, system, machine, kind = PLATFORMS[platform]
    pins = locked()
    constraints, out = tmp_path / "constraints.txt", tmp_path / "pylock.toml"
    constraints.write_text("".join(f"{item}\n" for item, _ in pins.values()))
    command: list[str | Path] = [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet"]
    command += [
        "--extra",
        "all",
        "--extra",
        "openssf",
        "--group",
        "dev",
        "--only-binary",
        ":all:",
        "--python-platform",
        name,
        "--python-version",
        python,
    ]
    command += ["--constraints", constraints, "--output-file", out, "pyproject.toml"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **NEWEST_MACOS, "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    here = {
        "sys_platform": system, "platform_machine": machine, "os_name": kind, "python_version": python,
        "python_full_version": f"{python}.0", "platform_python_implementation": "CPython",
    }  # fmt: skip
    wanted = {key for key, (item, _) in pins.items() if item.marker is None or item.marker.evaluate(here)}
    resolved = tomllib.loads(out.read_text())["packages"]
    assert {(item["name"], item["version"]) for item in resolved} == wanted
    for item in resolved:
        digests = pins[item["name"], item["version"]][1]
        assert any(wheel["hashes"]["sha256"] in digests for wheel in item["wheels"]), item["name"]

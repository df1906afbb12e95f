"""The workflow of docs/ci.md, tried by running its steps on a shipped model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "ci.md"


def steps() -> dict[str, str]:
    """The `run:` steps of the workflow by name, as a runner would execute them."""
    found = {}
    pattern = r"- name: (.+)\n(?:\s+if: .+\n)?\s+run: (?:\|\n((?:\s{10}.+\n)+)|(.+)\n)"
    for name, block, line in re.findall(pattern, DOCUMENT.read_text()):
        found[name] = textwrap.dedent(block) if block else line
    return found


def test_the_steps_of_the_workflow_run(shipped, edgeship):
    commands = steps()
    assert list(commands) == ["Install edgeship", "Convert, measure and judge", "Write the results down"]
    folder = shipped.folder
    shutil.move(folder / "server.keras", folder / "model.keras")
    summary = folder / "summary.md"
    binaries = folder / "bin"
    binaries.mkdir()
    (binaries / "edgeship").write_text(f'#!/bin/sh\nexec {sys.executable} -m edgeship.cli "$@"\n')
    (binaries / "edgeship").chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
        "EDGESHIP_CACHE": str(edgeship.cache),
    }

    def run(name: str) -> int:
        return subprocess.run(["bash", "-e", "-c", commands[name]], cwd=folder, env=env, check=False).returncode

    shipped_code = run("Convert, measure and judge")
    assert shipped_code in (0, 1)
    assert run("Write the results down") == 0
    assert ("PASS" if shipped_code == 0 else "gate") in summary.read_text()
    assert (folder / "gate.xml").exists()
    with (folder / "edgeship.toml").open("a") as config:
        config.write("max_size_disk = 1000\n")
    assert run("Convert, measure and judge") == 1
    assert run("Write the results down") == 0
    assert "FAIL" in summary.read_text()

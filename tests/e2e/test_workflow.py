"""The workflow of docs/ci.md, tried by running its steps on a shipped model.

Here with the edgeship of this environment; tests/e2e/test_pages_long.py installs it first, as the page says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.lab.page_blocks import read_steps


def test_the_steps_of_the_workflow_run(shipped, edgeship):
    steps = read_steps()
    assert list(steps) == ["Install edgeship", "Convert, measure and judge", "Write the results down"]
    folder = shipped.folder
    shutil.move(folder / "server.keras", folder / "model.keras")
    summary = folder / "summary.md"
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
        "EDGESHIP_CACHE": str(edgeship.cache),
    }

    def run(name: str) -> int:
        return subprocess.run(["bash", "-e", "-c", steps[name]], cwd=folder, env=env, check=False).returncode

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

"""The page's own unit tests: preprocessing, numpy files, digests, the self-test's comparisons."""

from __future__ import annotations

import shutil
import subprocess

from edgeship import demo


def test_the_unit_tests_of_the_page_pass(built, missing):
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is not installed")
    done = subprocess.run([npm, "test"], cwd=demo.CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (built / "index.html").is_file()

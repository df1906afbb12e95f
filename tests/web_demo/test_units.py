"""The page's own unit tests: preprocessing, numpy files, digests, the self-test's comparisons."""

from __future__ import annotations

import shutil
import subprocess

from edgeship.demo import site
from edgeship.runtimes import tfjs_node


def test_the_unit_tests_of_the_page_pass(built, missing):
    if reason := tfjs_node.build_problem():
        missing(f"the page {reason}")
    done = subprocess.run(
        [str(shutil.which("npm")), "test"], cwd=site.CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (built / "index.html").is_file()

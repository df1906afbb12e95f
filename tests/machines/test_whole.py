"""All of `make test` on a bare machine: `make test-machines` (half an hour each on a quiet machine with 2 cores)."""

from __future__ import annotations

import pytest

from tests.machines.trees import Tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_make_test_passes_on_a_bare_machine(suite, place, took):
    tree = Tree(place / "tree")
    try:
        tree.bootstrap(suite, ("python3", "python3-pip", "make", "ca-certificates"))
        tree.copy_project()
        done = tree.run("cd edgeship; make test", timeout=7000)
        took("make test", done.minutes)
        assert " passed" in done.expect().output
    finally:
        tree.remove()

"""Both commands of the README on machines that hold nothing of ours: Debian's smallest tree, Python, pip and make.

`make test-more` runs their first steps, `make test-machines` also the whole of `make test`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machines.trees import Tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

BARE = ("python3", "python3-pip", "make", "ca-certificates")
BROWSER = ("nodejs", "npm", "chromium")
# Data and caches, child processes, converters, every runtime: seconds each.
ROOMS = "bundle storage settings processes formats pipeline runtimes contracts"
CHOICE = " ".join(
    f"tests/{room}" for room in [*ROOMS.split(), "benchmarks/test_commands.py", "convert/test_formats.py"]
)
HERE = "cd edgeship"


@dataclass(frozen=True)
class Machine:
    """A Debian release, the Python that it has and its Node's major version, if that is installed."""

    suite: str
    python: str
    node: int | None = None

    @property
    def oldest(self) -> bool:
        """Whether its Node is old enough to be refused."""
        return self.node is not None and self.node < 20


MACHINES = {
    "debian-12": Machine("bookworm", "3.11"),
    "debian-12-node": Machine("bookworm", "3.11", 18),
    "debian-13": Machine("trixie", "3.13"),
    "debian-13-node": Machine("trixie", "3.13", 20),
}


@pytest.fixture
def tree(place, took, machine) -> Iterator[Tree]:
    made = Tree(place / "tree")
    try:
        took("the tree", made.bootstrap(machine.suite, BARE))
        if machine.node:
            took("Node and Chromium", made.install(*BROWSER))
        made.copy_project()
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_both_commands_begin(tree, machine, took):
    # Nothing of this machine is there, and /proc is the tree's own: figures of memory come from it.
    before = tree.run(
        "ls -A ~; for name in uv git node; do command -v $name || true; done; grep VmHWM /proc/self/status"
    ).expect()
    found = before.output.split()
    assert "edgeship" in found and ".cache" not in found and "VmHWM:" in found
    assert not any(path.endswith(("/uv", "/git")) for path in found)
    assert any(path.endswith("/node") for path in found) == bool(machine.node)
    made = tree.run(f"{HERE}; make env").expect()
    took("make env", made.minutes)
    shown = tree.run(f"{HERE}; .venv/bin/python --version; node --version || true").expect()
    assert f"Python {machine.python}." in shown.output
    assert machine.node is None or f"\nv{machine.node}." in shown.output

    demo = tree.run(f"{HERE}; make demo").expect()
    took("make demo", demo.minutes)
    assert "gate: PASS" in demo.output
    assert "report/index.html" in demo.output
    if machine.node is None:
        assert "node is not on the path (Node 20 or later is needed)" in demo.output
        assert "the demo page is built by Node 20.19 or later with npm, and no Node is here" in demo.output
    elif machine.oldest:
        assert f"node is version {machine.node}, and 20 or later is needed" in demo.output
    else:
        assert "not run: " not in demo.output  # how the gate names a runtime that is not here

    checked = tree.run(f"{HERE}; make lint pages; .venv/bin/pytest -n 2 {CHOICE}").expect()
    took("lint, pages and a choice of tests", checked.minutes)
    assert " passed" in checked.output and " failed" not in checked.output
    if machine.oldest:
        assert f"built by Node 20.19 or later with npm, and Node v{machine.node}." in checked.output
    if machine.node and not machine.oldest:
        pages = tree.run(
            f"{HERE}; .venv/bin/pytest -n 2 tests/browser/test_engines.py tests/web_demo/test_page.py"
        ).expect()
        took("tests in Chromium", pages.minutes)
        assert " skipped" not in pages.output

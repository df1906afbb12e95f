"""Machines made for the tests, and the minutes that they took."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines import trees

TOOK = pytest.StashKey[list[str]]()


@pytest.fixture
def took(request):
    """`took(what, minutes)`: printed after the tests, also where they fail."""

    def tell(what: str, minutes: float) -> None:
        request.config.stash.setdefault(TOOK, []).append(f"{request.node.name}: {what} {minutes:.1f} minutes")

    return tell


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(TOOK, []):
        terminalreporter.write_line(line)


@pytest.fixture
def place(tmp_path_factory, missing) -> Path:
    """A folder for a tree. On a machine where none can be made, the test is skipped or, with CI=true, fails."""
    if reason := trees.obstacle():
        missing(reason)
    return tmp_path_factory.mktemp("machine")

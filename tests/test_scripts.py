"""Scripts are run seldom: each must import, and name only modules and functions that there are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "scripts").rglob("*.py"))
NAMED = re.compile(r"\b((?:scripts|tests)(?:\.\w+)+)(?::(\w+))?")


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_script_imports_and_names_what_there_is(file):
    importlib.import_module(module_of(file))
    for name, function in NAMED.findall(file.read_text(encoding="utf-8")):
        assert not function or callable(getattr(importlib.import_module(name), function)), name


def test_make_runs_scripts_that_there_are():
    names = re.findall(r"-m (scripts\.[\w.]+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert names
    assert {*names} <= {module_of(file) for file in FILES}

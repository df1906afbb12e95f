"""docs/configuration.md is what the code says, and says all of it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from edgeship.benchmarks.compare.metrics import METRICS
from edgeship.benchmarks.gate.budget import Budget
from edgeship.settings.config import Config
from edgeship.settings.sections import Benchmark
from edgeship.toml_tables import Table, convert_value, describe_keys
from scripts.maintain import references

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_says() -> None:
    assert references.configuration() == PAGE, "stale: make references"


def test_every_section_and_every_key_is_on_the_page() -> None:
    """What a file may say is found without the page: unknown keys are refused with the known ones listed."""
    sections = dict(re.findall(r"^## \[([a-z]+).*?\]\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
    assert set(sections) == {item.name for item in fields(Config)} - {"source"}
    for _, _, kind in references.SECTIONS:
        internal = {"Variant": {"name"}, "Budget": {"overrides"}}.get(kind.__name__, set())
        named = {item.name for item in fields(kind)} - internal
        assert named == {key.name for key in describe_keys(kind)}
        assert all(f"| `{name}` |" in PAGE for name in named)


def test_every_metric_is_named() -> None:
    """Where the key's words say that they are listed."""
    (words,) = (key.words for key in describe_keys(Benchmark) if key.name == "metric")
    page = re.search(r"docs/\w+\.md", words)
    assert page is not None
    text = (ROOT / page[0]).read_text()
    assert not [name for name in METRICS if f"`{name}`" not in text]


def test_examples_are_taken() -> None:
    for _, _, kind in references.SECTIONS:
        for key in describe_keys(kind):
            if issubclass(kind, Table):
                convert_value(kind, key.name, key.example)
            else:
                assert kind is Budget
                Budget.parse({key.name: key.example})

"""Reports of clients in an experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "reports" / "schema_1.json"


def make_report(install: int, arm: str = "a", **changes: Any) -> dict[str, Any]:
    """A report of 10 inferences of a model of numbers."""
    empty = {"outputs": {}, "inputs": {}, "latency": [], "switches": 0, "errors": {}, "fallbacks": 0, "outcomes": {}}
    own = {"window": "2026-W48", "sequence": 0, "install": f"{install:032x}", "arms": {"e1": arm}, "n": 10}
    return {**json.loads(EXAMPLE.read_bytes()), **empty, **own, **changes}

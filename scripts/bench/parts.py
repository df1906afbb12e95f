"""Benchmarks of several parts: each keeps what it found as JSON, so that one can be taken again alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

EDGESHIP = [sys.executable, "-m", "edgeship.cli"]


def parser(told: str | None, parts: Iterable[str], work: Path, out: Path) -> argparse.ArgumentParser:
    """The options that every such benchmark has."""
    made = argparse.ArgumentParser(description=told)
    made.add_argument("--only", nargs="+", choices=list(parts), metavar="PART", help=f"of {', '.join(parts)}")
    made.add_argument("--work", type=Path, default=work, help="folder for models and figures")
    made.add_argument("--out", type=Path, default=out, help="the page")
    return made


def take(parts: Mapping[str, Callable[[], Any]], only: Iterable[str] | None, work: Path) -> dict[str, Any]:
    """Run the parts asked for (all by default); what every part found now or earlier, by its name."""
    for name in only or parts:
        print(f"{name} ...", flush=True)
        keep(work, name, parts[name]())
    kept = {name: work / f"{name}.json" for name in parts}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in kept.items() if path.is_file()}


def keep(work: Path, name: str, found: Any) -> None:
    """Write what a part has found so far."""
    (work / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

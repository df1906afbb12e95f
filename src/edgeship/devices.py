"""Device profiles: where an artifact is run and what its figures are worth. TOML files, the built-in ones or a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, unknown
from edgeship.types import Kind

FOLDER = Path(__file__).parent / "benchmarks" / "devices"
FIGURES = ("quality", "speed")
KEYS = ("title", "kind", "runtimes", "threads", "figures", "launch")


@dataclass(frozen=True)
class Device:
    """A profile. `runtimes` are those it has (empty: the usual one of each format), `threads` those of a latency run.

    `figures` says what is taken: quality (accuracy, parity), speed (load, latency, memory). `launch` says how a worker is
    started: its key `how` names the way (`direct`: a process on this machine), the others belong to that way.
    """

    name: str
    title: str
    kind: Kind
    runtimes: tuple[str, ...] = ()
    threads: int = 1
    figures: tuple[str, ...] = FIGURES
    launch: Mapping[str, Any] = field(default_factory=lambda: {"how": "direct"})


def names() -> tuple[str, ...]:
    """The built-in profiles."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def find(name: str) -> Device:
    """The built-in profile of that name, or the one in that `.toml` file. Raises InputError naming what is wrong."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise unknown("device", name, names()) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error})") from error
    for key in table:
        if key not in KEYS:
            raise unknown("key", key, KEYS, str(path))
    kind, figures = table.get("kind", ""), tuple(table.get("figures", FIGURES))
    if kind not in list(Kind):
        raise unknown("kind", kind, [str(item) for item in Kind], str(path))
    for figure in figures:
        if figure not in FIGURES:
            raise unknown("figure", figure, FIGURES, str(path))
    return Device(
        path.stem,
        table.get("title", path.stem),
        Kind(kind),
        tuple(table.get("runtimes", ())),
        table.get("threads", 1),
        figures,
        table.get("launch", {"how": "direct"}),
    )

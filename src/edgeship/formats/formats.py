"""The formats that edgeship knows: those that the files in `edgeship.formats.known` describe, in their order."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeship.errors import unknown_name_error
from edgeship.formats import known
from edgeship.formats.format import TENSORFLOW as TENSORFLOW  # noqa: PLC0414  # for those who ask for tools
from edgeship.formats.format import Format


def _load_all() -> Mapping[str, Format]:
    names = (module.name for module in pkgutil.iter_modules(known.__path__))
    described: list[Format] = [importlib.import_module(f"{known.__name__}.{name}").FORMAT for name in names]
    return {item.name: item for item in sorted(described, key=lambda item: (item.rank, item.name))}


ALL = _load_all()
FORMATS = tuple(ALL)
FILES = {name: item.file for name, item in ALL.items()}
TOOLS = {name: item.tools for name, item in ALL.items()}
QUANTIZERS = {name: item.quantizer_tools for name, item in ALL.items() if item.quantizer}


def all_tools() -> tuple[str, ...]:
    """The distributions that artifacts of any format are made with."""
    return tuple(dict.fromkeys(tool for item in ALL.values() for tool in (*item.tools, *item.quantizer_tools)))


def find(name: str, where: str = "") -> Format:
    """The format of that name. Raises InputError for an unknown one, listing the known; `where` is the place that names it."""
    if name not in ALL:
        raise unknown_name_error("format", name, ALL, where)
    return ALL[name]


def import_function(name: str) -> Callable[..., Any]:
    """The function that a description names as "module:function"."""
    module, _, function = name.partition(":")
    target: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return target


def format_at(path: Path) -> Format | None:
    """The format of what lies there; None where it is none that is known."""
    return next((item for item in ALL.values() if item.matches(path)), None)

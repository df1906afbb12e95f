"""The runtimes that edgeship knows: those that the files in `edgeship.runtimes.engines` describe."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from edgeship import errors
from edgeship.formats import formats
from edgeship.runtimes import engines
from edgeship.runtimes.runtime import Launch, Runtime, python_launch

__all__ = ["ALL", "RUNTIMES", "Launch", "Runtime", "find", "for_format", "python_launch"]


def _load_all() -> Mapping[str, Runtime]:
    """Every runtime by name: first those of edgeship's own environment, then those with one of their own, then browsers'."""
    names = sorted(module.name for module in pkgutil.iter_modules(engines.__path__))
    files = [importlib.import_module(f"{engines.__name__}.{name}") for name in names]
    runtimes: list[Runtime] = [runtime for file in files for runtime in file.RUNTIMES]
    return {
        runtime.name: runtime
        for runtime in sorted(runtimes, key=lambda item: (item.in_browser, item.prepare is not None))
    }


ALL = _load_all()
# Those that this machine may have.
RUNTIMES = {name: runtime for name, runtime in ALL.items() if not runtime.on_devices}


def find(name: str, where: str = "") -> Runtime:
    """The runtime of that name. Raises InputError for an unknown one, listing the known; `where` is the place that names it."""
    if name not in ALL:
        raise errors.unknown_name_error("runtime", name, ALL, where)
    return ALL[name]


def for_format(artifact_format: str) -> tuple[Runtime, ...]:
    """The runtimes here that run artifacts of a format, its usual one first."""
    usual = formats.find(artifact_format).runtime
    fitting = [runtime for runtime in RUNTIMES.values() if artifact_format in runtime.formats]
    return tuple(sorted(fitting, key=lambda runtime: runtime.name != usual))

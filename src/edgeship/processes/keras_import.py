"""Keras without the libraries that it imports at once and edgeship does not use through it: a third of its time.

`keras.wrappers` imports scikit-learn (and with it most of SciPy) and `keras.visualization` matplotlib, both only where they are
installed, and both do without.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

UNUSED = ("matplotlib", "sklearn")


class _UnusedHider(MetaPathFinder):
    """Says of `UNUSED` that they are not installed, as long as Keras is being imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in UNUSED and _is_keras_being_imported():
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)
        return None


def _is_keras_being_imported() -> bool:
    spec = getattr(sys.modules.get("keras"), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))  # as importlib marks it; without the mark nothing is hidden


def hide_unused() -> None:
    """Make the first import of Keras in this process a light one; what else imports these libraries gets them."""
    sys.meta_path.insert(0, _UnusedHider())

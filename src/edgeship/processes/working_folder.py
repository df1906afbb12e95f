"""The folder that a command runs in as a place of the user's own modules: the last one, and only while one is asked for.

What else lies there, beside a model that somebody else made, is never imported.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from edgeship.errors import InputError


@contextlib.contextmanager
def make_importable(module: str) -> Iterator[None]:
    """Inside, imports find modules of the working folder, too, after all others. `module` is the one that the user names.

    Raises InputError where the folder has one of that name that could not be found, as Python's own comes first.
    """
    place = os.getcwd()
    top = module.partition(".")[0]
    mine = next((name for name in (f"{top}.py", top) if os.path.exists(os.path.join(place, name))), None)
    if mine and top in sys.stdlib_module_names:
        raise InputError(f"{mine} has the name of a module of Python's own, which comes first; rename it")
    sys.path.append(place)
    try:
        yield
    finally:  # by identity: an import may have changed the list, and an equal entry may be the user's
        sys.path[:] = [item for item in sys.path if item is not place]

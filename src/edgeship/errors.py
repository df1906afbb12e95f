"""The errors a user sees. Each is one or two lines: what is wrong, where, and what to do about it.

`exit_code` follows the command line's contract: 2 for usage or bad input, 1 for a check that failed or could not be decided.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from typing import Self

# What can be wrong with a place to write to; any other error of the operating system is a bug of ours.
CANNOT_WRITE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR),
)
# What is the matter with a path itself, whatever is done with it.
NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)


class EdgeshipError(Exception):
    """Base of every error that is shown without a traceback. `layers`: the Keras layers that it is about, where known."""

    exit_code = 2
    layers: tuple[str, ...] = ()

    def about(self, layers: Iterable[str]) -> Self:
        """The same error, about these layers."""
        self.layers = tuple(layers)
        return self


class InputError(EdgeshipError):
    """What the user gave cannot be used: a file, an option, a key, a model that a format cannot express."""


class MissingDependencyError(EdgeshipError):
    """Something optional is not installed; the message names the command that installs it."""


class CheckError(EdgeshipError):
    """A check on our own result failed: the artifact is not what was asked for. `reasons`: each thing that was found."""

    exit_code = 1
    reasons: tuple[str, ...] = ()


class ProcessError(EdgeshipError):
    """A child process crashed, hung or was killed; the message says which, and where its log is.

    `died` is set where the process is gone, and not where it lives and answered with an error of its own.
    """

    exit_code = 1
    died = False


def unknown_name_error(kind: str, name: str, choices: Iterable[str], where: str = "") -> InputError:
    """The error for a name that is not one of the known ones, which it lists."""
    place = f" in {where}" if where else ""
    short = brief_message(name, 100)  # a stranger's may be endless, and of many lines
    return InputError(f"unknown {kind} '{short}'{place}; known: {', '.join(sorted(choices))}")


def brief_message(error: object, length: int = 300) -> str:
    """A tool's message on one line, without terminal colours, cut between words to at most `length` characters."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    if len(text) <= length:
        return text
    head = text[: length - 3]
    return f"{head.rpartition(' ')[0] or head[:-1]} ..."

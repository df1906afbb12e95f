"""A command, or a call that ends as one would, in this process; and what a refusal must look like."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import unicodedata
from typing import Any

import pytest

from edgeship import cli


@contextlib.contextmanager
def at_most(seconds):
    """Raises TimeoutError where the block takes longer."""

    def stop(*_):
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def call_as_command(call):
    """What a call prints, and its exit code as the command line would end."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), at_most(30):
        code: Any = 0
        try:
            call()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(call, code, out.getvalue(), err.getvalue())


def edgeship(*arguments):
    """A command, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgeship", *map(str, arguments)])
        return call_as_command(cli.main)


def check_refused(done, *words):
    """Exit code 2 and one or two lines that say the words, without anything that steers a terminal."""
    assert done.returncode == 2, done.stderr[-2000:] + done.stdout[-2000:]
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") <= 2, done.stderr
    assert not [char for char in done.stderr if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs")]
    for word in words:
        assert word in done.stderr, done.stderr

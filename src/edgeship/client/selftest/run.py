"""The self-test of a version: its goldens through the runtime of this device, in a process of its own.

A model can crash or hang a runtime: that must be the end of the self-test, and not of the app. What is compared is what
`contract.json` says: the artifact's own outputs on the goldens' tensors, within its tolerance, and the label where it is clear.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgeship.client.outcome import SelfTestError, SelfTestUnfinishedError

SECONDS = 300
# Whoever ends the device's processes, or runs out of memory, says nothing about the model.
_ENDED_BY_OTHERS = {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"}
_CODE = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from edgeship.client.selftest.replay import main; main()"
)


def run_selftest(folder: Path, artifact: str, form: str, entry: Path, seconds: float = SECONDS) -> int:
    """Replay a version's goldens in a new process, and return how many there are.

    Raises SelfTestError where the version fails, and SelfTestUnfinishedError where nothing can be said of it.
    """
    asked = {"folder": str(folder), "artifact": artifact, "format": form, "entry": str(entry)}
    answer = _ask_process(asked, seconds) if _has_interpreter() else _ask_here(asked)
    if answer["unfinished"]:
        raise SelfTestUnfinishedError(answer["unfinished"])
    if answer["problem"]:
        raise SelfTestError(answer["problem"])
    return int(answer["samples"])


def _has_interpreter() -> bool:
    """Whether `sys.executable` is Python: in a frozen app it is the app, and in an embedded Python there is none."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _ask_here(asked: dict[str, str]) -> dict[str, Any]:
    from edgeship.client.selftest.replay import answer_request

    return answer_request(asked)


def _ask_process(asked: dict[str, str], seconds: float) -> dict[str, Any]:
    # Isolated: before the path is set, nothing is imported from the folder that the app runs in.
    command = [sys.executable, "-I", "-c", _CODE, json.dumps(sys.path)]
    try:
        ended = subprocess.run(
            command, input=json.dumps(asked).encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SelfTestError(f"not done after {seconds:.0f} seconds") from error
    if ended.returncode < 0:
        name = next((item.name for item in signal.Signals if item == -ended.returncode), str(-ended.returncode))
        kind = SelfTestUnfinishedError if name in _ENDED_BY_OTHERS else SelfTestError
        raise kind(f"its process was ended by {name}")
    try:
        answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SelfTestError(f"its process ended with {ended.returncode}: {''.join(last)[:200]!a}") from error
    return answer

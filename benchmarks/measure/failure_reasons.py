"""Why a runtime refuses an artifact, in words that say what to do: the messages that are known, and nothing guessed."""

from __future__ import annotations

import re

from edgeship.devices.profiles import Device
from edgeship.errors import brief_message
from edgeship.runtimes.launchers.launcher import Launcher

_BUILTIN = re.compile(r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'")
_HYBRID = re.compile(r"Hybrid.* not supported|Input type: FLOAT32 with filter type: INT8 not supported", re.IGNORECASE)
_NUMPY = re.compile(r"CreateWrapperFromFile.*returned a result with an exception|compiled using NumPy 1", re.DOTALL)
_OPSET = re.compile(
    r"opset (\d+) is under development|Unsupported model IR version: (\d+), max supported IR version: (\d+)"
)
_LAST = re.compile(r"official support for domain ai\.onnx is till opset (\d+)")
_MEMORY = re.compile(
    r"MemoryError|bad_alloc|[Cc]annot allocate|[Mm]map of|Unable to allocate|SIG(ABRT|SEGV|KILL)|allocat"
)
LONGEST = 400


def shorten_message(message: str) -> str:
    """A message on one line, without the name of the log file that will be gone when it is read again."""
    text = re.sub(r"\s*\(?(?:its )?log:? ?\(?/[^)\s]*\)?", "", message)
    return brief_message(text, LONGEST)


def describe_failure(message: str, launcher: Launcher) -> str:
    """A message on one line; on a device with little memory, running out of it is said first."""
    memory = launcher.memory_limit
    if memory and _MEMORY.search(message):
        return f"does not fit into {memory}: {shorten_message(message)}"
    return shorten_message(message)


def explain_failure(message: str, device: Device) -> str:
    """What is behind a failure and what helps; empty where the message is not a known one."""
    if match := _BUILTIN.search(message):
        op, version = match.groups()
        return (
            f"{device.title} does not know {op} in version {version}, which is newer than it is; "
            + ("quantize these layers per tensor, or " if op == "FULLY_CONNECTED" else "")
            + "ship another variant to apps that carry this runtime"
        )
    if _HYBRID.search(message):
        return "it has no kernels for 8-bit weights with float activations; ship full int8"
    if _NUMPY.search(message):
        return "its wheel was built for numpy 1 but does not say so; install numpy==1.26.4 beside it"
    if match := _OPSET.search(message):
        last = _LAST.search(message)
        newest = f"opset {last[1]}" if last else f"IR version {match[3]}"
        return f"{device.title} reads ONNX up to {newest}; convert with an older opset"
    return ""

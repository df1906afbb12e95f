"""How a device profile becomes workers: what is installed, what it is started with, and why it cannot be.

`station(device)` gives the way that the profile names; each way is a file of this folder.
"""

from __future__ import annotations

import importlib
from typing import cast

from edgeship.devices.profiles import Device
from edgeship.runtimes.launchers.launcher import Station

WAYS: dict[str, str] = {
    "direct": "local:Direct",
    "environment": "venv:Environment",
    "vela": "vela:Compiler",
    "qemu": "qemu:Emulator",
    "ssh": "ssh:Remote",
    "adb": "adb:Android",
    "browser": "browser:Browser",
}


def station(device: Device) -> Station:
    """What starts the workers of a device."""
    module, _, name = WAYS[device.how].partition(":")
    kind = getattr(importlib.import_module(f"edgeship.runtimes.launchers.{module}"), name)
    return cast(Station, kind(device))

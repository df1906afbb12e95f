"""How a device profile becomes workers: what is installed, what it is started with, and why it cannot be.

`find_launcher(device)` gives the way that the profile names; each way is a file of this folder.
"""

from __future__ import annotations

import importlib
from typing import cast

from edgeship.devices.profiles import Device
from edgeship.runtimes.launchers.launcher import Launcher

WAYS: dict[str, str] = {
    "direct": "local:LocalLauncher",
    "environment": "venv:VenvLauncher",
    "vela": "vela:VelaCompiler",
    "qemu": "qemu:QemuLauncher",
    "ssh": "ssh:SshLauncher",
    "adb": "adb:AdbLauncher",
    "browser": "browser:BrowserLauncher",
}


def find_launcher(device: Device) -> Launcher:
    """What starts the workers of a device."""
    module, _, name = WAYS[device.how].partition(":")
    kind = getattr(importlib.import_module(f"edgeship.runtimes.launchers.{module}"), name)
    return cast(Launcher, kind(device))

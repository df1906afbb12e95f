"""How a device profile becomes workers: what is installed, what it is started with, and why it cannot be.

`find_launcher(device)` gives the way that the profile names; each way is a file of this folder and a line of `WAYS`.
"""

from __future__ import annotations

import importlib
from typing import cast

from edgeship.devices.launch_ways import WAYS
from edgeship.devices.profiles import Device
from edgeship.runtimes.launchers.launcher import Launcher

__all__ = ["WAYS", "find_launcher"]


def find_launcher(device: Device) -> Launcher:
    """What starts the workers of a device."""
    module, _, name = WAYS[device.how].launcher.partition(":")
    kind = getattr(importlib.import_module(f"edgeship.runtimes.launchers.{module}"), name)
    return cast(Launcher, kind(device))

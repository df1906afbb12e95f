"""What a device profile says of a browser: `[launch] how = "browser"` with throttle, viewport and arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeship.errors import InputError, unknown

KEYS = ("how", "throttle", "viewport", "arguments")


def of_profile(launch: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options of a session. Raises InputError for what is not one.

    `throttle` (at least 1) is how many times slower the page's processor is made to look, `viewport` a phone's
    [width, height, pixels per pixel], `arguments` are further ones for Chromium.
    """
    for key in launch:
        if key not in KEYS:
            raise unknown("key", key, KEYS, where)
    throttle, viewport, arguments = launch.get("throttle", 1), launch.get("viewport"), launch.get("arguments", [])
    if not _number(throttle) or throttle < 1:
        raise InputError(f"{where}: throttle = {throttle!r} must be a number of at least 1")
    if viewport is not None and not (isinstance(viewport, list) and len(viewport) == 3 and all(map(_number, viewport))):
        raise InputError(f"{where}: viewport = {viewport!r} must be [width, height, scale]")
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise InputError(f"{where}: arguments = {arguments!r} must be a list of strings")
    found = {"throttle": throttle, "viewport": viewport, "arguments": arguments}
    return {key: value for key, value in found.items() if value}


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0

"""What a device profile says of a browser: `[launch] how = "browser"` with throttle, viewport and arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgeship.errors import InputError, unknown_name_error

KEYS = ("how", "throttle", "viewport", "arguments")
# What a profile may tell Chromium, and the values: how it draws and computes. Others could start programs
# (--renderer-cmd-prefix), load libraries, write files, or open the page to others.
_GRAPHICS = r"(?:Vulkan|DefaultANGLE|WebGPU|WebGL|WebAssembly|WebMachineLearning|Skia|Canvas)[A-Za-z0-9]*"
_V8 = (
    r"--(?:(?:max-heap-size|max-old-space-size|wasm-max-mem-pages)=[0-9]{1,7}"
    r"|jitless|no-opt|no-wasm-tier-up|liftoff-only|single-threaded)"
)
_SWITCHES = (
    *("--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis", "--disable-webgl", "--disable-webgl2"),
    *("--disable-gpu-vsync", "--disable-frame-rate-limit", "--disable-gpu-compositing", "--disable-vulkan-surface"),
    *("--disable-accelerated-2d-canvas", "--enable-unsafe-webgpu", "--enable-unsafe-swiftshader"),
    *("--enable-gpu-rasterization", "--ignore-gpu-blocklist", "--enable-precise-memory-info"),
)
ARGUMENTS: Mapping[str, re.Pattern[str] | None] = {
    **dict.fromkeys(_SWITCHES),
    "--use-gl": re.compile(r"angle|egl|desktop|swiftshader|disabled"),
    "--use-angle": re.compile(r"default|gl|gl-egl|gles|gles-egl|vulkan|metal|d3d9|d3d11|d3d11on12|swiftshader|null"),
    "--use-vulkan": re.compile(r"native|swiftshader"),
    "--use-webgpu-adapter": re.compile(r"default|swiftshader|opengles|d3d11"),
    "--use-webgpu-power-preference": re.compile(r"(?:default|force)-(?:low-power|high-performance)|none"),
    "--enable-features": re.compile(rf"{_GRAPHICS}(?:,{_GRAPHICS})*"),
    "--enable-blink-features": re.compile(r"ForceEagerMeasureMemory"),
    "--force-device-scale-factor": re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,4})?"),
    "--num-raster-threads": re.compile(r"[0-9]{1,2}"),
    "--js-flags": re.compile(rf"{_V8}(?: {_V8})*"),
}


def of_profile(launch: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options of a session. Raises InputError for what is not one.

    `throttle` (at least 1) is how many times slower the page's processor is made to look, `viewport` a phone's
    [width, height, pixels per pixel], `arguments` are further ones for Chromium, of those that are known to be harmless.
    """
    for key in launch:
        if key not in KEYS:
            raise unknown_name_error("key", key, KEYS, where)
    throttle, viewport, arguments = launch.get("throttle", 1), launch.get("viewport"), launch.get("arguments", [])
    if not _is_positive(throttle) or throttle < 1:
        raise InputError(f"{where}: throttle = {throttle!r} must be a number of at least 1")
    if viewport is not None and not (
        isinstance(viewport, list) and len(viewport) == 3 and all(map(_is_positive, viewport))
    ):
        raise InputError(f"{where}: viewport = {viewport!r} must be [width, height, scale]")
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise InputError(f"{where}: arguments = {arguments!r} must be a list of strings")
    for item in arguments:
        _check_argument(item, where)
    options = {"throttle": throttle, "viewport": viewport, "arguments": arguments}
    return {key: value for key, value in options.items() if value}


def _check_argument(argument: str, where: str) -> None:
    """Raises InputError for an argument that is not on the list, or whose value is none of the list's."""
    name, has_value, value = argument.partition("=")
    if name not in ARGUMENTS:
        raise InputError(
            f"{where}: Chromium's argument {argument!r} is not taken, whoever asks; those that are: {', '.join(ARGUMENTS)}"
        )
    values = ARGUMENTS[name]
    if not (values.fullmatch(value) if values else not has_value):
        what = f"its value must match {values.pattern}" if values else "it has no value"
        raise InputError(f"{where}: Chromium's argument {argument!r} is not taken: {what}")


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0

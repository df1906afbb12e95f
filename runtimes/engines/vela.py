"""Arm Vela, a compiler: it estimates, and runs nothing."""

from __future__ import annotations

from edgeship.runtimes.runtime import device_runtime

RUNTIMES = (device_runtime("vela", "tflite", "Arm Vela, a compiler", "ethos-u55-128"),)

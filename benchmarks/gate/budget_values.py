"""What each key of the `[budget]` table may hold, and how it is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeship.devices import profiles
from edgeship.errors import InputError
from edgeship.untrusted import SHOWN

# MLPerf's quality targets: the share of the server model's figure that must be kept.
PRESETS = {f"mlperf{share}": round(1 - float(share) / 100, 6) for share in ("99.9", "99", "98", "95", "93")}
UNJUDGED = "none"
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_value(key: str, value: Any, place: str) -> Any:
    """The value of a key of a table at `place`. Raises InputError where it is none."""
    try:
        return PARSERS[key](value)
    except OverflowError as error:
        raise InputError(f"{place}: {key} = {repr(value)[:SHOWN]} is too large a number") from error
    except ValueError as error:
        raise InputError(f"{place}: {key} = {repr(value)[:SHOWN]}: {error}") from error


def parse_bytes(value: Any) -> int:
    """Bytes from a whole number, or from text as "1.5 MB" (10^6) or "1.5 MiB" (2^20). Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return int(float(value)) and value  # a number that no float holds is refused
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value) if isinstance(value, str) else None
    if not match or match[2].upper() not in UNITS or float(match[1]) <= 0:
        raise ValueError('must be a number of bytes above 0, or text as "1.5 MB" or "900 KiB"')
    return int(float(match[1]) * UNITS[match[2].upper()])


def _number_parser(low: float, high: float = math.inf) -> Callable[[Any], float]:
    def parse_number(value: Any) -> float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high:
            limits = f"between {low:g} and {high:g}" if high < math.inf else f"of at least {low:g}"
            raise ValueError(f"must be a number {limits}")
        return float(value)

    return parse_number


_parse_floor = _number_parser(0)


def _parse_server_floor(value: Any) -> float | Mapping[str, float]:
    """A floor of whatever metric is in force, or floors by the name of their metric."""
    if isinstance(value, Mapping) and value:
        return {str(metric): _parse_floor(limit) for metric, limit in value.items()}
    try:
        return _parse_floor(value)
    except ValueError as error:
        raise ValueError(f"{error}, or such numbers by metric as {{ top1 = 0.89 }}") from error


def _parse_name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError('must be the name of an array in the evaluation data, as "site"')
    return value


def _parse_accuracy(value: Any) -> str:
    if value != UNJUDGED and value not in PRESETS:
        raise ValueError(f'must be one of {", ".join(PRESETS)}, or "none"; for a margin in points use max_drop')
    return str(value)


def _parse_devices(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
        raise ValueError('must be a list of devices as ["cortex-a72"]')
    for name in value:
        if not profiles.in_file(name):
            profiles.find_device(name)
        elif not profiles.NAME.fullmatch(Path(name).stem):
            raise ValueError(f"a device is called like its file, which must be {profiles.PLAIN}")
    return tuple(Path(name).stem if profiles.in_file(name) else name for name in value)  # the file itself is not read


def _parse_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and "/" in item for item in value):
        raise ValueError('must be a list of artifacts as ["tflite/int8"]')
    return tuple(value)


def _whole_names(value: Any) -> tuple[str, ...]:
    names = _parse_names(value)
    if any(mark in name for name in names for mark in "*?["):
        raise ValueError('takes no patterns: list every artifact by its name, as ["tflite/int8", "onnx/int8"]')
    return names


PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "accuracy": _parse_accuracy,
    "max_drop": _number_parser(0),
    "min_server_accuracy": _parse_server_floor,
    "max_class_drop": _number_parser(0, 100),
    "groups": _parse_name,
    "max_sure_flips": _number_parser(0, 100),
    "max_size_disk": parse_bytes,
    "max_size_wire": parse_bytes,
    "max_latency_ratio": _number_parser(0.001),
    "max_peak_memory": parse_bytes,
    "max_instructions": lambda value: int(_number_parser(1)(value)),
    "max_instructions_ratio": _number_parser(0.001),
    "min_agreement": _number_parser(0, 1),
    "max_abs_error": _number_parser(0),
    "min_sqnr_db": _number_parser(-200, 200),
    "required_devices": _parse_devices,
    "required": _whole_names,
    "optional": _parse_names,
}

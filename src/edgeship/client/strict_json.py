"""JSON of a channel, read strictly: each value has its type and bounds, no key is unknown, and a place in every message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import fields
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar

MOST_VERSION = 2**31 - 1
LONGEST, LONGEST_PART = 1000, 200  # characters of a text or path, and of a part of a path
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # no names of files on Windows
T = TypeVar("T")
Json = dict[str, Any]


class RulesError(ValueError):
    """A file of the channel cannot be used: a sentence that names the place in it."""


def parse_json(content: bytes, most: int, what: str, newest: int) -> Any:
    """The value, of a schema up to `newest`. Raises RulesError where it is none, is larger than `most` bytes, has a key twice."""
    if len(content) > most:
        raise RulesError(f"{what}: {len(content):,} bytes, at most {most:,} are read")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RulesError(f"{what}: not valid JSON ({str(error)[:100]!a})") from error
    schema = value.get("schema") if isinstance(value, dict) else None
    if type(schema) is int and schema > newest:
        raise RulesError(f"{what}: schema {str(schema)[:20]}, this client reads {newest}; update the client")
    if type(schema) is not int or schema < 1:
        raise fail(f"{what}: schema", str(newest), schema)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands there twice")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def fail(what: str, expected: str, value: object) -> RulesError:
    """The error for a value; what is no scalar is only named, as it may be nested too deeply to be shown."""
    shown = ascii(str(value)[:60]) if isinstance(value, (str, int, float)) else type(value).__name__
    return RulesError(f"{what} must be {expected}, not {shown}")


def read_object(value: Any, what: str, kind: type[Any], optional: Collection[str] = (), **names: str) -> Json:
    """The object with the keys of a dataclass and no others; `optional` may be missing. `names`: what the file calls it."""
    keys = {names.get(item.name, item.name) for item in fields(kind)}
    if not isinstance(value, dict):
        raise fail(what, "an object", value)
    if unknown := sorted(value.keys() - keys):
        raise RulesError(f"{what} has a key that is not known, {unknown[0][:60]!a}")
    if missing := sorted(keys - value.keys() - {*optional}):
        raise RulesError(f"{what} has no {missing[0]}")
    return value


def read_list(value: Any, what: str, most: int, read: Callable[[Any, str], T]) -> tuple[T, ...]:
    """The items of a list of at most `most`, each read with its place."""
    if not isinstance(value, list):
        raise fail(what, "a list", value)
    if len(value) > most:
        raise RulesError(f"{what} has {len(value):,} items, at most {most:,} are read")
    return tuple(read(item, f"{what}[{number}]") for number, item in enumerate(value))


def read_mapping(value: Any, what: str, most: int, check: Callable[[Any, str], str]) -> Json:
    """The object of at most `most` keys, each of which is checked."""
    if not isinstance(value, dict) or len(value) > most:
        raise fail(what, f"an object of at most {most:,} keys", value)
    return {check(name, what): item for name, item in value.items()}


def read_text(value: Any, what: str) -> str:
    """A text that shows: no controls, no halves of characters."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise fail(what, f"a printable text of at most {LONGEST} characters", value)
    return value


def read_label(value: Any, what: str) -> str:
    """A printable text, which may be empty."""
    return "" if value == "" and isinstance(value, str) else read_text(value, what)


def _matching(pattern: str, expected: str) -> Callable[[Any, str], str]:
    def read(value: Any, what: str) -> str:
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None or ".." in value:
            raise fail(what, expected, value)
        return value

    return read


read_name = _matching(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", "1 to 64 lower-case letters, digits and '-._'")
read_channel = _matching(
    r"(?!files$)[a-z](?:[a-z0-9._-]{0,62}[a-z0-9])?", "lower-case letters, digits and '-._' from a letter on"
)
read_digest = _matching(r"[0-9a-f]{64}", "a sha256 in 64 digits")
read_release = _matching(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}", "a release as 2.14")
read_artifact_id = _matching(r"[a-z0-9]{1,32}/[A-Za-z0-9_.-]{1,100}", "of ids as tflite/int8")


def read_whole(value: Any, what: str, least: int, most: int) -> int:
    """A whole number within bounds."""
    if type(value) is not int or not least <= value <= most:
        raise fail(what, f"a whole number from {least:,} to {most:,}", value)
    return value


def read_version(value: Any, what: str) -> int:
    """The number of a version."""
    return read_whole(value, what, 1, MOST_VERSION)


def read_boolean(value: Any, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise fail(what, "true or false", value)
    return value


def read_percent(value: Any, what: str) -> float:
    """A percentage that is a whole number of hundredths."""
    if type(value) not in (int, float) or not 0 <= value <= 100 or round(value * 100) / 100 != value:
        raise fail(what, "a percentage with at most two decimals", value)
    return float(value)


def read_moment(value: Any, what: str) -> str:
    """A time with its zone, in ISO 8601."""
    text = read_text(value, what)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise fail(what, "a time as 2026-11-29T10:00:00Z", value) from error
    if moment.tzinfo is None:
        raise fail(what, "a time with its zone", value)
    return text


def read_place(value: Any, what: str) -> str:
    """A relative path of plain names that stays inside, on every system that clients run on."""
    text = read_text(value, what)
    plain = re.search(r'[\\:*?"<>|]', text) is None and PurePosixPath(text).as_posix() == text
    if not plain or not all(map(_is_plain_part, text.split("/"))):
        raise fail(what, "a relative path of plain names", value)
    return text


def _is_plain_part(part: str) -> bool:
    return (
        0 < len(part) <= LONGEST_PART
        and part == part.strip(" ")
        and not part.endswith(".")  # "." and "..", too
        and _RESERVED.fullmatch(part) is None
    )

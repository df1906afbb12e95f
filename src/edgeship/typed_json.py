"""JSON and TOML values as frozen dataclasses.

`msgspec` converts, bounds stand in the annotations; what does not fit is an InputError of one sentence that names its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from edgeship.errors import InputError
from edgeship.untrusted import printable

T = TypeVar("T")
SHOWN = 60  # characters of a foreign value in a message
REASON = 200  # characters of what is wrong with one
WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "nothing",
}
_PLACE = re.compile(r" - at (?:`key` in )?`(?:key in )?\$(?P<place>[^`]*)`$")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]+)`(?P<bound>.*?)(?:, got `[^`]*`)?$")
_MISSING = re.compile(r"Object missing required field `(?P<key>[^`]*)`$")
_STEP_OF_TYPE = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def convert(
    kind: type[T],
    value: Any,
    *,
    names: Mapping[str, str] = MappingProxyType({}),
    dec_hook: Callable[[type, Any], Any] | None = None,
) -> T:
    """The value as a `kind`. `names`: what a text that matches a pattern is called in words, by pattern.

    Raises InputError, "artifacts[0].id must be a text, not 5", where it does not fit.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        raise InputError(describe_error(error, kind, value, names)) from error
    except (OverflowError, RecursionError) as error:
        raise InputError(f"it holds a number beyond all bounds ({printable(error)[:SHOWN]})") from error


def describe_error(error: msgspec.ValidationError, kind: object, value: Any, names: Mapping[str, str]) -> str:
    """What `msgspec` found wrong with a value, in our words, with its place and what stands there."""
    text = str(error)
    place = match["place"] if (match := _PLACE.search(text)) else ""
    text = _PLACE.sub("", text)
    place_text = printable(place.removeprefix("."))[-SHOWN:] or "it"
    if match := _MISSING.search(text):
        return f"{place_text} has no {match['key']}"
    if match := _EXPECTED.search(text):
        expectation = _expected_words(match["kinds"], match["bound"], names)
    elif text.startswith("Invalid enum value"):
        expectation = _known_values(kind, place)
    else:  # what `__post_init__` raised
        return f"{place_text} is none: {printable(text)[:REASON]}"
    return f"{place_text} must be {expectation}{_value_at(value, place)}"


def _expected_words(kinds: str, limits: str, names: Mapping[str, str]) -> str:
    if match := re.search(r"matching regex '(.*)'$", limits):
        pattern = match[1].replace("\\\\", "\\")
        return names.get(pattern, f"a text of the form {pattern}")
    kind_words = [WORDS.get(kind.strip(), kind.strip()) for kind in kinds.split("|")]
    implied = {WORDS["null"], WORDS["int"] if WORDS["float"] in kind_words else ""}
    words = " or ".join(word for word in kind_words if word not in implied) or WORDS["null"]
    return f"{words}{limits.replace('of length', 'with a length')}"


def _known_values(kind: object, place: str) -> str:
    """The values of the enumeration or literal that is at a place of a type, as "one of a, b"."""
    from msgspec.inspect import EnumType, LiteralType, type_info

    infos: list[Any] = [type_info(kind)]
    for name, _ in _STEP_OF_TYPE.findall(place):
        infos = [inner for info in infos for inner in _inner_types(info, name)]
    for item in (inner for info in infos for inner in _inner_types(info, None)):
        if isinstance(item, EnumType):
            return f"one of {', '.join(str(member.value) for member in item.cls)}"
        if isinstance(item, LiteralType):
            return f"one of {', '.join(map(str, item.values))}"
    return "one of the known values"


def _inner_types(info: Any, name: str | None) -> Iterator[Any]:
    """What a type has under a field's `name`, or as its items where that is empty; the type itself where it is None."""
    from msgspec.inspect import UnionType

    if isinstance(info, UnionType):
        for inner in info.types:
            yield from _inner_types(inner, name)
    elif name is None:
        yield info
    elif name:
        yield from (field.type for field in getattr(info, "fields", ()) if field.encode_name == name)
    else:
        yield from (getattr(info, key) for key in ("item_type", "value_type") if hasattr(info, key))


def _value_at(value: Any, place: str) -> str:
    """What stands at a place, as `, not 5`; empty where a part of the place has no name."""
    if "[...]" in place:
        return ""
    for name, number in _STEP.findall(place):
        try:
            value = value[int(number)] if number else value[name]
        except (LookupError, TypeError):
            return ""
    return f", not {printable(repr(value)[:SHOWN])}"

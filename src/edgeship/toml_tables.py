"""Tables of a TOML file as frozen dataclasses. `msgspec` checks each value by its field's annotation; the sentence is ours.

The `msgspec.Meta` of an annotation holds all that is known of a key: its bounds, `title` (what its value must be, in words),
`description` and `examples`. docs/configuration.md and the file that `edgeship init` writes are made of the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

import msgspec

from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import SHOWN

WORDS: Mapping[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[str, ...]: "a list of strings",
}


@dataclass(frozen=True)
class Key:
    """A key of a table. `words`: what its value must be; `default`: None where nothing stands for it; `example`: a value."""

    name: str
    words: str
    default: Any
    description: str
    example: Any

    @property
    def line(self) -> str:
        """The key with its example, as TOML has it."""
        return f"{self.name} = {toml_value(self.example)}"


class Table:
    """Base of a frozen dataclass that is a table of a TOML file: its values are checked, however it is made.

    `MAIN` is the key whose value may stand for the whole table, as `prune = 0.7`.
    """

    MAIN: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for key in _hints(type(self)):
            convert_value(type(self), key, getattr(self, key))

    @classmethod
    def read(cls, value: Any, where: str, **fixed: Any) -> Self:
        """The table from what stands in TOML; `fixed` fields are no keys of it.

        Raises InputError that names the place (`where`), and the known keys beside an unknown one.
        """
        if not isinstance(value, Mapping):
            if not cls.MAIN:
                raise InputError(f"{where}: expected a table")
            value = {cls.MAIN: value}
        check_keys(value, _hints(cls).keys() - fixed.keys(), where)
        try:
            return cls(**fixed, **{key: convert_value(cls, key, item) for key, item in value.items()})
        except InputError as error:
            raise InputError(f"{where}: {error}") from error


def check_keys(table: Mapping[str, Any], known_keys: Iterable[str], where: str) -> None:
    """Raise InputError for a key that is not one of the known ones, which it lists."""
    names = set(known_keys)
    for key in table:
        if key not in names:
            raise unknown_name_error("key", key, names, where)


def convert_value(kind: type, key: str, value: Any) -> Any:
    """A key's value as its field has it: lists become tuples. Raises InputError that says what it must be."""
    hint = _hints(kind)[key]
    try:
        result = msgspec.convert(value, hint)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        examples = _annotation_note(hint, "examples")
        # Words name both truth values, and an example of one would read as advice.
        example = f", as {key} = {toml_value(examples[0])}" if examples and examples[0] is not True else ""
        raise InputError(f"{key} = {repr(value)[:SHOWN]} must be {_value_words(hint)}{example}") from error
    if isinstance(value, str) and "\0" in value:
        raise InputError(f"{key} = {repr(value)[:SHOWN]} has a NUL in it, as no name and no path has")
    return result


def describe_keys(kind: type) -> tuple[Key, ...]:
    """The keys of a dataclass in the order of its fields; those without a description are no keys of a file."""
    keys = []
    for item in fields(kind):
        hint = _hints(kind)[item.name]
        description = _annotation_note(hint, "description")
        if description:
            default = None if item.default is MISSING else item.default
            keys.append(
                Key(
                    item.name,
                    _value_words(hint),
                    default,
                    description,
                    (_annotation_note(hint, "examples") or [default])[0],
                )
            )
    return tuple(keys)


def toml_value(value: Any) -> str:
    """A value as TOML writes it: a text, number, truth value, a list or an inline table of such."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{toml_key(key)} = {toml_value(item)}' for key, item in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    # TOML takes neither JSON's pairs of surrogates nor a bare DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """A key as TOML writes it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else str(toml_value(name))


def _read_hints(kind: type) -> Mapping[str, Any]:
    """The annotations of a dataclass's fields."""
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: hints[item.name] for item in fields(kind)}


_hints: Callable[[type], Mapping[str, Any]] = cache(_read_hints)


def _annotation_note(hint: Any, what: str) -> Any:
    """What the outermost annotation says that says it: nested ones are one after the other, the outermost last."""
    metas = (item for item in reversed(get_args(hint)[1:]) if isinstance(item, msgspec.Meta))
    return next((value for meta in metas if (value := getattr(meta, what)) is not None), None)


def _value_words(hint: Any) -> str:
    """What a value must be, in words: the annotation's own, or those of its type."""
    if get_origin(hint) is Annotated:
        return _annotation_note(hint, "title") or _value_words(get_args(hint)[0])
    if hint in WORDS:
        return WORDS[hint]
    return _value_words(next(item for item in get_args(hint) if item is not NoneType))

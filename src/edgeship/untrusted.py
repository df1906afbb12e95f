"""What is done with a file that somebody else wrote before it is believed: where it lies, how large it is, what it says.

Whatever is wrong with it is an `InputError` of one sentence. Standard library only: every part of edgeship may use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tomllib
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from edgeship.errors import EdgeshipError, InputError, unknown_name_error
from edgeship.light_dataclass import dataclass

LIMITS = "EDGESHIP_LIMITS"
RATIO_FROM = 64 << 20  # bytes below which nobody minds how well something is packed
SHOWN = 200  # characters of a foreign message
TOML_BITS = 63  # of a whole number beside its sign
LONGEST = 1000  # characters of a name, and of a text that is shown of a file
# Invisible, or able to change what stands beside them: controls, formats (writing direction), lone surrogates, separators,
# and code points that no character has (XML takes some of them not at all).
_HIDDEN = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}
# Letters, marks and symbols that show nothing: Default_Ignorable_Code_Point of Unicode 16, and blanks of two scripts.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
_EMOJI = "\ufe0f"  # asks for the coloured form of a symbol, and is nothing strange behind one
_LINE_ENDS = re.compile(r"[\r\n\t\v\f]+")
# All that is no bracket, strings whole; a string without an end reaches to the end of the text, so that this is linear.
_BETWEEN = re.compile(r'[^\[\]{}"]+|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1}
NUMBERS = frozenset((int, float, bool, type(None)))
DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Limits:
    """How much of a stranger's file is taken. Bytes are of what is unpacked or read into memory.

    `unpacked_bytes` of one archive, `unpacked_ratio` of what is unpacked to what is packed (looked at beyond 64 MB),
    `files` in one archive, bundle or model folder, `json_bytes` and `json_depth` of one JSON text, `tensor_bytes` that
    one tensor may declare, `read_seconds` that the structure of one file may take to be read, `replay_seconds` that one
    artifact may take to replay its goldens.
    """

    unpacked_bytes: int = 32 << 30
    unpacked_ratio: int = 200
    files: int = 10_000
    json_bytes: int = 256 << 20
    json_depth: int = 200
    tensor_bytes: int = 8 << 30
    read_seconds: int = 60
    replay_seconds: int = 600

    @classmethod
    def read(cls, text: str) -> Limits:
        """`name=number` separated by commas, as `EDGESHIP_LIMITS` has them. Raises InputError for anything else."""
        names, values = [item.name for item in fields(cls)], {}
        for part in filter(None, (item.strip() for item in text.split(","))):
            name, _, value = part.partition("=")
            if name.strip() not in names:
                raise unknown_name_error("limit", name.strip(), names, LIMITS)
            if not value.strip().isdecimal() or not 0 < len(value.strip()) <= 18 or not int(value):
                raise InputError(f"{LIMITS}: {part} must be a whole number above 0, as files=20000")
            values[name.strip()] = int(value)
        return replace(cls(), **values)


@cache
def _parse_limits(text: str) -> Limits:
    return Limits.read(text)


def limits() -> Limits:
    """The limits in force: the built-in ones, with those that the environment's `EDGESHIP_LIMITS` names."""
    return _parse_limits(os.environ.get(LIMITS, ""))


def _is_plain(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _BLANK.search(text) is None)


def printable(text: object) -> str:
    r"""The text with every character that is invisible or steers a terminal written as an escape (`\x1b`); line ends too."""
    plain = str(text)
    if _is_plain(plain):
        return plain
    return "".join(
        char.encode("unicode_escape", "surrogatepass").decode() if _is_hidden(char, before) else char
        for before, char in pairwise(f" {plain}")
    )


def _is_hidden(char: str, before: str) -> bool:
    if char == _EMOJI and unicodedata.category(before) == "So":
        return False
    return unicodedata.category(char) in _HIDDEN or _BLANK.match(char) is not None


def shorten_text(text: object, most: int = LONGEST) -> str:
    """The text, or its beginning and end where it is longer than `most` characters."""
    whole = str(text)
    half = (most - 1) // 2
    return whole if len(whole) <= most else f"{whole[:half]}…{whole[-half:]}"


def printable_lines(text: object) -> str:
    """As `printable`, but line ends stay, and tabs become blanks."""
    return "\n".join(map(printable, str(text).replace("\t", " ").split("\n")))


def printable_value(value: Any) -> Any:
    """A JSON value or dataclass for people: each text in it, of keys too, on one line, `printable` and of bearable length."""
    if type(value) in NUMBERS:  # most values are, and need no further look
        return value
    if isinstance(value, str):
        text = shorten_text(value)
        return value if isinstance(value, Enum) else text if _is_plain(text) else printable(_LINE_ENDS.sub(" ", text))
    if isinstance(value, Mapping):
        return {printable_value(key): printable_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(printable_value, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: printable_value(getattr(value, item.name)) for item in fields(value)})
    return value


@contextlib.contextmanager
def damage_as_input_error(what: object) -> Iterator[None]:
    """Turns whatever a parser raises over a damaged file into an InputError that names `what`, the file.

    edgeship's own errors pass. What a parser of a library raises is not documented, so every exception counts.
    """
    try:
        yield
    except EdgeshipError:
        raise
    except MemoryError as error:
        raise InputError(f"{printable(what)}: needs more memory than there is; is the file damaged?") from error
    except Exception as error:  # see above
        message = printable(" ".join(str(error).split()))[:SHOWN]
        raise InputError(
            f"{printable(what)}: cannot be read, is the file damaged? ({type(error).__name__}{message and f': {message}'})"
        ) from error


def count_elements(shape: Iterable[object], size: int = 1, what: object = "a tensor") -> int:
    """How many numbers of `size` bytes a tensor of that shape holds; an axis that is None is unknown and counts as 1.

    Raises InputError for an axis that is no whole number from 0 on, and for more than `limits().tensor_bytes`.
    """
    axes, count = list(shape), 1
    for axis in axes:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int) or axis < 0):
            raise InputError(f"{printable(what)}: shape {printable(axes)[:SHOWN]} is none, is the file damaged?")
        count *= 1 if axis is None else axis
        if count * size > limits().tensor_bytes:
            raise InputError(
                f"{printable(what)}: shape {printable(axes)[:SHOWN]} is more than the {limits().tensor_bytes:,} bytes that a "
                f"tensor may have ({LIMITS}=tensor_bytes=...)"
            )
    return count


def check_unpacked(path: object, archive: zipfile.ZipFile) -> None:
    """Raises InputError, naming `path`, for an archive of more or larger files than the limits take.

    What is read of a member is never more than its size in the directory: so the directory alone can tell.
    """
    entries, most = archive.infolist(), limits()
    if len(entries) > most.files:
        raise InputError(f"{printable(path)}: holds more than {most.files:,} files ({LIMITS}=files=... allows more)")
    unpacked_bytes = sum(entry.file_size for entry in entries)
    packed_bytes = max(sum(entry.compress_size for entry in entries), 1)
    if unpacked_bytes > most.unpacked_bytes:
        raise InputError(
            f"{printable(path)}: unpacks to {unpacked_bytes:,} bytes, at most {most.unpacked_bytes:,} are taken "
            f"({LIMITS}=unpacked_bytes=... allows more)"
        )
    if unpacked_bytes > RATIO_FROM and unpacked_bytes > most.unpacked_ratio * packed_bytes:
        raise InputError(
            f"{printable(path)}: unpacks to {unpacked_bytes:,} bytes, {unpacked_bytes // packed_bytes:,} times its size; at most "
            f"{most.unpacked_ratio:,} times is taken ({LIMITS}=unpacked_ratio=... allows more)"
        )


def regular_file(path: Path, *, links: bool = False) -> Path:
    """The path, if a regular file is there; with `links` also a link to one (what the user named may be one).

    Raises InputError for a missing file, a folder, a link, a pipe or a device.
    """
    try:
        mode = path.stat().st_mode if links else path.lstat().st_mode
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(path)}: no such file") from error
    if stat.S_ISREG(mode):
        return path
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
    advice = "; copy what it points to" if stat.S_ISLNK(mode) else ""
    raise InputError(f"{printable(path)}: {kinds.get(stat.S_IFMT(mode), 'a device')}, not a regular file{advice}")


def is_plain_name(name: str) -> bool:
    """Whether a file of that name can lie in a bundle, on every system and for `place_within`."""
    return (
        name not in ("", ".", "..") and printable(name) == name and "\\" not in name and not PureWindowsPath(name).drive
    )


def place_within(root: Path, name: object) -> Path:
    """`root / name`, for a name that a file tells: relative, of plain parts, without a link on the way. It may be missing.

    Raises InputError for an absolute path, `..`, a Windows drive or backslash, an invisible character, a link.
    """
    label = f"{printable(root)}: the path {printable(name)[:SHOWN]!r}"
    if not isinstance(name, str) or not name or printable(name) != name or "\\" in name:
        raise InputError(f"{label} is not a relative path of plain names")
    pure = PurePosixPath(name)
    if (
        pure.is_absolute()
        or PureWindowsPath(name).drive
        or ".." in pure.parts
        or pure.as_posix() != name
        or name == "."
    ):
        raise InputError(f"{label} does not stay inside; only relative paths without '..' are taken")
    place = root
    for part in pure.parts:
        place = place / part
        try:
            link = place.is_symlink()
        except OSError as error:  # a name longer than any file's
            raise InputError(f"{label} is no place for a file ({error.strerror})") from error
        if link:
            raise InputError(f"{label} goes through a link; copy what it points to")
    return place


def tree_files(root: Path) -> dict[str, Path]:
    """Every regular file below a folder, by relative POSIX path in the order of names.

    Raises InputError for a link, a pipe or a device anywhere below, and for more files than `limits().files`.
    """
    files: dict[str, Path] = {}
    pending = [root]
    while pending:
        folder = pending.pop()
        for entry in os.scandir(folder):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
                continue
            regular_file(path)
            files[path.relative_to(root).as_posix()] = path
            if len(files) > limits().files:
                raise InputError(
                    f"{printable(root)}: more than {limits().files:,} files ({LIMITS}=files=... allows more)"
                )
    return dict(sorted(files.items()))


def parse_json(text: str | bytes, what: object) -> Any:
    """A JSON value. Raises InputError, naming `what`, where it is none, is too large or nested too deeply."""
    most = limits()
    if len(text) > most.json_bytes:
        raise InputError(
            f"{printable(what)}: JSON of {len(text):,} bytes, at most {most.json_bytes:,} are read ({LIMITS})"
        )
    with damage_as_input_error(what):
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    if _is_deeper(plain, most.json_depth):
        raise InputError(
            f"{printable(what)}: JSON nested deeper than {most.json_depth} levels ({LIMITS}=json_depth=...)"
        )
    with damage_as_input_error(what):
        return json.loads(plain)


def parse_toml(content: bytes, what: object) -> dict[str, Any]:
    """A TOML table. Raises InputError, naming `what`, where it is none, or is nested too deeply.

    TOML's whole numbers have 64 bits; Python reads longer ones, and cannot print them.
    """
    try:
        table = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{printable(what)}: not valid TOML ({printable(error)[:SHOWN]})") from error
    level: list[Any] = [table]
    for _ in range(limits().json_depth):
        if any(isinstance(value, int) and value.bit_length() > TOML_BITS for value in level):
            raise InputError(f"{printable(what)}: not valid TOML (a whole number of more than 64 bits)")
        inner = (
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, (dict, list))
        )
        level = [value for values in inner for value in values]
        if not level:
            return table
    raise InputError(
        f"{printable(what)}: TOML nested deeper than {limits().json_depth} levels ({LIMITS}=json_depth=...)"
    )


def _is_deeper(text: str, most: int) -> bool:
    """Whether brackets outside strings are nested more deeply than that."""
    if text.count("[") + text.count("{") <= most:
        return False
    levels = accumulate(map(_LEVELS.__getitem__, _BETWEEN.sub("", text)))
    return next(filter(most.__lt__, levels), None) is not None


def read_json(path: Path, *, links: bool = False) -> Any:
    """The JSON value in a regular file (`regular_file`, `parse_json`)."""
    regular_file(path, links=links)
    size, most = path.stat().st_size, limits().json_bytes
    if size > most:
        raise InputError(
            f"{printable(path)}: JSON of {size:,} bytes, at most {most:,} are read ({LIMITS}=json_bytes=...)"
        )
    with damage_as_input_error(path):
        content = path.read_bytes()
    return parse_json(content, path)


def is_code(source: object) -> bool:
    r"""Whether a data source is a `package.module:attribute`, and not a file whose path has a colon.

    A relative path with one counts as code: whether a file is there depends on the folder that a process works in. One with
    a drive (`C:\data`) does not, on other systems too: a bundle may come from Windows.
    """
    if not isinstance(source, str) or ":" not in source or DRIVE.match(source):
        return False
    return not (os.path.isabs(source) and os.path.exists(source))

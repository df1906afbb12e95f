"""Device profiles: where an artifact is run and what its figures are worth. TOML files, the built-in ones or a user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Any

from edgeship.devices.launch_ways import WAYS
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.types import Kind
from edgeship.untrusted import SHOWN, parse_toml, printable, regular_file

FOLDER = Path(__file__).parent
FIGURES = ("quality", "speed", "latency", "memory", "instructions", "compiler")
KEYS = ("title", "kind", "runtimes", "threads", "figures", "seconds", "launch")
THREADS, SECONDS = 1024, 10**9  # the most that mean anything
LISTS = ("requirements", "packages")
# What a profile says becomes part of commands, so each text has a grammar: a name and a version, never an option, an
# address of a package, a path out of the way.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
REQUIREMENT = re.compile(
    r" *([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?) *== *([A-Za-z0-9](?:[A-Za-z0-9.!+_-]*[A-Za-z0-9])?)"
    r"((?: +--hash=sha256:[0-9a-f]{64})*) *"
)
# What a profile may have installed from the package index: the runtimes, and what versions of them import. Whoever has a
# name of their own there would else run code here by way of a profile.
DISTRIBUTIONS = (
    *("ai-edge-litert", "ethos-u-vela", "onnxruntime", "tflite-micro", "tflite-runtime"),
    *("backports-strenum", "coloredlogs", "flatbuffers", "humanfriendly", "lxml", "mpmath", "numpy", "packaging"),
    *("protobuf", "pyyaml", "sympy", "tqdm", "typing-extensions"),
)
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+]")  # Debian Policy 5.6.1; a last - would mean "remove it" to apt
HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
PLACE = re.compile(r"[\w./~+][\w./~+ -]*")
AMOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
PLAIN = "a name of letters, digits, '.', '_' and '-'"
GRAMMARS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "requirements": (REQUIREMENT, "pinned, as numpy==1.26.4: a name and a version (and --hash=sha256:...), no more"),
    "packages": (PACKAGE, "the name of a Debian package, as libblas3"),
    **dict.fromkeys(("cpu", "machine", "accelerator", "system"), (NAME, PLAIN)),
    "memory": (AMOUNT, "an amount or a name, as 512 MB"),
    "host": (HOST, "a place for ssh, as pi@raspberrypi.local"),
    **dict.fromkeys(("python", "folder"), (PLACE, "a path that does not begin with '-'")),
}
# What a core says of itself.
IDENTITY = ("features", "part", "revision", "variant")
IDENTITIES = re.compile(r"[A-Za-z0-9_ ]*")


@dataclass(frozen=True)
class Device:
    """A profile. `runtimes` are those it has (empty: the usual one of each format), `threads` those of a latency run.

    `figures` says what is taken: quality (accuracy, parity), speed (load, latency with its ratio to float32's, memory), latency
    (as speed, without the ratio), memory (its peak alone), instructions (executed per inference), compiler (what an NPU's
    compiler estimates). `seconds` bounds the time that one artifact's evaluation takes: where all samples would take longer, a
    stratified subset is run; None is no bound.
    `launch` says how a worker is started: its key `how` names the way (`direct`: a process on this machine), the others
    belong to that way.
    """

    name: str
    title: str
    kind: Kind
    runtimes: tuple[str, ...] = ()
    threads: int = 1
    figures: tuple[str, ...] = ("quality", "speed")
    seconds: float | None = None
    launch: Mapping[str, Any] = field(default_factory=lambda: {"how": "direct"})

    @property
    def how(self) -> str:
        """The way its workers are started."""
        return str(self.launch["how"])


def profile_names() -> tuple[str, ...]:
    """The built-in profiles."""
    return tuple(sorted(_built_in()))


def profile_path(name: str) -> Path:
    """The file of the built-in profile of that name. Raises InputError that lists the known ones."""
    if name not in profile_names():
        raise unknown_name_error("device", name, profile_names())
    return _built_in()[name]


@cache
def _built_in() -> Mapping[str, Path]:
    return {path.stem: path for path in FOLDER.glob("*/*.toml")}


def in_file(name: object) -> bool:
    """Whether a device is a profile in a file of somebody's, and not a built-in one by its name."""
    return isinstance(name, str) and name.endswith(".toml")


def find_device(name: str) -> Device:
    """The built-in profile of that name, or the one in that `.toml` file. Raises InputError naming what is wrong."""
    if not in_file(name):
        return _read_profile(profile_path(name))
    path = Path(name)
    if not os.path.exists(path):
        raise InputError(f"{name}: no such file; a device is a profile of that form or one of: {_list_names()}")
    if not NAME.fullmatch(path.stem):
        raise InputError(f"{printable(name)}: a device is called like its file, which must be {PLAIN}")
    return _read_profile(regular_file(path, links=True))


def _read_profile(path: Path) -> Device:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return _parse_device(path, parse_toml(content, path))


def _list_names() -> str:
    return ", ".join(profile_names())


def _parse_device(path: Path, table: Mapping[str, Any]) -> Device:
    """A checked profile; the messages name the file."""
    where = str(path)
    for key in table:
        if key not in KEYS:
            raise unknown_name_error("key", key, KEYS, where)
    kind, figures = table.get("kind", ""), _parse_strings(table, "figures", where, ("quality", "speed"))
    if kind not in list(Kind):
        raise unknown_name_error("kind", str(kind), [str(item) for item in Kind], where)
    for figure in figures:
        if figure not in FIGURES:
            raise unknown_name_error("figure", figure, FIGURES, where)
    if {"speed", "latency"} & set(figures) and kind == Kind.EMULATED:
        raise InputError(f"{where}: an emulated device has no speed: its wall time says nothing about the real one")
    threads, seconds = table.get("threads", 1), table.get("seconds")
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= THREADS:
        raise InputError(f"{where}: threads = {repr(threads)[:SHOWN]} must be a whole number from 1 to {THREADS}")
    if seconds is not None and (
        not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 < seconds <= SECONDS
    ):
        raise InputError(f"{where}: seconds = {repr(seconds)[:SHOWN]} must be a number above 0, at most {SECONDS:,}")
    title, runtimes = str(table.get("title", path.stem)), _parse_strings(table, "runtimes", where, ())
    launch = _parse_launch(table.get("launch", {"how": "direct"}), f"{where}, [launch]")
    return Device(path.stem, title, Kind(kind), runtimes, threads, figures, seconds, launch)


def _parse_strings(table: Mapping[str, Any], key: str, where: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = table.get(key, default)
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{where}: {key} = {value!r} must be a list of strings")
    return tuple(value)


def _parse_launch(table: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: expected a table")
    how = table.get("how", "direct")
    if not isinstance(how, str) or how not in WAYS:
        raise unknown_name_error("way to start a worker (how)", str(how), WAYS, where)
    way = WAYS[how]
    if not way.strict:
        return table
    keys = {"how"} | way.required_keys | way.optional_keys
    for key, value in table.items():
        if key not in keys:
            raise unknown_name_error("key", key, keys, where)
        if key in LISTS:
            for item in _parse_strings(table, key, where, ()):
                _check_grammar(key, item, f"{where}: {key}: {item!r}")
        elif key == "identity":
            _check_identity(value, f"{where[:-1]}.identity]")
        elif not isinstance(value, str):
            raise InputError(f"{where}: {key} = {value!r} must be a string")
        else:
            _check_grammar(key, value, f"{where}: {key} = {value!r}")
    if missing := way.required_keys - set(table):
        raise InputError(f'{where}: how = "{how}" needs the key {", ".join(sorted(missing))}')
    return {"how": how, **table}


def _check_grammar(key: str, text: str, what: str) -> None:
    if key in GRAMMARS:
        grammar, words = GRAMMARS[key]
        if not grammar.fullmatch(text):
            raise InputError(f"{what} must be {words}")
        if key == "requirements":
            name = text.partition("==")[0].strip()
            if re.sub(r"[._-]+", "-", name).lower() not in DISTRIBUTIONS:
                raise unknown_name_error("package", name, DISTRIBUTIONS, what.partition(": requirements")[0])


def _check_identity(table: Any, where: str) -> None:
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: expected a table")
    for key, value in table.items():
        if key not in IDENTITY:
            raise unknown_name_error("key", key, IDENTITY, where)
        if not isinstance(value, str):
            raise InputError(f"{where}: {key} = {value!r} must be a string")
        if not IDENTITIES.fullmatch(value):
            raise InputError(f"{where}: {key} = {value!r} must be letters, digits, '_' and spaces")

"""What a configuration would let run beside edgeship itself: code by name, code in a model file, a device of its own.

Nobody but the user allows that: on the command line, in the file that `--config` names, or by trusting an `edgeship.toml`
(`edgeship.settings.trust`). Tables are looked at as TOML or a manifest holds them, before anything in them is obeyed.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgeship.devices.profiles import in_file
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import DRIVE, SHOWN, is_code, printable, regular_file

SOURCES = ("calibration", "train", "validation", "evaluation")
IMPORTS = "imports that module"
READS = "is read from outside its folder"
# What a key lets happen, and the option that says the same of a bundle.
KEYS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("model", "custom_objects"): (IMPORTS, "--custom-objects"),
    ("model", "allow_unsafe"): ("runs code that is stored in the model file", "--allow-unsafe"),
    **{("data", key): (IMPORTS, "--data" if key == "evaluation" else "") for key in SOURCES},
    ("benchmark", "metric"): (IMPORTS, ""),
    ("benchmark", "metrics"): (IMPORTS, ""),
    ("benchmark", "devices"): ("starts programs, here or elsewhere, as that file says", "--device"),
}


@dataclass(frozen=True)
class Grant:
    """A key of a table with the value by which it lets something run, or (`effect`) is read from anywhere."""

    section: str
    key: str
    value: Any
    effect: str = ""

    def __str__(self) -> str:
        return self._format_grant(SHOWN)

    @property
    def whole(self) -> str:
        """All of it, however long: for who is to trust it."""
        return self._format_grant(None)

    def _format_grant(self, limit: int | None) -> str:
        value = printable(json.dumps(self.value, ensure_ascii=False, default=str))[:limit]
        section, key = printable(self.section)[:limit], printable(self.key)
        return f"[{section}] {key} = {value} ({self.effect or KEYS[self.section, self.key][0]})"

    @property
    def option(self) -> str:
        """How the command line says the same; empty where only a configuration can."""
        name = KEYS[self.section, self.key][1]
        if not name or self.value is True:
            return name
        values = self.value if isinstance(self.value, list) else [self.value]
        return f"{name} {shlex.quote(','.join(printable(item)[:SHOWN] for item in values))}"


def find_grants(table: Any) -> tuple[Grant, ...]:
    """What a configuration's table lets run; nothing where it is no table."""
    values = ((section, key, _table_section(table, section).get(key)) for section, key in KEYS)
    return tuple(Grant(section, key, value) for section, key, value in values if _lets_run(section, key, value))


def find_file_grants(table: Any, folder: Path) -> tuple[Grant, ...]:
    """What a configuration's file lets happen: `find_grants`, and the data, labels and students outside its folder that are read.

    Such files may be private, and what is read becomes part of a bundle, which is sent away.
    """
    outside = [place for place in _list_places(table) if not _is_inside(folder, place[2])]
    return (*find_grants(table), *(Grant(section, key, value, READS) for section, key, value in outside))


def _list_places(table: Any) -> Iterator[tuple[str, str, str]]:
    """The files and folders that a configuration names: section, key and path."""
    data, variants = _table_section(table, "data"), _table_section(table, "variants")
    for key in (*SOURCES, "labels"):
        # Labels are always a file, also one with a colon in its name.
        if isinstance(data.get(key), str) and (key == "labels" or not is_code(data[key])):
            yield "data", key, data[key]
    for name in variants:
        student = _table_section(_table_section(variants, name), "distill").get("student")
        if isinstance(student, str):
            yield f"variants.{name}", "distill.student", student


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a file, or a folder with all its `.npz`, lies below a folder without a link on the way."""
    pure = Path(name)
    if pure.is_absolute() or pure.drive or DRIVE.match(name) or ".." in pure.parts:
        return False
    places = [folder.joinpath(*pure.parts[: count + 1]) for count in range(len(pure.parts))]
    try:
        links = any(os.path.islink(place) for place in [*places, *folder.joinpath(pure).glob("*.npz")])
    except (OSError, ValueError):  # it cannot be read either, and who does so says why
        return True
    return not links


def _lets_run(section: str, key: str, value: Any) -> bool:
    if section == "data":
        return is_code(value)
    if section == "benchmark" and key != "devices":
        return any(map(is_code, value.values())) if isinstance(value, Mapping) else is_code(value)
    if key == "devices":
        return isinstance(value, list) and any(map(in_file, value))
    return bool(value)


def _table_section(table: Any, section: str) -> Mapping[str, Any]:
    part = table.get(section) if isinstance(table, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def remove_grants(table: Mapping[str, Any]) -> dict[str, Any]:
    """The same table without what `find_grants` finds in it; of the devices those that have a name alone stay."""
    remaining = dict(table)
    for grant in find_grants(table):
        part = dict(remaining[grant.section])
        if grant.key == "devices":
            part["devices"] = [item for item in part["devices"] if not in_file(item)] or ["host"]
        elif grant.key == "metrics" and isinstance(part["metrics"], Mapping):
            part["metrics"] = {name: item for name, item in part["metrics"].items() if not is_code(item)}
        else:
            del part[grant.key]
        remaining[grant.section] = part
    return remaining


def keep_grants(table: dict[str, Any], former: Any) -> dict[str, Any]:
    """A manifest's new table, with what its former one let run and which data it named, where the new one does not: a record."""
    data = ((("data", key), value) for key, value in _table_section(former, "data").items() if key in SOURCES)
    for (section, key), value in (*(((grant.section, grant.key), grant.value) for grant in find_grants(former)), *data):
        if not table[section].get(key):
            table[section][key] = value
    return table


def refuse_grants(bundle: Path, grants: Iterable[Grant]) -> None:
    """Raises InputError for what a bundle was made with and cannot grant, with the options that do."""
    lacking = list(grants)
    if not lacking:
        return
    options = " ".join(grant.option for grant in lacking if grant.option)
    ways = [f"add {options}"] if options else []
    ways.append("name a file that says so with --config")
    raise InputError(
        f"{printable(bundle)}: was made with what a bundle cannot grant: {'; '.join(map(str, lacking))}\n"
        f"if you trust it: {', or '.join(ways)}"
    )


def check_place(source: str, what: str) -> None:
    """Raises InputError where a path that a manifest names is there and is neither a regular file nor a folder of such.

    What is not there is no error here.
    """
    path = Path(source)
    try:
        path.stat()
        entries = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise InputError(f"{what}: {printable(source)[:SHOWN]} cannot be read ({printable(error)[:SHOWN]})") from error
    for entry in entries:
        regular_file(entry, links=True)

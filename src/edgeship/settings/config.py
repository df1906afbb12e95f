"""`edgeship.toml`: variants, data, benchmark settings and budgets of one model. Unknown keys are refused, known ones listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, fields, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.notices import print_notice
from edgeship.recipes.training import Training
from edgeship.settings import permissions
from edgeship.settings.inputs import InputForm
from edgeship.settings.outputs import OutputForm
from edgeship.settings.sections import Benchmark, Data, Learning, Model
from edgeship.settings.variants import Variant, preset_keys
from edgeship.toml_tables import Table, check_keys
from edgeship.untrusted import parse_toml, printable, regular_file

T = TypeVar("T", bound=Table)
NAME = "edgeship.toml"
FORMS = "inputs.toml"  # what `edgeship train --data` says of inputs and outputs, in the same tables
# Keys of a variant under the names that earlier versions gave them: [data] has a calibration of its own.
NEW_KEYS = {"calibration": "calibration_method"}
CONFIG_BYTES = 16 << 20
LABELS_BYTES = 1 << 20  # of a file of class names; a thousand of them take a fiftieth
STORED = "the bundle's configuration"


@dataclass(frozen=True)
class Config:
    """All of `edgeship.toml`. `variants` None means: what the formats and the data allow. `budget` is read by the gate.

    `source` is what errors name: the file that was read, or in words where there is none.
    """

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    variants: tuple[Variant, ...] | None = None
    benchmark: Benchmark = field(default_factory=Benchmark)
    budget: Mapping[str, Any] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    input: Mapping[str, InputForm] = field(default_factory=dict)
    output: Mapping[str, OutputForm] = field(default_factory=dict)
    source: str = field(default="the configuration", compare=False)
    learning: Learning = field(default_factory=Learning)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse and check a file; paths in it are relative to its folder. Raises InputError naming what is wrong."""
        return cls.parse(read_content(path), path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """As `read`, of a file whose content is known already: it may have been changed meanwhile."""
        table = parse_toml(content, path)
        check_keys(table, {item.name for item in fields(cls)} - {"source"}, str(path))
        variants = table.get("variants")
        if variants is not None and not isinstance(variants, dict):
            raise InputError(f"{path}: variants are tables, as [variants.int8]")
        return cls(
            Model.read(table.get("model", {}), f"{path}, [model]"),
            _read_data(table.get("data", {}), f"{path}, [data]", path.parent),
            None if variants is None else tuple(_read_variant(name, item, path) for name, item in variants.items()),
            Benchmark.read(table.get("benchmark", {}), f"{path}, [benchmark]"),
            table.get("budget", {}),
            Training.read(table.get("training", {}), f"{path}, [training]"),
            _read_tables(InputForm, "input", table, str(path)),
            _read_tables(OutputForm, "output", table, str(path)),
            str(path),
            Learning.read(table.get("learning", {}), f"{path}, [learning]"),
        )

    @classmethod
    def restore(cls, content: Any) -> Self:
        """A configuration from the JSON that a manifest holds (`content`), without what lets code run (`permissions`).

        Raises InputError where it is none: a manifest may be anybody's.
        """
        table = _check_table(content, STORED)
        check_keys(table, {item.name for item in fields(cls)}, STORED)
        for key in ("model", "data", "variants", "benchmark", "budget"):
            if key not in table:
                raise InputError(f"{STORED}: '{key}' is missing; make the bundle again")
        table = permissions.remove_grants(table)
        variants = table["variants"]
        if variants is not None and not isinstance(variants, list):
            raise InputError(f"{STORED}: variants must be a list")

        def section(kind: type[T], key: str) -> T:
            where = f"{STORED}, [{key}]"
            return kind.read(_without_null(table.get(key, {}), where), where)

        return cls(
            section(Model, "model"),
            section(Data, "data"),
            None if variants is None else tuple(map(_read_stored_variant, variants)),
            section(Benchmark, "benchmark"),
            _check_table(table["budget"], f"{STORED}, [budget]"),
            section(Training, "training"),
            _read_tables(InputForm, "input", table, STORED),
            _read_tables(OutputForm, "output", table, STORED),
            STORED,
            section(Learning, "learning"),
        )

    def to_manifest(self) -> dict[str, Any]:
        """What a manifest keeps: all but where it was read from, which is of no use on another machine."""
        return {name: value for name, value in asdict(self).items() if name != "source"}


def find_config(model: Path) -> Path | None:
    """The `edgeship.toml` beside a model, if there is one."""
    path = model.parent / NAME
    return path if path.is_file() else None


def read_content(path: Path) -> bytes:
    """What a configuration's file holds. Raises InputError where it cannot be read, or is larger than any is."""
    try:
        with path.open("rb") as stream:
            content = stream.read(CONFIG_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; `edgeship init MODEL` writes one") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > CONFIG_BYTES:
        raise InputError(f"{path}: larger than {CONFIG_BYTES:,} bytes, which no configuration is")
    return content


def default_config(model: Path) -> Config:
    """What holds where there is no `edgeship.toml`: what `edgeship train` leaves beside a model, if it is there.

    That is data, and what an app has in hand for each input. Raises InputError where FORMS is there and holds something else.
    """
    files = {
        key: str(path)
        for key in ("calibration", "evaluation", "train", "validation")
        if is_usable_file(path := model.parent / f"{key}.npz")
    }
    labels = model.parent / "labels.txt"
    names = tuple(read_labels(labels)) if is_usable_file(labels) else ()
    forms = model.parent / FORMS
    data = replace(Data(labels=names), **files)  # type: ignore[arg-type]
    if not is_usable_file(forms):
        return Config(data=data)
    stated = Config.read(forms)
    return Config(data=data, input=stated.input, output=stated.output, source=stated.source)


def is_usable_file(path: Path) -> bool:
    """Whether a file is there that may be used without having been named; a link may lead to a private one."""
    if path.is_symlink():
        text = printable(f"{path} is a link, so it is not used unasked; copy what it points to, or name it")
        print_notice(f"{text} in an {NAME}")
        return False
    return path.is_file()


def _read_tables(kind: type[T], key: str, table: Mapping[str, Any], source: str) -> dict[str, T]:
    """The tables of inputs or of outputs by their names, of a file or as a manifest holds them."""
    tables = table.get(key, {})
    if not isinstance(tables, Mapping):
        raise InputError(f"{source}: {key}s are tables, as [{key}.NAME]")
    named = ((name, item, f"{source}, [{key}.{printable(name)}]") for name, item in tables.items())
    return {name: kind.read(_without_null(item, where), where) for name, item, where in named}


def _check_table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table")
    return value


def _without_null(value: Any, where: str) -> Mapping[str, Any]:
    """A stored table without what is null in it: TOML has no such value, it is what was not given."""
    return {key: item for key, item in _check_table(value, where).items() if item is not None}


def _read_stored_variant(value: Any) -> Variant:
    table = {NEW_KEYS.get(key, key): item for key, item in _without_null(value, f"{STORED}, variants").items()}
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise InputError(f"{STORED}: a variant has no name")
    return Variant.read(table, f"{STORED}, [variants.{printable(name)}]", name=name)


def _rename_keys(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """A variant's table with the keys of earlier versions under their names of today; one line each says what to write."""
    for old, new in NEW_KEYS.items():
        if old in table and new in table:
            raise InputError(f"{where}: {old} is the former name of {new}, and both are given; keep {new} alone")
        if old in table:
            value = f'"{table[old]}"' if isinstance(table[old], str) else table[old]
            notice = printable(f"{where}: {old} is now called {new}: write {new} = {value}")
            print_notice(notice)
            table = {new if key == old else key: value for key, value in table.items()}
    return table


def _read_variant(name: str, value: Any, path: Path) -> Variant:
    """A variant of a file: built-in names stand for a recipe, a student's path is relative to the file."""
    where = f"{path}, [variants.{printable(name)}]"
    given = _rename_keys(_check_table(value, where), where)
    table = {**preset_keys(name, given), **given}
    distill = table.get("distill")
    if isinstance(distill, Mapping) and isinstance(distill.get("student"), str):
        table["distill"] = {**distill, "student": str(path.parent / distill["student"])}
    return Variant.read(table, where, name=name)


def _read_data(table: Any, where: str, folder: Path) -> Data:
    """Paths are taken relative to the file's folder; `package.module:attribute` stays as it is."""
    if isinstance(table, Mapping) and isinstance(table.get("labels"), str):
        table = {**table, "labels": read_labels(folder / table["labels"])}
    data = Data.read(table, where)
    places = {key: getattr(data, key) for key in permissions.SOURCES}
    located = {key: str(folder / value) for key, value in places.items() if value and ":" not in value}
    return replace(data, **located)  # type: ignore[arg-type]


def read_labels(path: Path) -> list[str]:
    """The class names of a file with one name a line."""
    try:
        if path.exists() and regular_file(path, links=True).stat().st_size > LABELS_BYTES:
            raise InputError(f"{path}: larger than {LABELS_BYTES:,} bytes, which no list of class names is")
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:  # not UTF-8, a NUL in the path
        raise InputError(f"{path}: cannot read labels ({error}); one class name a line") from error

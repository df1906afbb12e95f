"""`edgeship.toml`: variants, data, benchmark settings and budgets of one model. Unknown keys are refused, known ones listed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from edgeship.devices import profiles as devices
from edgeship.errors import InputError, unknown
from edgeship.recipes.quantization import MIN_MAX, VARIANTS, QuantizeRecipe, for_variant, recipe_support
from edgeship.recipes.training import Recipes, Training
from edgeship.settings import permissions
from edgeship.types import FORMATS
from edgeship.untrusted import SHOWN, parse_toml, printable, regular_file

T = TypeVar("T")
NAME = "edgeship.toml"
# Keys of a variant under the names that earlier versions gave them: [data] has a calibration of its own.
NEW_KEYS = {"calibration": "calibration_method"}
CONFIG_BYTES = 16 << 20
LABELS_BYTES = 1 << 20  # of a file of class names; a thousand of them take a fiftieth
STORED = "the bundle's configuration"
PROFILES = ("rapid", "quick", "normal", "full")
# What LiteRT.js can run in a browser: a batch fixed for ever, float at the edges.
FOR_LITERT_JS = """\
[variants.float32-web]
formats = ["tflite"]
static_batch = true

[variants.int8-web]
quantize = "static_w8a8"
formats = ["tflite"]
io = "float32"
static_batch = true
"""


@dataclass(frozen=True)
class Variant:
    """A variant and what it applies: `quantize` is a recipe's name, `io` the type at the edges of a full-integer model.

    `calibration_method` is how its activations' ranges follow from the data (`recipes.quantization.CALIBRATION_METHODS`).
    `sparse_encoding` stores pruned kernels of a float32 `.tflite` without their zeros. `static_batch` fixes the batch, true at 1.
    `distill`, `prune`, `cluster` and `qat` are what its own float model is trained further with, as TOML has them.
    """

    name: str
    quantize: str = "float32"
    formats: tuple[str, ...] = FORMATS
    io: str = "int8"
    calibration_method: str = MIN_MAX
    static_batch: bool | int = False
    flex: bool = False
    sparse_encoding: bool = False
    distill: Any = None
    prune: Any = None
    cluster: Any = None
    qat: Any = None

    @property
    def recipes(self) -> Recipes:
        """What its float model is trained further with."""
        return Recipes.read({name: getattr(self, name) for name in ("distill", "prune", "cluster", "qat")}, self.name)

    def __post_init__(self) -> None:
        if not self.name or any(not (char.isalnum() or char in "._-") for char in self.name):
            raise InputError(f"variant name '{printable(self.name)}': letters, digits, '.', '_' and '-' only")
        QuantizeRecipe(self.quantize, self.io, self.calibration_method)
        if self.sparse_encoding and self.quantize != "float32":
            raise InputError(f"sparse_encoding is for float32 .tflite files: variant '{self.name}' has {self.quantize}")
        if self.static_batch < 0:
            raise InputError(f"static_batch = {self.static_batch} must be true or a number of samples")
        if self.recipes and self.name in VARIANTS:
            raise InputError(
                f"variant '{self.name}' is the plain one: call what is trained further otherwise, as pruned-int8"
            )
        for name in self.formats:
            if name not in FORMATS:
                raise unknown("format", name, FORMATS, f"variant '{self.name}'")


@dataclass(frozen=True)
class Model:
    """How the model is loaded: `custom_objects` is a `package.module`, `signature` one of a SavedModel's."""

    custom_objects: str | None = None
    signature: str | None = None
    allow_unsafe: bool = False


@dataclass(frozen=True)
class Data:
    """Where the data lies (see `edgeship.data`); `labels` names the classes: a list, or a file with one name a line.

    `train` and `validation` are what a variant's model is trained further with; without the latter a part of `train` is held out.
    """

    calibration: str | None = None
    calibration_samples: int | None = None
    train: str | None = None
    validation: str | None = None
    evaluation: str | None = None
    evaluation_samples: int | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("calibration_samples", "evaluation_samples"):
            count = getattr(self, key)
            if count is not None and count < 1:
                raise InputError(f"{key} = {count} must be at least 1")


@dataclass(frozen=True)
class Benchmark:
    """How it is measured; `metric` and `output` are chosen from the labels where they are not given."""

    profile: str = "rapid"
    devices: tuple[str, ...] = ("host",)
    runtimes: tuple[str, ...] = ()
    metric: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise unknown("profile", self.profile, PROFILES)
        for device in self.devices:
            devices.find(device)


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
    source: str = field(default="the configuration", compare=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse and check a file; paths in it are relative to its folder. Raises InputError naming what is wrong."""
        return cls.parse(content_of(path), path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """As `read`, of a file whose content is known already: it may have been changed meanwhile."""
        table = parse_toml(content, path)
        _known(table, {item.name for item in fields(cls)} - {"source"}, str(path))
        variants = table.get("variants")
        if variants is not None and not isinstance(variants, dict):
            raise InputError(f"{path}: variants are tables, as [variants.int8]")
        return cls(
            _section(Model, table.get("model", {}), f"{path}, [model]"),
            _data(table.get("data", {}), f"{path}, [data]", path.parent),
            None if variants is None else tuple(_variant(name, item, path) for name, item in variants.items()),
            _section(Benchmark, table.get("benchmark", {}), f"{path}, [benchmark]"),
            table.get("budget", {}),
            Training.read(table.get("training", {}), f"{path}, [training]"),
            str(path),
        )

    @classmethod
    def restore(cls, stored: Any) -> Self:
        """A configuration from the JSON that a manifest holds (`stored`), without what lets code run (`permissions`).

        Raises InputError where it is none: a manifest may be anybody's.
        """
        table = _table(stored, STORED)
        _known(table, {item.name for item in fields(cls)}, STORED)
        for key in ("model", "data", "variants", "benchmark", "budget"):
            if key not in table:
                raise InputError(f"{STORED}: '{key}' is missing; make the bundle again")
        table = permissions.without(table)
        variants = table["variants"]
        if variants is not None and not isinstance(variants, list):
            raise InputError(f"{STORED}: variants must be a list")

        def section(kind: type[T], key: str) -> T:
            where = f"{STORED}, [{key}]"
            return _section(kind, _set(table[key], where), where)

        where = f"{STORED}, [training]"
        return cls(
            section(Model, "model"),
            section(Data, "data"),
            None if variants is None else tuple(map(_stored_variant, variants)),
            section(Benchmark, "benchmark"),
            _table(table["budget"], f"{STORED}, [budget]"),
            Training.read(_set(table.get("training", {}), where), where),
            STORED,
        )

    def stored(self) -> dict[str, Any]:
        """What a manifest keeps: all but where it was read from, which is of no use on another machine."""
        return {name: value for name, value in asdict(self).items() if name != "source"}


def find(model: Path) -> Path | None:
    """The `edgeship.toml` beside a model, if there is one."""
    path = model.parent / NAME
    return path if path.is_file() else None


def content_of(path: Path) -> bytes:
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


def beside(model: Path) -> Config:
    """What holds where there is no `edgeship.toml`: the data that `edgeship train` leaves beside a model, if it is there."""
    found = {
        key: str(path)
        for key in ("calibration", "evaluation", "train", "validation")
        if lies_there(path := model.parent / f"{key}.npz")
    }
    labels = model.parent / "labels.txt"
    names = tuple(read_labels(labels)) if lies_there(labels) else ()
    return Config(data=replace(Data(labels=names), **found))  # type: ignore[arg-type]


def lies_there(path: Path) -> bool:
    """Whether a file is there that may be used without having been named; a link may lead to a private one."""
    if path.is_symlink():
        told = printable(f"{path} is a link, so it is not used unasked; copy what it points to, or name it")
        print(f"{told} in an {NAME}", file=sys.stderr)
        return False
    return path.is_file()


def default_variants(formats: Sequence[str], has_data: bool) -> tuple[Variant, ...]:
    """float32 everywhere; with representative data int8 where a format can run it; 8-bit weights for TF.js."""
    names = ["float32", *(["int8"] if has_data else [])]
    variants = [
        named_variant(name, [item for item in formats if not refusal(for_variant(name).name, item)]) for name in names
    ]
    if "tfjs" in formats:
        variants.append(named_variant("weight_only_w8", ["tfjs"]))
    return tuple(variant for variant in variants if variant.formats)


def named_variant(name: str, formats: Sequence[str], known: Iterable[str] = ()) -> Variant:
    """The built-in variant of that name. Raises InputError listing those and the `known` ones of a configuration."""
    if name not in VARIANTS:
        raise unknown("variant", name, {*VARIANTS, *known})
    return Variant(name, for_variant(name).name, tuple(formats))


def unfit(variant: Variant, format_name: str) -> str:
    """Why a variant has no meaning in a format; empty where it has one."""
    if variant.sparse_encoding and format_name != "tflite":
        return f"sparse_encoding is TFLite's: {format_name} has no such storage"
    if variant.static_batch > 1 and format_name == "tfjs":
        return f"static_batch = {variant.static_batch} is for .tflite and .onnx: TF.js takes any batch without"
    return refusal(variant.quantize, format_name)


def refusal(recipe: str, format_name: str) -> str:
    """Why a recipe has no meaning in a format; empty where it has one."""
    try:
        recipe_support(recipe, format_name)
    except InputError as error:
        return str(error)
    return ""


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise unknown("key", key, known, where)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table")
    return value


def _set(value: Any, where: str) -> Mapping[str, Any]:
    """A stored table without what is null in it: TOML has no such value, it is what was not given."""
    return {key: item for key, item in _table(value, where).items() if item is not None}


def _stored_variant(value: Any) -> Variant:
    table = {NEW_KEYS.get(key, key): item for key, item in _set(value, f"{STORED}, variants").items()}
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise InputError(f"{STORED}: a variant has no name")
    return _section(Variant, table, f"{STORED}, [variants.{printable(name)}]", name=name)


_EXPECTED: dict[str, tuple[Any, str]] = {
    "str": (str, "a string"),
    "str | None": (str, "a string"),
    "int | None": (int, "a whole number"),
    "bool": (bool, "true or false"),
    "bool | int": ((bool, int), "true, false or a whole number"),
    "Any": (object, "a value"),
    "tuple[str, ...]": (list, "a list of strings"),
}


def _section(kind: type[T], table: Any, where: str, **fixed: Any) -> T:
    """A frozen dataclass from a TOML table: unknown keys and wrong types are refused, naming the place."""
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: expected a table")
    known = {item.name: str(item.type) for item in fields(kind) if item.name not in fixed}  # type: ignore[arg-type]
    _known(table, set(known), where)
    values = dict(fixed)
    for key, value in table.items():
        expected, words = _EXPECTED[known[key]]
        right = isinstance(value, expected) and not (expected is int and isinstance(value, bool))
        if not right or (expected is list and not all(isinstance(item, str) for item in value)):
            raise InputError(f"{where}: {key} = {repr(value)[:SHOWN]} must be {words}")
        if isinstance(value, str) and "\0" in value:
            raise InputError(f"{where}: {key} = {repr(value)[:SHOWN]} has a NUL in it, as no name and no path has")
        values[key] = tuple(value) if expected is list else value
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _renamed(table: Any, where: str) -> Any:
    """A variant's table with the keys of earlier versions under their names of today; one line each says what to write."""
    if not isinstance(table, Mapping):
        return table
    for old, new in NEW_KEYS.items():
        if old in table and new in table:
            raise InputError(f"{where}: {old} is the former name of {new}, and both are given; keep {new} alone")
        if old in table:
            value = f'"{table[old]}"' if isinstance(table[old], str) else table[old]
            told = printable(f"{where}: {old} is now called {new}: write {new} = {value}")
            print(told, file=sys.stderr)
            table = {new if key == old else key: value for key, value in table.items()}
    return table


def _variant(name: str, table: Any, where: Path) -> Variant:
    table = _renamed(table, f"{where}, [variants.{printable(name)}]")
    preset = {"quantize": for_variant(name).name} if name in VARIANTS else {}
    merged = {**preset, **table} if isinstance(table, Mapping) else table
    distill = merged.get("distill") if isinstance(merged, Mapping) else None
    if isinstance(distill, Mapping) and isinstance(distill.get("student"), str):
        merged = {**merged, "distill": {**distill, "student": str(where.parent / distill["student"])}}
    return _section(Variant, merged, f"{where}, [variants.{printable(name)}]", name=name)


def _data(table: Any, where: str, folder: Path) -> Data:
    """Paths are taken relative to the file's folder; `package.module:attribute` stays as it is."""
    if isinstance(table, Mapping) and isinstance(table.get("labels"), str):
        table = {**table, "labels": read_labels(folder / table["labels"])}
    data = _section(Data, table, where)
    places = {key: getattr(data, key) for key in ("calibration", "evaluation", "train", "validation")}
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

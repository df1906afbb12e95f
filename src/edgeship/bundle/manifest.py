"""What a bundle's manifest looks like, checked when a bundle is opened: no command meets a list where an object belongs.

What is named here is what commands read. Other keys may be there: earlier and later versions of edgeship write some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeship.errors import InputError
from edgeship.types import FORMATS, Kind, TensorSpec, Verdict
from edgeship.untrusted import LONGEST, printable

# What a cell of the parity matrix may be, from best to worst; `estimated` and what follows it were not compared.
NOT_COMPARED = ("refused", "absent", "failed")
STATES = ("exact", "steps", "close", "differs", "estimated", *NOT_COMPARED)
SIZES = {"int": (8, 16, 32, 64), "uint": (8, 16, 32, 64), "float": (16, 32, 64), "complex": (64, 128)}
DTYPES = ("bool", *(f"{kind}{bits}" for kind, sizes in SIZES.items() for bits in sizes))  # numpy's, of numbers
SHOWN = 60  # characters of a foreign value in a message
LARGEST = 1e300  # of figures: larger ones are infinite in percent, which no JSON holds
MEASUREMENTS, CHECKS = 5000, 20_000  # in a bundle: a table looks for the checks of each measurement


@dataclass(frozen=True)
class Plain:
    """A plain value: in words what it must be, and whether it is."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class Maybe:
    """A shape, or null."""

    shape: Any


@dataclass(frozen=True)
class Table:
    """An object of any keys, whose values have one shape."""

    shape: Any


@dataclass(frozen=True)
class Parsed:
    """A shape whose values fit together: `parse` raises ValueError, KeyError or OverflowError where they do not."""

    shape: Any
    parse: Callable[[Any], object]


TEXT = Plain("a text", lambda value: isinstance(value, str))
NAME = Plain(
    f"a printable name of at most {LONGEST:,} characters",
    lambda value: isinstance(value, str) and 0 < len(value) <= LONGEST and printable(value) == value,
)
FLAG = Plain("true or false", lambda value: isinstance(value, bool))
NUMBER = Plain(
    f"a number of at most {LARGEST:g}",
    lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST,
)
WHOLE = Plain("a whole number from 0", lambda value: NUMBER.fits(value) and isinstance(value, int) and value >= 0)
ANY = Plain("a value", lambda _: True)
OBJECT = Table(ANY)
SHA = Plain("a digest in 64 digits", lambda value: isinstance(value, str) and len(value) == 64 and value.isalnum())
VARIANT = Plain(
    "letters, digits, '.', '_' and '-'",
    lambda value: isinstance(value, str) and bool(value) and all(char.isalnum() or char in "._-" for char in value),
)


def _one_of(known: Any) -> Plain:
    names = tuple(map(str, known))
    return Plain(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names)


def _figures(*names: str) -> dict[str, Any]:
    """Optional numbers."""
    return {f"{name}?": Maybe(NUMBER) for name in names}


# A key that ends in ? may be missing.
SPEC = Parsed(
    {
        "name": NAME,
        "shape": [Maybe(WHOLE)],
        "dtype": _one_of(DTYPES),
        "quantization?": Maybe({"scale": [NUMBER], "zero_point": [NUMBER], "axis": Maybe(WHOLE)}),
    },
    TensorSpec.from_json,
)
DATA = Maybe({"source": TEXT, "digest": TEXT, "samples": WHOLE})
ACCURACY = {
    **_figures("value", "server", "drop", "low", "high", "n", "ece", "ece_server", "flips_total"),
    "metric?": Maybe(TEXT),
    "share?": Maybe(FLAG),
    "higher_is_better?": Maybe(FLAG),
    "reason?": Maybe(TEXT),
    "per_class?": Maybe(
        [{"class": WHOLE, "significant": FLAG, **dict.fromkeys(("drop", "low", "high", "server", "artifact"), NUMBER)}]
    ),
    "sure_flips?": Maybe(dict.fromkeys(("flips", "n", "low", "high", "share"), NUMBER)),
    "flips?": Maybe([{**dict.fromkeys(("index", "label", "server", "artifact"), WHOLE), "server_confidence": NUMBER}]),
}
PARITY = {
    **_figures("max_abs_error", "mean_abs_error", "cosine", "sqnr_db", "agreement"),
    **_figures("agreement_low", "agreement_high", "agreement_n"),
    "reason": TEXT,
}
LIKENESS = {
    **_figures("values", "differ", "max_steps", "max_abs_error", "agreement"),
    "exact?": FLAG,
    "reason?": TEXT,
    "why?": Maybe(TEXT),
}
CELL = {"state": _one_of(STATES), "text": TEXT, "reason": TEXT, "kind?": TEXT, "runtime?": TEXT}
DETAILS = {
    "content?": SHA,
    "accuracy?": Maybe({**ACCURACY, "outputs?": Maybe(Table(ACCURACY))}),
    "parity?": Maybe(Table(PARITY)),
    "latency_ratio?": Maybe({**_figures("value", "low", "high", "pairs"), "against?": TEXT}),
    "latency?": Maybe({"runs_on?": Maybe({**_figures("engine_gzip_bytes")}), "profile?": TEXT}),
    "samples?": Maybe({"n": WHOLE, "of": WHOLE}),
    "likeness?": LIKENESS,
    "engine?": Maybe(OBJECT),
    "instructions?": OBJECT,
    "compiler?": OBJECT,
    "cell?": CELL,
}
METRIC = {"name": TEXT, "value": Maybe(NUMBER), "unit": TEXT, "kind": _one_of(Kind), "reason": TEXT}
MEASUREMENT = {"artifact": TEXT, "runtime": TEXT, "device": TEXT, "metrics": [METRIC], "details": DETAILS}
RECEIPT = {
    **_figures("int8_op_share", "hybrid_op_share", "sparsity"),
    "float_islands?": Maybe([TEXT]),
    "weights?": _figures("elements", "bytes", "sparsity"),
}
ARTIFACT = {
    "id": NAME,
    "path": NAME,
    "format": _one_of(FORMATS),
    "variant": VARIANT,
    "inputs?": [SPEC],
    "outputs?": [SPEC],
    "steps?": [{"name": TEXT, "source": TEXT, "recipe?": OBJECT, "tools?": OBJECT}],
    "digest?": TEXT,
    "content?": SHA,
    "receipt?": RECEIPT,
    "temperature?": Table({**_figures("value", "ece", "ece_repaired"), "reason": TEXT}),
}
CHECK = {
    **{"artifact": TEXT, "runtime": TEXT, "check": TEXT, "verdict": _one_of(Verdict), "reason": TEXT, "device?": TEXT},
    **_figures("value", "limit"),
}
GATE = {"verdict": _one_of(Verdict), "checks?": [CHECK], "not_judged?": [{"artifact": TEXT, "reason": TEXT}]}
SERVER = {
    "path": NAME,
    "digest": TEXT,
    "inputs": [SPEC],
    "outputs": [SPEC],
    "parameters?": Maybe(WHOLE),
    "loader?": TEXT,
    "notes?": [TEXT],
    "loading?": OBJECT,
}
GOLDEN = {
    "runtime": Maybe(TEXT),
    "reason?": TEXT,
    "tolerance?": Maybe(Table(ANY)),  # `verify` judges these, and says what is wrong with which output
    "clear?": Maybe(Table(ANY)),
}
MANIFEST = {
    "schema": WHOLE,
    "files": Table(SHA),
    "artifacts": [ARTIFACT],
    "measurements": [MEASUREMENT],
    "created?": TEXT,
    "edgeship?": TEXT,
    "labels?": Maybe([TEXT]),
    "server_model?": SERVER,
    "config?": OBJECT,  # `edgeship.settings.config.Config.restore` looks into it
    "data?": {f"{name}?": DATA for name in ("calibration", "evaluation", "train", "validation")},
    "skipped?": [{"artifact": TEXT, "reason": TEXT}],
    "tools?": OBJECT,
    "machine?": OBJECT,
    "gate?": Maybe(GATE),
    "goldens?": {"samples?": WHOLE, "artifacts?": Table(GOLDEN)},
    "preprocessing?": OBJECT,
    "matrix?": {"devices": [TEXT]},
    "between_formats?": [{"artifact": TEXT, "against": TEXT, "parity": Table(PARITY)}],
    "server_measurement?": Maybe(ACCURACY),
    "debug?": Table(OBJECT),
}
# What every command needs beyond the lists, but for the part of a bundle that a page carries.
WHOLE_BUNDLE = ("config", "server_model")


def check(manifest: Any, *, part: bool = False) -> None:
    """Raise InputError, naming the place, where a manifest is not of this shape; `part`: of a page's part of a bundle."""
    _check(manifest, MANIFEST, "")
    for key in () if part else WHOLE_BUNDLE:
        if key not in manifest:
            raise InputError(f"{key} is missing")
    checks = (manifest.get("gate") or {}).get("checks", [])
    for name, items, most in (("measurements", manifest["measurements"], MEASUREMENTS), ("checks", checks, CHECKS)):
        if len(items) > most:
            raise InputError(f"it has {len(items):,} {name}, at most {most:,} are taken")
    seen: set[str] = set()
    for item in manifest["artifacts"]:
        if item["id"] != f"{item['format']}/{item['variant']}":
            raise InputError(f"the artifact {item['id']} is called other than its format and variant")
        for name in (item["id"], item["path"]):
            if name in seen:
                raise InputError(f"two artifacts have the name or path {name}")
            seen.add(name)


def _check(value: Any, shape: Any, place: str) -> None:
    if isinstance(shape, Maybe):
        if value is None:
            return
        shape = shape.shape
    if isinstance(shape, Parsed):
        _check(value, shape.shape, place)
        try:
            shape.parse(value)
        except (ValueError, KeyError, OverflowError) as error:
            raise InputError(f"{_named(place)} is none: {printable(error)[:SHOWN]}") from error
    elif isinstance(shape, Plain):
        _need(shape.fits(value), place, shape.words, value)
    elif isinstance(shape, list):
        _need(isinstance(value, list), place, "a list", value)
        for number, item in enumerate(value):
            _check(item, shape[0], f"{place}[{number}]")
    elif isinstance(shape, Table):
        _need(isinstance(value, Mapping), place, "an object", value)
        for key, item in value.items():
            _check(item, shape.shape, f"{place}.{key}")
    else:
        _check_keys(value, shape, place)


def _check_keys(value: Any, shape: Mapping[str, Any], place: str) -> None:
    _need(isinstance(value, Mapping), place, "an object", value)
    for marked, inner in shape.items():
        key = marked.removesuffix("?")
        if key in value:
            _check(value[key], inner, f"{place}.{key}")
        elif key == marked:
            raise InputError(f"{_named(place)} has no {key}")


def _named(place: str) -> str:
    return printable(place.removeprefix("."))[-SHOWN:] or "it"


def _need(fits: bool, place: str, words: str, value: Any) -> None:
    if not fits:
        raise InputError(f"{_named(place)} must be {words}, not {printable(repr(value)[:SHOWN])}")

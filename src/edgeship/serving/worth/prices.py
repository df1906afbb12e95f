"""What machines, traffic and upkeep cost, and how long updates take: assumptions with a date, each with its range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import SHOWN, parse_toml, printable, regular_file

DEFAULT = Path(__file__).with_name("prices.toml")
LONGEST_CURRENCY = 8
MOST = 1e12
T = TypeVar("T", "ServerPrices", "ClientPrices", "AssumedTimes")


@dataclass(frozen=True)
class Range:
    """An assumption: what it may be at least, usually, and at most."""

    low: float
    usual: float
    high: float


@dataclass(frozen=True)
class ServerPrices:
    """`vcpu_hour` per virtual processor and hour, of which `least_vcpus` always run; `peak`: the busiest load over the mean.

    `gb_out`, `gb_in` per 10^9 bytes; `a_month`: what running a server costs beside.
    """

    vcpu_hour: Range
    least_vcpus: Range
    peak: Range
    gb_out: Range
    gb_in: Range
    a_month: Range


@dataclass(frozen=True)
class ClientPrices:
    """`gb_out` per 10^9 bytes of models, downloaded `releases_a_month` times; `per_client_a_month` and `a_month` beside."""

    gb_out: Range
    releases_a_month: Range
    per_client_a_month: Range
    a_month: Range


@dataclass(frozen=True)
class AssumedTimes:
    """What HTTP and a server take around an inference, where no server is measured; and how long a new version takes.

    To half of all users by an app store, to all by a server.
    """

    http_ms: Range
    app_store_days: Range
    server_minutes: Range


@dataclass(frozen=True)
class Prices:
    """All assumptions: of that `date`, in that `currency`, from the file of that name."""

    date: str
    currency: str
    source: str
    server: ServerPrices
    client: ClientPrices
    times: AssumedTimes


def read_prices(path: Path | None = None) -> Prices:
    """The assumptions of a file; what it does not name is edgeship's (`prices.toml` here).

    Raises InputError naming what is wrong.
    """
    given = {} if path is None else parse_toml(regular_file(path, links=True).read_bytes(), path)
    usual, where = parse_toml(DEFAULT.read_bytes(), DEFAULT), printable(path or "prices.toml")
    for key in given:
        if key not in usual:
            raise unknown_name_error("key", key, usual, where)
    if path is not None and not isinstance(given.get("date"), date):
        raise InputError(f"{where}: date = 2026-11-29 is missing: a price is worth nothing without its day")
    currency = given.get("currency", usual["currency"])
    if not isinstance(currency, str) or not 0 < len(currency) <= LONGEST_CURRENCY or printable(currency) != currency:
        raise InputError(f"{where}: currency must be a text of at most {LONGEST_CURRENCY} characters, as USD")
    if "currency" in given and currency != usual["currency"]:
        _check_all_given(given, usual, currency, where)
    return Prices(
        date=str(given.get("date", usual["date"])),
        currency=currency,
        source="edgeship's own assumptions" if path is None else Path(path).name,
        server=_read_table(ServerPrices, "server", given, usual, where),
        client=_read_table(ClientPrices, "client", given, usual, where),
        times=_read_table(AssumedTimes, "times", given, usual, where),
    )


def _check_all_given(given: Mapping[str, Any], usual: Mapping[str, Any], currency: str, where: str) -> None:
    """Prices in another currency cannot be joined by edgeship's."""
    for section in ("server", "client"):
        table = given.get(section)
        named = table if isinstance(table, Mapping) else {}
        if missing := [key for key in usual[section] if key not in named and usual[section][key]]:
            raise InputError(f"{where}: [{section}] in {currency} needs all of its keys, {', '.join(missing)} too")


def _read_table(kind: type[T], section: str, given: Mapping[str, Any], usual: Mapping[str, Any], where: str) -> T:
    table, place = given.get(section, {}), f"{where}, [{section}]"
    if not isinstance(table, Mapping):
        raise InputError(f"{place}: expected a table")
    keys = [item.name for item in fields(kind)]
    for key in table:
        if key not in keys:
            raise unknown_name_error("key", key, keys, place)
    return kind(**{key: _read_range(table.get(key, usual[section][key]), f"{place}: {key}") for key in keys})


def _read_range(value: Any, where: str) -> Range:
    values = value if isinstance(value, list) else [value] * 3
    if len(values) != 3 or not all(map(_is_number, values)) or sorted(values) != values:
        raise InputError(
            f"{where} = {printable(repr(value))[:SHOWN]} must be a number from 0 on, or [low, usual, high] in that order"
        )
    return Range(*map(float, values))


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < MOST
    )

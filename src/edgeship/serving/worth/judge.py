"""Client or server, for one bundle: figures of both sides, the decision over each network, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.devices.network import Network
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.serving.worth import figures, networks
from edgeship.serving.worth.changes import find_changes
from edgeship.serving.worth.costs import Costs, Load, compare_costs
from edgeship.serving.worth.decision import Case, decide
from edgeship.serving.worth.figures import DeviceLatency, ServerTimes
from edgeship.serving.worth.membership import MembershipRisk
from edgeship.serving.worth.networks import NetworkLatency
from edgeship.serving.worth.prices import Prices, Range
from edgeship.serving.worth.result import CurvePoint, Exposure, Question, Update, Worth
from edgeship.types import Kind, TensorSpec

CURVE_POINTS = 24
HOURS_A_DAY = 24.0
FLEET = 2000  # simulated devices: half of them are as many as it takes


@dataclass(frozen=True)
class Sides:
    """The artifacts of both sides, as far as there are some, and the client's time.

    `passes`: whether an artifact for clients passes the gate, `served_passes`: that for servers; None where nothing was judged.
    """

    client: ArtifactEntry | None
    served: ArtifactEntry | None
    latency: DeviceLatency | None
    passes: bool | None
    served_passes: bool | None
    devices: tuple[DeviceLatency, ...]


def judge_worth(
    bundle: Bundle, question: Question, prices: Prices, times: ServerTimes | None, membership: MembershipRisk | None
) -> Worth:
    """The whole comparison. `times`: a server's that was measured; None: as the bundle tells them. `membership`: likewise.

    Raises InputError where the question cannot be asked of the bundle.
    """
    check_question(question)
    manifest = bundle.manifest
    sides = find_sides(manifest, question.device)
    if sides.served is None:
        raise InputError(f"{bundle.root}: it holds no artifact")
    times = times or figures.times_in_bundle(manifest, sides.served, prices.times.http_ms.usual)
    found = networks.find_networks(question.network)
    wanted = Path(question.network).stem if question.network not in found else question.network
    question = replace(question, network=wanted)
    over = tuple(networks.latency_over(name, found[name], times, question.limit_ms) for name in found)
    download = figures.download_bytes(manifest, sides.client.id) if sides.client else None
    load = _load_of(question, times, download)
    costs = compare_costs(load, prices) if load else None
    cases = {item.name: _case_over(item, question, sides, costs) for item in over}
    return Worth(
        model=Path(manifest.server.path).name,
        question=question,
        decision=decide(cases[wanted]),
        over={name: decide(case) for name, case in cases.items()},
        changes=find_changes(cases, wanted, load, prices, list(found.values()), times),
        client=sides.client.id if sides.client else "",
        served=sides.served.id,
        client_latency=sides.latency,
        devices=sides.devices,
        networks=over,
        curve=tuple(_draw_curve(list(found.values()), times)),
        server_times=times,
        load=load,
        costs=costs,
        prices=prices,
        download_bytes=download,
        accuracy=tuple(
            figures.accuracy_of(manifest, item.id) for item in (sides.client, sides.served) if item is not None
        ),
        exposure={
            "client": Exposure((), model_is_public=True),
            "server": Exposure(tuple(map(_describe_tensor, sides.served.inputs)), model_is_public=False),
        },
        membership=membership or MembershipRisk(sides.client.id if sides.client else "", reason="not looked at"),
        updates=tuple(_list_updates(prices)),
    )


def check_question(question: Question) -> None:
    """Raises InputError for numbers that can be none."""
    for name, value, most in (
        ("limit_ms", question.limit_ms, 1e7),
        ("users", question.users, 1e11),
        ("inferences_a_day", question.inferences_a_day, 1e9),
    ):
        if not 0 < value <= most:
            raise InputError(f"{name} = {value:g} must be above 0 and at most {most:,.0f}")


def find_sides(manifest: Manifest, device: str = "") -> Sides:
    """Which artifact a client would run, and a server; the client's time on `device`, or on the slowest of the bundle's.

    On each device it is the fastest that passes the gate. Raises InputError for a device that the bundle knows no times of.
    """
    rows = figures.device_latencies(manifest)
    if device and device not in {row.device for row in rows}:
        raise unknown_name_error("device", device, dict.fromkeys(row.device for row in rows), "the bundle")
    passing = [row for row in rows if figures.passes_gate(manifest, row.artifact)]
    best: dict[str, DeviceLatency] = {}
    for row in passing:
        if row.p99_ms is not None and (not device or row.device == device):
            known = best.get(row.device)
            if known is None or known.p99_ms is None or row.p99_ms < known.p99_ms:
                best[row.device] = row
    latency = max(best.values(), key=lambda row: row.p99_ms or 0.0, default=None)
    if latency is None:  # what is to be measured, then
        recommended = [item.artifact for item in manifest.gate.recommended] if manifest.gate else []
        wanted = sorted(rows, key=lambda row: (row not in passing, row.artifact not in recommended))
        latency = next((row for row in wanted if not device or row.device == device), None)
    client = manifest.artifact(latency.artifact) if latency else figures.first_for_clients(manifest)
    served = figures.served_artifact(manifest)
    passes = bool(passing) if manifest.gate else None
    served_passes = served is not None and figures.passes_gate(manifest, served.id) if manifest.gate else None
    return Sides(client, served, latency, passes, served_passes, rows)


def _load_of(question: Question, times: ServerTimes, download: int | None) -> Load | None:
    if times.vcpu_rate is None or times.vcpu_rate <= 0 or download is None:
        return None
    return Load(
        question.users,
        question.inferences_a_day,
        float(times.bytes_up),
        float(times.bytes_down),
        float(download),
        times.vcpu_rate,
    )


def _case_over(over: NetworkLatency, question: Question, sides: Sides, costs: Costs | None) -> Case:
    latency = sides.latency
    return Case(
        limit_ms=question.limit_ms,
        network=over.name,
        client_p99_ms=latency.p99_ms if latency else None,
        server_p99_ms=over.p99_ms,
        network_p99_ms=over.network_p99_ms,
        client_passes=sides.passes,
        server_passes=sides.served_passes,
        offline=question.offline,
        costs=costs,
        client_reason=latency.reason if latency else "the bundle has no times of an artifact for apps or pages",
        server_reason=over.reason,
    )


def _draw_curve(path: Sequence[Network], times: ServerTimes) -> Iterator[CurvePoint]:
    """The server's answers from the best network to the worst; nothing without a server's times."""
    known = sorted((item for item in path if not item.is_none), key=lambda item: item.rtt_ms)
    if not times.samples_ms or len(known) < 2:
        return
    for number in range(CURVE_POINTS + 1):
        network = networks.network_between(known, number / CURVE_POINTS * (len(known) - 1))
        yield CurvePoint(number / CURVE_POINTS, network.text, *networks.rough_percentiles(network, times))


def _describe_tensor(spec: TensorSpec) -> str:
    shape = "x".join(str(size or "?") for size in spec.shape[1:]) or "one value"
    return f"{spec.name} ({shape}, {spec.dtype})"


def _list_updates(prices: Prices) -> Iterator[Update]:
    """How long a new version takes: by an app store and a server as assumed, by a channel as its simulated clients poll."""
    from edgeship.deploy.fleet.model import Fleet, Rollout
    from edgeship.deploy.fleet.simulate import simulate_fleet
    from edgeship.deploy.fleet.traffic import NEW, assumed_traffic

    days, minutes = prices.times.app_store_days, prices.times.server_minutes
    yield Update("app store", _scale(days, HOURS_A_DAY), "half of the users", Kind.ESTIMATED)
    fleet = simulate_fleet(Fleet(FLEET), Rollout(((0.0, 100.0),), None), assumed_traffic(), NEW)
    hours = next((item.hours for item in fleet.adopted if item.share == 0.5), None)
    if hours is not None:
        yield Update("channel", Range(hours, hours, hours), "half of the users", Kind.SIMULATED)
    yield Update("server", _scale(minutes, 1 / 60), "all users", Kind.ESTIMATED)


def _scale(value: Range, by: float) -> Range:
    return Range(value.low * by, value.usual * by, value.high * by)

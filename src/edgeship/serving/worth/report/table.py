"""The comparison as texts: rows of a table, and lists of sentences, for terminal and page alike."""

from __future__ import annotations

from edgeship.bundle.metric import number_text, number_texts
from edgeship.light_dataclass import dataclass
from edgeship.serving.worth.costs import Costs, FlipPoint, Side
from edgeship.serving.worth.networks import NetworkLatency
from edgeship.serving.worth.prices import Range
from edgeship.serving.worth.result import Update, Worth
from edgeship.untrusted import printable_value

NOTHING = "nothing"


@dataclass(frozen=True)
class SideRow:
    """A line of the table of both sides."""

    what: str
    client: str
    server: str


@dataclass(frozen=True)
class TextTable:
    """A table as texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class WorthText:
    """The whole comparison as texts, in the order in which it is read."""

    headline: str
    reasons: tuple[str, ...]
    sides: tuple[SideRow, ...]
    tables: tuple[TextTable, ...]
    changes: tuple[str, ...]
    notes: tuple[str, ...]


NETWORK_COLUMNS = ("network", "kind", "p50 ms", "p99 ms", "new connection p50", "p99", "too late", "decision")
DEVICE_COLUMNS = ("artifact", "runtime", "device", "kind", "p50 ms", "p99 ms")


def describe_worth(worth: Worth) -> WorthText:
    """All texts; what others named in them steers no terminal."""
    worth = printable_value(worth)
    return WorthText(
        headline(worth),
        worth.decision.reasons,
        tuple(side_rows(worth)),
        (
            TextTable("The server over networks", NETWORK_COLUMNS, tuple(network_rows(worth))),
            TextTable("The client on devices", DEVICE_COLUMNS, tuple(device_rows(worth))),
        ),
        tuple(change.text for change in worth.changes),
        tuple(notes(worth)),
    )


def side_rows(worth: Worth) -> list[SideRow]:
    """Both sides, line by line; each figure with its kind."""
    over = _decided_over(worth)
    client, question = worth.client_latency, worth.question
    place = f"{worth.client} on {client.device}" if client else worth.client or "no artifact"
    here = "-"
    if client:
        here = (
            f"{_pair(client.p50_ms, client.p99_ms)} ms, {client.kind}" if client.p99_ms is not None else client.reason
        )
    there = f"{_pair(over.p50_ms, over.p99_ms)} ms, {over.kind}"
    if over.p99_ms is None:
        alone = number_text(float(f"{over.network_p99_ms:.3g}"))
        there = f"the network alone takes {alone} ms (p99), {over.kind or 'simulated'}; {over.reason}"
    times, load = worth.server_times, worth.load
    rows = [
        SideRow("what runs", place, f"{worth.served} over {question.network}"),
        SideRow("latency p50, p99", here, there),
        SideRow("without a network", "works", "does not"),
        SideRow(
            "bytes an inference",
            "0",
            f"{times.bytes_up:,} up, {times.bytes_down:,} down, {times.bytes_kind}",
        ),
        SideRow(
            "bytes to download",
            "-" if worth.download_bytes is None else f"{worth.download_bytes:,} a release (brotli), measured",
            "0",
        ),
        _cost_row(worth),
        SideRow("accuracy", _accuracy_text(worth, worth.client), _accuracy_text(worth, worth.served)),
        SideRow("leaves the device", NOTHING, ", ".join(worth.exposure["server"].leaves)),
        SideRow("training data", membership_text(worth), "the file stays on the server"),
        SideRow(
            "a new version",
            "; ".join(_update_text(item) for item in worth.updates if item.way != "server"),
            "; ".join(_update_text(item) for item in worth.updates if item.way == "server"),
        ),
    ]
    if worth.costs:
        rows.insert(
            6, SideRow("is the cheaper one", *(_break_even(worth.costs, side) for side in (Side.CLIENT, Side.SERVER)))
        )
    if load:
        rows.insert(6, SideRow("rate", "-", f"{number_text(load.vcpu_rate)} a second: {times.rate_source}"))
    return rows


def _decided_over(worth: Worth) -> NetworkLatency:
    return next(item for item in worth.networks if item.name == worth.question.network)


def _pair(p50: float | None, p99: float | None) -> str:
    if p50 is None or p99 is None:
        return "-"
    return ", ".join(number_text(float(f"{value:.3g}")) for value in (p50, p99))


def _cost_row(worth: Worth) -> SideRow:
    question = worth.question
    what = (
        f"{worth.prices.currency} a month, {question.users:,.0f} users x {count_text(question.inferences_a_day)} a day"
    )
    if worth.costs is None:
        unsized = "the artifact's download was not measured" if worth.download_bytes is None else ""
        why = worth.server_times.reason or unsized or "the server's rate is not known"
        return SideRow(what, "-", f"not known: {why}")
    texts = [f"{_range_text(cost)}, estimated" for cost in (worth.costs.client, worth.costs.server)]
    return SideRow(what, *texts)


def _break_even(costs: Costs, side: Side) -> str:
    """From how many users and inferences a day on, or up to how many, a side is the cheaper one."""
    parts = []
    for words, flips in (("users", costs.users), ("inferences a day", costs.inferences)):
        for flip in flips:
            way = "above" if flip.cheaper_above is side else "below"
            parts.append(f"{way} {flip_text(flip)} {words}")
    if parts:
        return "; ".join(parts)
    usual = Side.CLIENT if costs.difference.usual > 0 else Side.SERVER
    return f"{'whatever' if usual is side else 'never, whatever'} the number of users"


def flip_text(flip: FlipPoint) -> str:
    """A flip point at usual prices, and its range over all prices."""
    low, usual, high = (
        "any number of" if value is None else f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"
        for value in (flip.low, flip.value, flip.high)
    )
    return usual if low == usual == high else f"{usual} ({low} to {high.removesuffix(' of')})"


def count_text(value: float) -> str:
    """A number that somebody gave, as people write it."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _range_text(value: Range) -> str:
    low, usual, high = (f"{float(f'{item:.3g}'):,.0f}" for item in (value.low, value.usual, value.high))
    return usual if low == high else f"{usual} ({low} to {high})"


def _accuracy_text(worth: Worth, artifact: str) -> str:
    item = next((item for item in worth.accuracy if item.artifact == artifact), None)
    if item is None or item.value is None or item.server is None:
        return f"not known: {item.reason}" if item else "-"
    value, server = number_texts(item.value, item.server)
    drop = ""
    if item.drop is not None and item.low is not None and item.high is not None:
        texts = number_texts(item.drop, item.low, item.high, digits=3, sign="+")
        drop = f", drop {texts[0]} ({texts[1]} to {texts[2]})"
    return f"{item.metric} {value} of the server model's {server}{drop}, {item.kind}, n = {item.n:,}"


def membership_text(worth: Worth) -> str:
    """What the downloadable file gives away, as far as the attack shows."""
    risk = worth.membership
    if risk.auc is None or risk.low is None or risk.high is None:
        return f"everybody has the file; attack not tried: {risk.reason}"
    sure = (
        "tells training data from other data"
        if risk.low > 0.5
        else "does not surely tell training data from other data"
    )
    return (
        f"everybody has the file; membership attack by loss {sure}: AUC {risk.auc:.3f} ({risk.low:.3f} to {risk.high:.3f}), "
        f"measured, {risk.members:,} samples of {risk.data} and {risk.others:,} of the evaluation data"
    )


def _update_text(item: Update) -> str:
    low, usual, high = (_hours_text(value) for value in (item.hours.low, item.hours.usual, item.hours.high))
    times = usual if low == high else f"{usual} ({low} to {high})"
    return f"{item.way}: {times} to {item.of}, {item.kind}"


def _hours_text(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.3g} days"
    return f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.3g} min"


def network_rows(worth: Worth) -> list[tuple[str, ...]]:
    """The server over each network, and what is decided there."""
    rows: list[tuple[str, ...]] = []
    for item in worth.networks:
        figures = [item.p50_ms, item.p99_ms, item.new_p50_ms, item.new_p99_ms]
        texts = ["-" if value is None else number_text(float(f"{value:.3g}")) for value in figures]
        if item.p99_ms is None:
            texts[1] = f"> {number_text(float(f'{item.network_p99_ms:.3g}'))}"
        late = "-" if item.late is None else f"{100 * item.late:.3g} %"
        decision = worth.over[item.name].choice
        rows.append((item.name, str(item.kind or "-"), *texts, late, str(decision)))
    return rows


def device_rows(worth: Worth) -> list[tuple[str, ...]]:
    """The client's artifacts on each device of the bundle."""
    rows: list[tuple[str, ...]] = []
    for item in worth.devices:
        times = ["-" if value is None else number_text(float(f"{value:.3g}")) for value in (item.p50_ms, item.p99_ms)]
        rows.append((item.artifact, item.runtime, item.device, str(item.kind or "-"), *times))
    return rows


def headline(worth: Worth) -> str:
    """The decision in a sentence, with what it is decided for."""
    question = worth.question
    load = f"{question.users:,.0f} users with {count_text(question.inferences_a_day)} inferences a day"
    offline = ", without a network too" if question.offline else ""
    limit = f"p99 within {question.limit_ms:g} ms"
    return f"{worth.decision.choice}: {worth.model}, for {load} over {question.network}, {limit}{offline}"


def notes(worth: Worth) -> list[str]:
    """What the figures rest on."""
    times, prices = worth.server_times, worth.prices
    server = (
        f"Server's own times: {times.source}, {times.kind}." if times.source else f"No server's times: {times.reason}."
    )
    found = [
        server,
        "Over networks: the server's times with a model of the network, simulated: "
        + "; ".join(f"{item.name}: {item.network.text}" for item in worth.networks if not item.network.is_none)
        + ".",
        f"Prices and update times: {prices.source} of {prices.date}, not measured.",
    ]
    missing = [item for item in worth.devices if item.p99_ms is None]
    if missing:
        found.append(f"Without times: {missing[0].artifact} on {missing[0].device}: {missing[0].reason}.")
    found.append("Energy is left out: nothing here measures it.")
    return found

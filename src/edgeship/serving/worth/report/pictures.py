"""The two pictures: latency over network quality, and cost over users; inline SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from matplotlib import rc_context, rcdefaults
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from edgeship.benchmarks.report.plots import INK, SERIES, STYLE, WIDTH, svg_text
from edgeship.serving.worth.costs import compare_costs
from edgeship.serving.worth.prices import Range
from edgeship.serving.worth.result import Worth

HEIGHT = 3.3
POINTS = 60
DECADES = 3  # of users on either side of those asked for


def draw_pictures(worth: Worth) -> list[str]:
    """The pictures that there are figures for, as SVG; always the same for the same result."""
    with rc_context():
        rcdefaults()  # the user's own settings are not the page's
        drawn = [_draw_latency(worth), _draw_costs(worth)]
    return [picture for picture in drawn if picture]


@contextmanager
def _new_axes() -> Iterator[tuple[Figure, Axes]]:
    with rc_context(STYLE):
        figure = Figure((WIDTH, HEIGHT), layout="constrained")
        yield figure, figure.subplots()


def _draw_latency(worth: Worth) -> str | None:
    """p50 and p99 of the server from the best network to the worst, between the limit and the client's p99."""
    if not worth.curve:
        return None
    names = [
        item.name for item in sorted(worth.networks, key=lambda item: item.network.rtt_ms) if not item.network.is_none
    ]
    places = [point.place * (len(names) - 1) for point in worth.curve]
    with _new_axes() as (figure, axes):
        axes.plot(places, [point.p99_ms for point in worth.curve], color=SERIES[0], label="server, p99 (simulated)")
        axes.plot(
            places, [point.p50_ms for point in worth.curve], color=SERIES[0], alpha=0.5, label="server, p50 (simulated)"
        )
        client = worth.client_latency
        if client and client.p99_ms is not None:
            label = f"client on {client.device}, p99 ({client.kind})"
            axes.axhline(client.p99_ms, color=SERIES[2], label=label)
        axes.axhline(worth.question.limit_ms, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="limit")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(range(len(names)), [name.removeprefix("server-") for name in names])
        axes.set(xlabel="network, from good to bad", ylabel="ms", title="latency over network quality")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        return svg_text(figure, "latency of client and server over network quality")


def _draw_costs(worth: Worth) -> str | None:
    """A month of both sides over users, with the range that prices leave."""
    load, question = worth.load, worth.question
    if load is None or worth.costs is None:
        return None
    flips = [value for flip in worth.costs.users for value in (flip.low, flip.value, flip.high) if value]
    low = min([question.users / 10**DECADES, *(value / 3 for value in flips)])
    high = max([question.users * 10**DECADES, *(value * 3 for value in flips)])
    users = np.geomspace(max(low, 1.0), high, POINTS)
    months = [compare_costs(replace(load, users=float(count)), worth.prices) for count in users]
    with _new_axes() as (figure, axes):
        for name, colour, ranges in (
            ("client", SERIES[2], [item.client for item in months]),
            ("server", SERIES[0], [item.server for item in months]),
        ):
            _draw_range(axes, users.tolist(), ranges, colour, f"{name} (estimated)")
        axes.axvline(question.users, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="asked for")
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
            axis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="users", ylabel=f"{worth.prices.currency} a month", title="cost over users")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        return svg_text(figure, "cost of client and server over users")


def _draw_range(axes: Axes, users: list[float], ranges: list[Range], colour: str, label: str) -> None:
    axes.fill_between(
        users, [item.low for item in ranges], [item.high for item in ranges], color=colour, alpha=0.18, linewidth=0
    )
    axes.plot(users, [item.usual for item in ranges], color=colour, label=label)


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"

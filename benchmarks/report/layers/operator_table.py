"""What `edgeship debug --profile` measured, in the terminal: the operators that take longest first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgeship.benchmarks.report.table_rows import milliseconds_text
from edgeship.bundle.figures.measurement import OperatorTime, OperatorTimes
from edgeship.formats.layer_names import scope
from edgeship.terminal import WIDTH, Column, make_console, make_table, wrap_text
from edgeship.untrusted import printable_value

SHOWN = 40
LEGEND = (
    "time: of one sample on one thread; range: of the runs that count, and what the clock cuts off; share: of the time of all "
    "operators, - where it is below the clock; kernel: what the runtime calls it; layer -: a step of the runtime's own, or of no "
    "layer that is known. Looking costs some time itself"
)
BELOW = "below the clock"
CAREFUL = 0.1  # of the time that the clock may have cut off


def slowest_first(operators: Sequence[OperatorTime]) -> list[OperatorTime]:
    """By time, or by share where times are withheld; what is below the clock comes last."""
    return sorted(operators, key=lambda item: (-(item.share or 0), -(item.ms or 0)))


def layer_text(operator: OperatorTime) -> str:
    """Its Keras layers, or its scope in the graph; a dash where neither is known."""
    return " + ".join(operator.layers) or (scope(operator.name) if operator.name else "") or "-"


def print_times(times: OperatorTimes) -> None:
    """Print the table and what it says."""
    out = make_console()
    out.print(render(times, out.width))


def render(times: OperatorTimes, width: int = WIDTH) -> RenderableType:
    """The table, its legend, and the layers that take most together."""
    times = printable_value(times)
    heads = [Column("layer", folds=True), Column("operator", folds=True), Column("kernel", folds=True)]
    heads += [Column(name, right=True) for name in (("share",) if times.busy else ("time", "range", "share"))]
    operators = slowest_first(times.operators)
    body = [_cells(times, item) for item in operators[:SHOWN]]
    parts: list[RenderableType] = [make_table(heads, body, width), Text(wrap_text(LEGEND, width), style="dim")]
    if len(operators) > SHOWN:
        more = f"and {len(operators) - SHOWN} more operators that take less: --json has all"
        parts.append(Text(more, style="dim"))
    return Group(*parts, *(Text(wrap_text(line, width)) for line in summary_lines(times)))


def _cells(times: OperatorTimes, item: OperatorTime) -> list[str]:
    kernel = "" if item.kernel == item.kind else item.kernel
    names = [layer_text(item), item.kind or "-", kernel]
    share = "-" if item.share is None else f"{item.share:.1%}"
    return [*names, share] if times.busy else [*names, *_time_cells(item), share]


def _time_cells(item: OperatorTime) -> list[str]:
    if item.ms is None:
        return [f"< {milliseconds_text(item.high_ms)}" if item.high_ms else "-", BELOW]
    if item.low_ms is None or item.high_ms is None:
        return [milliseconds_text(item.ms), "-"]
    return [milliseconds_text(item.ms), f"{milliseconds_text(item.low_ms)} to {milliseconds_text(item.high_ms)}"]


def summary_lines(times: OperatorTimes) -> list[str]:
    """How long all of them take, and the layers that take most."""
    sums: dict[str, float] = {}
    for item in times.operators:
        if item.share is not None:
            sums[layer_text(item)] = sums.get(layer_text(item), 0.0) + item.share
    most = sorted((value, name) for name, value in sums.items() if name != "-")[::-1][:3]
    whole = "shares only" if times.busy else _whole_text(times)
    runs = f"mean of {times.runs} inferences without the lowest and highest tenth"
    if times.samples > 1:
        runs += f", of {times.samples:,} copies of a sample at once, as one alone is below the clock"
    lines = [f"{times.artifact} on {times.runtime} {times.version}: {whole}, {runs}"]
    if not sums:
        lines.append("profilers tell whole microseconds, in which no share can be seen here")
    elif times.clock_error > CAREFUL:
        lines.append(f"the clock may have cut off {times.clock_error:.0%} of the time, so that shares are rough")
    if most:
        lines.append(f"most of it: {'; '.join(f'{name} ({value:.1%})' for value, name in most)}")
    return [*lines, f"no times, as the machine was too busy: {times.busy}"] if times.busy else lines


def _whole_text(times: OperatorTimes) -> str:
    return (
        f"all operators {BELOW}" if times.total_ms is None else f"{milliseconds_text(times.total_ms)} in all operators"
    )

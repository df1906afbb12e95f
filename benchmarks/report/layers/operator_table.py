"""What `edgeship debug --profile` measured, in the terminal: the operators that take longest first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgeship.benchmarks.report.table_rows import milliseconds_text
from edgeship.bundle.measurement import OperatorTime, OperatorTimes
from edgeship.formats.layer_names import scope
from edgeship.terminal import WIDTH, Column, make_console, make_table, wrap_text
from edgeship.untrusted import printable_value

SHOWN = 40
LEGEND = (
    "time: of one inference on one sample and one thread; kernel: what the runtime calls it; -: a step of the runtime's own, or "
    "of no layer that is known. Profilers tell whole microseconds, and looking costs some time itself"
)


def slowest_first(operators: Sequence[OperatorTime]) -> list[OperatorTime]:
    """By time."""
    return sorted(operators, key=lambda item: -item.ms)


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
    heads += [Column("time", right=True)] * (not times.busy) + [Column("share", right=True)]
    operators = slowest_first(times.operators)
    body = [_cells(times, item) for item in operators[:SHOWN]]
    parts: list[RenderableType] = [make_table(heads, body, width), Text(wrap_text(LEGEND, width), style="dim")]
    if len(operators) > SHOWN:
        more = f"and {len(operators) - SHOWN} more operators that take less: --json has all"
        parts.append(Text(more, style="dim"))
    return Group(*parts, *(Text(wrap_text(line, width)) for line in summary_lines(times)))


def _cells(times: OperatorTimes, item: OperatorTime) -> list[str]:
    kernel = "" if item.kernel == item.kind else item.kernel
    time = [] if times.busy else [milliseconds_text(item.ms)]
    return [layer_text(item), item.kind or "-", kernel, *time, _share_text(times, item.ms)]


def _share_text(times: OperatorTimes, milliseconds: float) -> str:
    return f"{milliseconds / times.total_ms:.1%}" if times.total_ms else "-"


def summary_lines(times: OperatorTimes) -> list[str]:
    """How long all of them take, and the layers that take most."""
    sums: dict[str, float] = {}
    for item in times.operators:
        sums[layer_text(item)] = sums.get(layer_text(item), 0.0) + item.ms
    most = sorted((value, name) for name, value in sums.items() if name != "-")[::-1][:3]
    whole = "shares only" if times.busy else f"{milliseconds_text(times.total_ms)} in all operators"
    runs = f"mean of {times.runs} inferences without the lowest and highest tenth"
    lines = [f"{times.artifact} on {times.runtime} {times.version}: {whole}, {runs}"]
    if not times.total_ms:
        lines.append("every operator takes less than a microsecond, which is the least that the profiler tells")
    elif most:
        lines.append(f"most of it: {'; '.join(f'{name} ({_share_text(times, value)})' for value, name in most)}")
    return [*lines, f"no times, as the machine was too busy: {times.busy}"] if times.busy else lines

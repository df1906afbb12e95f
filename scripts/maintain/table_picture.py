"""Draw what `edgeship ship` printed for a bundle: `python -m scripts.maintain.table_picture BUNDLE [docs/results/table.svg]`."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from edgeship.benchmarks.report.terminal_table import render_results
from edgeship.bundle.bundle import open_bundle
from edgeship.terminal import WIDTH
from scripts import RESULTS


def main() -> None:
    """Render the results of the bundle into an SVG."""
    bundle = open_bundle(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else RESULTS / "table.svg"
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(render_results(bundle.manifest, WIDTH))
        console.save_svg(str(out), title="edgeship ship server.keras --out bundle")


if __name__ == "__main__":
    main()

"""`edgeship monitor collect`: the server that takes reports."""

from __future__ import annotations

import os
import signal
from typing import Any

import click

from edgeship import api
from edgeship.cli.monitoring.inbox_options import PATH, STORE, bundle_options
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@STORE
@bundle_options
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets others in the network in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0: any free port.")
@click.option(
    "--origin", "origins", multiple=True, metavar="ORIGIN",
    help="Pages that may send, as https://shop.example; may be named again. Apps name none.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(min=0.01), default=20.0, show_default=True,
    help="Reports a second that one address may send in the long run; ten times as many at once.",
)  # fmt: skip
@click.option(
    "--samples", type=click.IntRange(0, 1000), default=0, metavar="N",
    help="Inputs for audits that a device may send of a week, half of them random (default: none are taken).",
)  # fmt: skip
@click.option("--samples-to", type=PATH, metavar="DIR", help="Where they lie (default: samples, beside the inbox).")
@click.option(
    "--samples-mb", type=click.IntRange(min=1), default=1024, show_default=True, help="Megabytes of them at most."
)
@JSON
def collect(json_file: str | None, **options: Any) -> None:
    """Run the server that clients send their reports to: POST /reports, and GET /health and /metrics.

    A report is answered once it is on the disk; a second copy is told so and not counted. Versions that are published in the
    channel or registry meanwhile are known without a restart. Ctrl-C or SIGTERM ends it, once what was begun is answered.
    With --samples also POST /samples, of users who agreed (docs/monitoring/audit.md).

    \b
    Examples:
      edgeship monitor collect --store inbox --bundle bundle --port 8090
      edgeship monitor collect --store inbox --channel site/channel --host 0.0.0.0 --origin https://shop.example
      edgeship monitor collect --store inbox --bundle bundle --samples 10
    """
    with api.open_collector(**options) as collector:
        for name in ("SIGTERM", "SIGINT"):
            signal.signal(getattr(signal, name), lambda *_: collector.stop())
        write_json({"url": collector.url, "pid": os.getpid()}, json_file)
        if json_file != "-":
            click.echo(f"collecting: {collector.url}/reports  (Ctrl-C ends it)")
        collector.serve()

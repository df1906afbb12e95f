"""`edgeship monitor`: what clients report of the models that are out there."""

from __future__ import annotations

import click

from edgeship.cli.command_group import CommandGroup

# In the order of the list; a command is the file of its name beside this one.
SUMMARIES = {
    "collect": "Run the server that clients send their reports to.",
    "ingest": "Bring reports from files into the inbox.",
    "drift": "Compare a week of reports with the field's first weeks.",
    "report": "Show versions, use, accuracy, latency and errors on one page.",
    "audit": "Compare the model with labels of a random sample.",
    "export": "Write the inbox's reports for DuckDB, Parquet or OpenTelemetry.",
}


@click.group(cls=CommandGroup, files={name: (__package__, summary) for name, summary in SUMMARIES.items()})
def monitor() -> None:
    """Watch a model that has shipped, by the counts that its clients report.

    \b
    Examples:
      edgeship monitor collect --store inbox --bundle bundle --port 8090
      edgeship monitor ingest reports/ --store inbox --bundle bundle
      edgeship monitor drift --store inbox --page drift.html
    """

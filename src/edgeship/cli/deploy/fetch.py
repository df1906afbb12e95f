"""`edgeship deploy fetch`: what a device does, from here."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@click.option("--url", required=True, help="The channel's folder on a web server.")
@click.option("--name", required=True, metavar="NAME/CHANNEL", help="Which channel, as garments/stable.")
@click.option("--artifact", required=True, metavar="ID", help="What this device takes of a version, as tflite/int8.")
@click.option("--state", type=click.Path(path_type=Path), required=True, help="A folder of the client's own.")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    required=True,
    help="The channel's first root.json: trust begins with it.",
)
@click.option("--device", "device_id", help="The device's id (default: a random one, kept in the state).")
@JSON
def fetch(
    url: str, name: str, artifact: str, state: Path, root: Path, device_id: str | None, json_file: str | None
) -> None:
    """Do what a device does: fetch the version that a channel has for it, verify it, replay its goldens, and switch to it.

    Exit code 0 when nothing was new or the new version runs, 1 when something was refused, failed or not reached, 2 when
    it cannot be done here (no such channel or artifact, no room, no runtime): the version that ran before still does.

    \b
    Example:
      edgeship deploy fetch --url https://models.example.com/channel --name garments/stable \\
        --artifact tflite/int8 --state device --root root.json
    """
    from edgeship.untrusted import printable

    fetched = api.fetch_model(url, name=name, artifact=artifact, state=state, root=root, device_id=device_id)
    update = fetched.update
    if json_file != "-":
        runs = f"version {update.running} runs" if update.running else "no version runs"
        bucket = f", bucket {update.bucket}" if update.bucket is not None else ""
        click.echo(f"{update.status}: {runs} ({printable(name)}{bucket})")
        if update.error:
            click.echo(f"why: {printable(update.error)}")
        if update.status == "updated":
            patched = f", {update.patched_files} as differences" if update.patched_files else ""
            click.echo(f"downloaded: {update.received_bytes:,} bytes{patched}; goldens replayed: {update.goldens}")
        if fetched.model:
            click.echo(f"model: {printable(fetched.model)}")
    write_json({"channel": name, "artifact": artifact, **vars(update), "model": fetched.model}, json_file)
    if update.status not in ("current", "updated"):
        raise SystemExit(2 if update.status == "error" else 1)

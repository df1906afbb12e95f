"""`edgeship demo BUNDLE`: the web page."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option(
    "--data", metavar="DATA", help="Samples to choose from (default: the bundle's evaluation data, if still there)."
)
@click.option(
    "--channel",
    type=click.Path(path_type=Path),
    help="In place of BUNDLE: an update channel, whose versions the page verifies, tests and switches to.",
)
@click.option("--name", metavar="NAME/CHANNEL", help="Which of the channels in it, as garments/stable.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the page into this folder, for any static host, and do not serve it.",
)
@click.option(
    "--reports",
    metavar="URL",
    help="Let the page ask whether it may count what the model answers and send the counts there, once a week.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other devices in the network in.")
def demo(
    bundle: Path | None,
    data: str | None,
    channel: Path | None,
    name: str | None,
    out: Path | None,
    reports: str | None,
    port: int,
    host: str,
) -> None:
    """Serve a page that runs BUNDLE's TF.js model in the browser, tests it there, and works offline after the first visit.

    \b
    Examples:
      edgeship demo bundle
      edgeship demo bundle --out public        (a folder for any static host)
      edgeship demo --channel channel --name garments/stable
      edgeship demo bundle --out public --reports https://models.example.com/reports
    """
    from edgeship.untrusted import printable

    _check_choice(bundle, data, channel, name)
    if out:
        if channel:
            folder = api.write_channel_demo(channel, out, name=name or "", reports=reports)
        else:
            folder = api.write_demo(bundle or "", out, data=data, reports=reports, progress=True)
        place = printable(folder / "index.html")
        click.echo(f"page: {place} (a folder for any static host; browsers do not open it as a file)")
        return
    if channel:
        serving = api.serve_channel_demo(channel, name=name or "", host=host, port=port, reports=reports)
    else:
        serving = api.serve_demo(bundle or "", data=data, host=host, port=port, reports=reports, progress=True)
    with serving as server:
        click.echo(f"demo: {server.url}  (Ctrl-C ends it)")
        if host not in ("127.0.0.1", "localhost"):
            least = "the camera, offline use and updates" if channel else "the camera and offline use"
            click.echo(f"other devices: browsers give {least} to https pages only", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)


def _check_choice(bundle: Path | None, data: str | None, channel: Path | None, name: str | None) -> None:
    """Raises UsageError unless it is either a bundle or a channel with its name."""
    if (bundle is None) == (channel is None):
        raise click.UsageError("Name either a BUNDLE or a --channel DIR.")
    if (channel is None) != (name is None):
        raise click.UsageError("--channel DIR and --name NAME/CHANNEL belong together, as --name garments/stable.")
    if channel and data:
        raise click.UsageError("--data is for a BUNDLE; a channel's page shows the goldens.")

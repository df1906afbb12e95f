"""`edgeship demo BUNDLE`: the web page."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--data", metavar="DATA", help="Samples to choose from (default: the bundle's evaluation data, if still there)."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the page into this folder, for any static host, and do not serve it.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other devices in the network in.")
def demo(bundle: Path, data: str | None, out: Path | None, port: int, host: str) -> None:
    """Serve a page that runs BUNDLE's TF.js model in the browser, tests it there, and works offline after the first visit.

    \b
    Examples:
      edgeship demo bundle
      edgeship demo bundle --out public        (a folder for any static host)
    """
    from edgeship.untrusted import printable

    if out:
        place = printable(api.write_demo(bundle, out, data=data, progress=True) / "index.html")
        click.echo(f"page: {place} (a folder for any static host; browsers do not open it as a file)")
        return
    with api.serve_demo(bundle, data=data, host=host, port=port, progress=True) as server:
        click.echo(f"demo: {server.url}  (Ctrl-C ends it)")
        if host not in ("127.0.0.1", "localhost"):
            click.echo("other devices: browsers give the camera and offline use to https pages only", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)

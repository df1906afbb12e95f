"""`edgeship demo BUNDLE`: the web page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Open a bundle's TF.js model in the browser.")
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
    import os
    import tempfile

    from edgeship.bundle.bundle import open_bundle
    from edgeship.demo import site as demos
    from edgeship.demo.web_server import Server
    from edgeship.pipeline.data_checks import recorded
    from edgeship.settings.config import Config
    from edgeship.settings.permissions import check_place
    from edgeship.untrusted import printable

    opened = open_bundle(bundle)
    if data is None:
        source = Config.restore(opened.manifest.config).data.evaluation
        if source and os.path.exists(source):
            check_place(source, "the bundle's evaluation data")
            if recorded(opened.manifest, "evaluation", source):
                click.echo(f"samples: {printable(source)}, as the bundle says; --data chooses others", err=True)
                data = source
            else:
                told = "is not what the bundle was made with, by its digest; --data takes samples from it"
                click.echo(f"no samples: {printable(source)} {told}", err=True)
    built = demos.page()
    if out:
        demos.write_site(opened, out, built, data)
        click.echo(
            f"page: {printable(out / 'index.html')} (a folder for any static host; browsers do not open it as a file)"
        )
        return
    with tempfile.TemporaryDirectory(prefix="edgeship-demo-") as folder:
        site = Path(folder) / "site"
        demos.write_site(opened, site, built, data)
        server = Server(site, host, port)
        click.echo(f"demo: {server.url}  (Ctrl-C ends it)")
        if host not in ("127.0.0.1", "localhost"):
            click.echo("other devices: browsers give the camera and offline use to https pages only", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)
        finally:
            server.server_close()

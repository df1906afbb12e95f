"""`edgeship trust FILE`: let the edgeship.toml beside a model allow code to run."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--list", "lists", is_flag=True, help="List the trusted files.")
@click.option("--remove", is_flag=True, help="Trust FILE no longer.")
def trust(file: Path | None, lists: bool, remove: bool) -> None:
    """Show what FILE, an edgeship.toml, lets run, and trust it with this content from now on.

    An edgeship.toml that lies beside a model is used without being named. It may have come with the model, so what lets
    code run in it (custom_objects, allow_unsafe, data as package.module:attribute, a device profile of its own), and data or
    labels outside its folder, count only once it is trusted, here or by --trust, and again when it was changed. One that
    --config names, or that `edgeship init` wrote with these very options, needs nothing.

    \b
    Example: edgeship trust models/edgeship.toml
    """
    from edgeship.untrusted import printable

    if lists:
        for name, digest in sorted(api.list_trusted_configs().items()):
            click.echo(f"{digest[:12]}  {printable(name)}")
        return
    if file is None:
        raise click.UsageError("which FILE? An edgeship.toml, or --list")
    if remove:
        api.distrust_config(file)
        click.echo(f"{printable(file)} is no longer trusted")
        return
    grants = api.trust_config(file)
    if not grants:
        click.echo(f"{printable(file)} lets no code run and reads nothing outside its folder, so it needs no trust")
        return
    click.echo(f"{printable(file)} is trusted, until it is changed, and with it:")
    for grant in grants:
        click.echo(f"  {grant.whole}")

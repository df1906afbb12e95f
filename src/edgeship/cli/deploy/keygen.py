"""`edgeship deploy keygen`: key pairs."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new folder for the keys.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "ecdsa"]),
    default="ed25519",
    show_default=True,
    help="Kind of key; ecdsa is on P-256, which the key stores of phones know.",
)
@JSON
def keygen(out: Path, kind: str, json_file: str | None) -> None:
    """Make a key pair for signing bundles (bundle), and one for each role of a channel (root, targets, snapshot, timestamp).

    <role>.pem is the private key, which only you can read; <role>.pub is the public key, which others check signatures with.
    With a password in the environment's EDGESHIP_KEY_PASSWORD, private keys are encrypted with it. Keep root.pem and
    targets.pem away from the machine that serves. A key in a device or a cloud service is <role>.uri instead of <role>.pem.

    \b
    Example: edgeship deploy keygen --out keys
    """
    from edgeship.untrusted import printable

    key_ids = api.generate_keys(out, kind=kind)
    if json_file != "-":
        for role, key_id in key_ids.items():
            click.echo(f"{role:<10}{key_id[:16]}  {printable(out / role)}.pem, .pub")
    write_json({"folder": out, "type": kind, "keys": key_ids}, json_file)

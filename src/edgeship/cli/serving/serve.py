"""`edgeship serve`: bundles behind the Open Inference Protocol."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeship import api
from edgeship.cli.options import JSON, split_names
from edgeship.cli.output import write_json

if TYPE_CHECKING:
    from edgeship.api import Server

LOCAL = ("127.0.0.1", "localhost", "::1")


def _server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    port = click.IntRange(0, 65535)
    options = [
        click.option("--artifact", metavar="NAME", help="As onnx/int8, or keras, the server model (default: recommended)."),
        click.option("--store", metavar="URI", help="A registry, as sqlite:///registry.db, of which --versions are served."),
        click.option("--name", help="Which of the registry's models (default: the only one there is)."),
        click.option(
            "--versions", callback=split_names, default="champion", show_default=True,
            help="Comma-separated numbers or aliases; the first answers where no version is asked for.",
        ),
        click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets others in the network in."),
        click.option("--port", type=port, default=8080, show_default=True, help="For REST; 0: any free port."),
        click.option("--grpc-port", type=port, default=8081, show_default=True, help="0: any free port."),
        click.option("--no-grpc", is_flag=True, help="REST alone."),
        click.option("--api-key-file", type=click.Path(path_type=Path), help="Keys, one a line; without one anybody may ask."),
        click.option(
            "--batch", type=click.IntRange(1, 1024), default=16, show_default=True, help="Samples answered at once; 1: none."
        ),
        click.option(
            "--batch-wait-ms", type=click.FloatRange(0, 1000), default=2.0, show_default=True,
            help="How long a request waits for others that are on their way.",
        ),
        click.option(
            "--max-body-mb", type=click.FloatRange(0.001, 1024), default=32, show_default=True, help="The largest request."
        ),
        click.option(
            "--timeout-s", type=click.FloatRange(0.1, 3600), default=30, show_default=True,
            help="For a body to arrive, and for an answer.",
        ),
        click.option(
            "--cache", type=click.IntRange(0, 10_000_000), default=0, show_default=True, metavar="N",
            help="Keep N answers, by the digest of what was asked; 0: none.",
        ),
        click.option("--jobs", type=click.Path(path_type=Path), help="Keep asynchronous jobs in this file (SQLite)."),
        click.option(
            "--callback-host", "callback_hosts", multiple=True, metavar="HOST[:PORT]",
            help="Where the end of a job may be told; may come several times.",
        ),
        click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of each model."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("bundles", nargs=-1, metavar="[[NAME[/VERSION]=]BUNDLE]...")
@_server_options
@JSON
def serve(bundles: Sequence[str], no_grpc: bool, grpc_port: int, json_file: str | None, **options: Any) -> None:
    """Answer for bundles over REST and gRPC, by the Open Inference Protocol v2 (KServe, Triton).

    \b
    Examples:
      edgeship runtimes install server         (once)
      edgeship serve garments=bundle
      edgeship serve garments/1=old garments/2=new --artifact onnx/int8 --api-key-file keys
      edgeship serve --store sqlite:///registry.db --name garments

    SIGHUP, or POST /admin/reload with a key, reads the bundles again. Ctrl-C ends it, once what was asked is answered.
    """
    with api.open_server(bundles, grpc_port=None if no_grpc else grpc_port, progress=True, **options) as server:
        wait = _obey_signals(server)
        write_json(
            {"url": server.url, "grpc": server.grpc_address, "pid": server.pid, "models": server.models}, json_file
        )
        if json_file != "-":
            _show_models(server)
        if not options["api_key_file"] and options["host"] not in LOCAL:
            click.echo("others in the network may ask without a key: --api-key-file", err=True)
        code = wait()
    if code:
        raise click.ClickException(f"the server has ended with exit code {code}; its log is above")


def _show_models(server: Server) -> None:
    from edgeship.untrusted import printable

    remote = f", gRPC at {server.grpc_address}" if server.grpc_address else ""
    click.echo(f"serving: {server.url}{remote}  (Ctrl-C ends it)")
    for model in server.models:
        batch = f"up to {model.batch} samples at once" if model.batch > 1 else f"no batches: {model.batch_reason}"
        click.echo(printable(f"  {model.key}: {model.artifact} on {model.runtime} {model.runtime_version}, {batch}"))


def _obey_signals(server: Server) -> Callable[[], int]:
    """From now on SIGHUP reads again. What is returned waits for Ctrl-C, SIGTERM or the server's own end, and gives its code."""
    wanted = threading.Event()
    codes: list[int] = []

    def watch() -> None:
        codes.append(server.wait())
        wanted.set()

    def reload() -> None:
        try:
            server.reload()
        except api.EdgeshipError as error:
            click.echo(f"reload: {error}", err=True)

    def wait() -> int:
        threading.Thread(target=watch, daemon=True).start()
        wanted.wait()
        return codes[0] if codes else 0

    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: wanted.set())
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reload, daemon=True).start())
    return wait

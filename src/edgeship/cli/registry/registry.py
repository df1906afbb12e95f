"""`edgeship registry`: versions of bundles, what tells them apart, and which of them is out there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

F = TypeVar("F", bound=Callable[..., Any])
STORE = click.option(
    "--store",
    metavar="URI",
    default="sqlite:///registry.db",
    show_default=True,
    help="Where the registry is: sqlite:///FILE, or an MLflow server's address.",
)
NAME = click.option("--name", help="Whose versions (default: the only name there is).")
ANY_NAME = click.option("--name", help="Whose versions (default: those of all names).")
VERSION = click.argument("version", metavar="VERSION")


@click.group()
def registry() -> None:
    """Keep versions of bundles: which data made which model, how they compare, which one is out there.

    A VERSION is a whole number, or an alias: champion, staging.

    \b
    Example:
      edgeship registry add bundle --name garments
      edgeship registry promote 1 --to champion --why "first release"
    """


@registry.command(short_help="Keep a bundle as the next version.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The name under which its versions are kept.")
@STORE
@JSON
def add(bundle: Path, name: str, store: str, json_file: str | None) -> None:
    """Keep BUNDLE as the next version of a name, whatever its verdict, with everything that its manifest knows.

    Its files are stored once by content. The same bundle again makes no second version.

    \b
    Example: edgeship registry add bundle --name garments
    """
    added = api.add_version(bundle, name, store=store)
    version = added.version
    if json_file != "-":
        verdict = version.record.verdict or "not judged"
        how = "added" if added.is_new else "the same bundle is there already"
        number = len(version.record.figures)
        figures = f"{number:,} figure{'' if number == 1 else 's'}"
        click.echo(f"{name} version {version.number}: {how} ({verdict}, {figures})")
    write_json(added, json_file)


@registry.command("list", short_help="List versions.")
@ANY_NAME
@STORE
@JSON
def list_(name: str | None, store: str, json_file: str | None) -> None:
    """List the versions of one name or of all.

    \b
    Example: edgeship registry list --name garments
    """
    _show_rows(api.list_versions(name, store=store), json_file)


@registry.command(short_help="Find versions by their figures.")
@click.argument("query")
@ANY_NAME
@STORE
@JSON
def search(query: str, name: str | None, store: str, json_file: str | None) -> None:
    """List the versions for which QUERY holds: comparisons of figures and texts with and, or, not and parentheses.

    Names are those that `registry show` lists.

    \b
    Examples:
      edgeship registry search "accuracy > 0.9 and device.cortex-a76.instructions < 700000"
      edgeship registry search "verdict = PASS and not (artifact = 'tflite/float32' or size_disk_bytes >= 1e6)"
    """
    _show_rows(api.search_versions(query, name, store=store), json_file)


def _show_rows(rows: tuple[api.Version, ...], json_file: str | None) -> None:
    from edgeship.cli.registry.tables import print_versions

    if json_file != "-":
        print_versions(rows)
    write_json({"versions": rows}, json_file)


@registry.command(short_help="Show a version, and whether its gain was luck.")
@VERSION
@NAME
@STORE
@JSON
def show(version: str, name: str | None, store: str, json_file: str | None) -> None:
    """Show what is known of a version: its figures, promotions, and what chance alone would give.

    \b
    Example: edgeship registry show champion
    """
    from edgeship.cli.registry.tables import print_details

    details = api.show_version(version, name, store=store)
    if json_file != "-":
        print_details(details)
    write_json(details, json_file)


@registry.command(short_help="Show what a version was made of.")
@VERSION
@NAME
@STORE
@JSON
def lineage(version: str, name: str | None, store: str, json_file: str | None) -> None:
    """Show which data, server model, recipes and tools a version was made of, and what else was made of them.

    \b
    Example: edgeship registry lineage 3
    """
    from edgeship.cli.registry.tables import print_lineage

    found = api.trace_lineage(version, name, store=store)
    if json_file != "-":
        print_lineage(found)
    write_json(found, json_file)


@registry.command(short_help="Compare two versions.")
@click.argument("before")
@click.argument("after")
@NAME
@STORE
@click.option("--markdown", type=click.Path(path_type=Path), help="Also write it as Markdown, for a pull request.")
@JSON
def diff(before: str, after: str, name: str | None, store: str, markdown: Path | None, json_file: str | None) -> None:
    """Compare two versions: on the same samples with a paired interval, their recipes and data in words, sizes and times.

    \b
    Example: edgeship registry diff champion 4 --markdown diff.md
    """
    from edgeship.cli.registry.tables import print_difference

    found = api.compare_versions(before, after, name, store=store)
    if markdown:
        api.write_result(markdown, api.render_difference(found))
    if json_file != "-":
        print_difference(found)
    write_json(found, json_file)


@registry.command(short_help="Point an alias to a version, if it holds.")
@VERSION
@click.option("--to", type=click.Choice(["champion", "staging"]), required=True, help="Which alias.")
@click.option("--why", required=True, help="Is recorded, with who and when.")
@click.option(
    "--claim",
    type=click.Choice(["not-worse", "better"]),
    default="not-worse",
    show_default=True,
    help="What it has to be, compared with the present champion.",
)
@click.option("--despite-refusal", is_flag=True, help="Also one that `retrain` refused as a challenger.")
@NAME
@STORE
@JSON
def promote(
    version: str,
    to: str,
    why: str,
    claim: str,
    despite_refusal: bool,
    name: str | None,
    store: str,
    json_file: str | None,
) -> None:
    """Point an alias to VERSION, if it passes its gate and is not worse than the present champion on the same samples.

    One that `edgeship retrain` refused is not promoted either. Exit code 1 where that does not hold, or cannot be decided; --json
    tells then, too, what was found. The margin is the smaller of both bundles' budgets.

    \b
    Example: edgeship registry promote 4 --to champion --why "trained on the data of November"
    """
    from edgeship.errors import CheckError

    try:
        change = api.promote_version(
            version, name, to=to, why=why, claim=claim, despite_refusal=despite_refusal, store=store
        )
    except CheckError as error:
        asked = {"promoted": False, "version": version, "alias": to, "claim": claim, "why": why}
        write_json({**asked, "reasons": error.reasons or (str(error),)}, json_file)
        raise
    _show_change(change, json_file, promoted=True)


@registry.command(short_help="Point an alias back.")
@click.option("--alias", type=click.Choice(["champion", "staging"]), default="champion", show_default=True)
@click.option("--why", required=True, help="Is recorded, with who and when.")
@NAME
@STORE
@JSON
def rollback(alias: str, why: str, name: str | None, store: str, json_file: str | None) -> None:
    """Point an alias to the version that it pointed to before.

    \b
    Example: edgeship registry rollback --why "complaints about sandals"
    """
    _show_change(api.roll_back_version(name, alias=alias, why=why, store=store), json_file)


def _show_change(change: api.Promotion, json_file: str | None, **more: bool) -> None:
    from edgeship.types import to_json
    from edgeship.untrusted import printable

    if json_file != "-":
        before = "none" if change.previous is None else change.previous
        click.echo(f"{change.alias}: version {before} -> {change.version} ({printable(change.who)}, {change.when})")
        for reason in change.reasons:
            click.echo(f"  {printable(reason)}")
    write_json({**more, **to_json(change)}, json_file)


@registry.command(short_help="Write a version's bundle to a folder.")
@VERSION
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new folder.")
@NAME
@STORE
@JSON
def get(version: str, out: Path, name: str | None, store: str, json_file: str | None) -> None:
    """Write the bundle of VERSION to a new folder, byte for byte as it was added.

    \b
    Example: edgeship registry get champion --out bundle
    """
    from edgeship.untrusted import printable

    bundle = api.export_version(version, out, name, store=store)
    if json_file != "-":
        click.echo(f"bundle: {printable(bundle.root)}")
    verdict = bundle.manifest.gate.verdict if bundle.manifest.gate else None
    write_json({"version": version, "bundle": bundle.root, "verdict": verdict}, json_file)


@registry.command(short_help="A page of all versions.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="registry-page",
    show_default=True,
    help="Where a static page is written.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Of MLflow's page.")
@STORE
@JSON
def ui(out: Path, port: int, store: str, json_file: str | None) -> None:
    """Serve MLflow's own page of the registry, where all of mlflow is installed; else write a static one with all reports.

    \b
    Example: edgeship registry ui --out registry-page
    """
    from edgeship.untrusted import printable

    if server := api.find_registry_server(store, port=port):
        if json_file != "-":
            click.echo(f"MLflow's page: {server.address} (Ctrl-C ends it; it takes half a minute to come up)", err=True)
        write_json({"address": server.address, "page": None}, json_file)
        _become(server.command, server.environment)
    page = api.write_registry_page(out, store=store)
    if json_file != "-":
        click.echo(f"page: {printable(page)}")
        click.echo("for MLflow's own page: pip install 'edgeship[registry-ui]'", err=True)
    write_json({"address": None, "page": page}, json_file)


def _become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Go on as another program, whose output is on standard error: what ends this one ends it (Windows has no such thing)."""
    sys.stdout.flush()
    env = {**os.environ, **environment}
    if os.name == "posix":
        os.dup2(2, 1)
        os.execve(command[0], list(command), env)  # noqa: S606
    raise SystemExit(subprocess.run(command, env=env, stdout=sys.stderr, check=False).returncode)

"""`edgeship verify BUNDLE`: digests and goldens."""

from __future__ import annotations

from pathlib import Path

import click

from edgeship import api
from edgeship.cli import options, output


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="KEY.pub",
    help="Public key that must have signed all files of BUNDLE as they are; may be repeated.",
)
@click.option(
    "--threshold", type=click.IntRange(min=1), default=1, show_default=True, help="How many of the keys must have."
)
@click.option(
    "--signature",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A signature of OpenSSF model-signing by the key, in place of the one in BUNDLE.",
)
@options.JSON
def verify(bundle: Path, keys: tuple[Path, ...], threshold: int, signature: Path | None, json_file: str | None) -> None:
    """Check that no file of BUNDLE was changed, and replay its goldens through every runtime that is present.

    Its raw goldens (pixels, PCM, rows) must become their tensors to the byte, as the contract says. With --key, its signature
    (edgeship deploy sign) is checked before anything else of it is opened; without, its own digests tell damage, not forgery.

    Exit code 0 when all match, 1 when an answer does not match, an artifact could not be replayed, or BUNDLE is not what the
    keys signed, 2 for a changed bundle.

    \b
    Examples:
      edgeship verify bundle
      edgeship verify bundle --key keys/bundle.pub
      edgeship verify bundle --key keys/bundle.pub --signature bundle.sig
    """
    from edgeship.untrusted import printable, shorten_text

    verification = api.verify_bundle(bundle, keys=keys, threshold=threshold, signature=signature)
    if json_file != "-":
        print_replays(verification)
    content = {"bundle": bundle, "replays": verification.replays, "contract": verification.contract}
    content["signature"] = verification.signature
    output.write_json(content, json_file)
    if not verification.passed:
        click.echo(shorten_text(printable(verification.failure)), err=True)
        raise SystemExit(1)


def print_replays(verification: api.Verification) -> None:
    """A table on standard output."""
    from rich.text import Text

    from edgeship.terminal import Column, make_console, make_table
    from edgeship.untrusted import printable_value

    out = make_console()
    columns = [Column("artifact", folds=True), Column("runtime", folds=True), Column("goldens")]
    columns += [Column("error / tolerance", right=True), Column("why", folds=True)]
    body: list[list[str | Text]] = []
    for item in verification.replays:
        words = ("match", "green") if item.passed else ("optional", "yellow") if item.optional else ("FAIL", "red")
        share = "-" if item.worst is None else f"{item.worst:.2g}"
        names = printable_value([item.artifact, item.runtime or "-"])
        body.append([*names, Text(words[0], style=words[1]), share, printable_value(item.reason)])
    legend = "error / tolerance: the largest error of an output, as a share of what it may be off; 1 or less is a match"
    out.print(make_table(columns, body, out.width), Text(legend, style="dim"), sep="\n")
    for line in (*describe_contract(verification), describe_signature(verification)):
        out.print(Text(line), soft_wrap=True)


def describe_contract(verification: api.Verification) -> list[str]:
    """What was found of the contract, in lines."""
    from edgeship.untrusted import printable

    check = verification.contract
    if check is None or not check.contract:
        return ["contract: none, as in bundles of earlier versions and of files that others made"]
    if check.problems:
        return [f"contract: {printable(problem)}" for problem in check.problems]
    if not check.cases:
        return ["contract: matches; there are no raw goldens, and contract.json says why"]
    return [f"contract: {check.cases} raw goldens give their tensors to the byte"]


def describe_signature(verification: api.Verification) -> str:
    """Who signed the bundle, in a line."""
    from edgeship.untrusted import printable

    signature = verification.signature
    if signature is None or not signature.claimed:
        return "signature: none"
    if signature.verified:
        return f"signature: good, by key {_list_ids(signature.verified)}"
    return printable(
        f"signature: not checked, claims to be by key {_list_ids(signature.claimed)}; --key KEY.pub checks it"
    )


def _list_ids(key_ids: tuple[str, ...]) -> str:
    return ", ".join(key_id[:16] for key_id in key_ids[:5])

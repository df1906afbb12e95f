"""`edgeship experiment`: which of two versions is better with users."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgeship import api
from edgeship.cli.options import JSON
from edgeship.cli.output import write_json

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
PLAN = click.argument("plan", type=PATH, metavar="PLAN")
CHANNEL = click.option("--channel", type=PATH, help="The channel's folder.")
NAME = click.option("--name", metavar="NAME", help="With --channel: which one, as garments/stable.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would change.")


def _channel_options(command: F) -> F:
    """The options of a command that changes a channel."""
    for option in (
        click.option("--channel", type=PATH, required=True, help="The channel's folder, for a web server."),
        click.option("--name", metavar="NAME", required=True, help="Which channel, as garments/stable."),
        click.option(
            "--key", "keys", type=PATH, multiple=True, required=True, help="A folder of keygen, or one key's file."
        ),
        DRY_RUN,
        JSON,
    ):
        command = option(command)
    return command


def _parse_guardrails(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    """Guardrails with their margins: `errors / inferences` or `errors / inferences=0.001`."""
    parts = [value.rpartition("=") if "=" in value else (value, "=", "0") for value in values]
    try:
        return tuple((text.strip(), float(margin)) for text, _, margin in parts)
    except ValueError as error:
        raise click.BadParameter(
            "must be METRIC or METRIC=MARGIN, as 'errors / inferences=0.001'", context, option
        ) from error


@click.group()
def experiment() -> None:
    """Find out which of two versions is better with users: a plan, a random draw, and a verdict that keeps to the plan.

    \b
    Example:
      edgeship experiment plan --metric "any bought" --baseline 0.10 --effect 0.01 --out experiment.toml
      edgeship experiment start experiment.toml --channel site/channel --name garments/stable --key keys \\
        --control 1 --treatment 2
      edgeship experiment analyse experiment.toml users.csv --page experiment.html
    """


@experiment.command(short_help="How many users an experiment takes, and when to look.")
@click.option("--name", default="e1", show_default=True, help="What the experiment is called.")
@click.option(
    "--metric", default="any outcome", show_default=True, help="'any x' (share of users), 'x', or 'x / y', of a user."
)
@click.option("--baseline", type=float, help="The metric today.")
@click.option("--effect", type=float, required=True, help="The least difference worth finding.")
@click.option(
    "--deviation", type=float, help="The standard deviation of a user's value, unless it is a share of users."
)
@click.option("--data", type=PATH, help="A table of users (user, counts) that tells both where they are not named.")
@click.option("--better", type=click.Choice(["higher", "lower"]), default="higher", show_default=True)
@click.option("--power", type=float, default=0.8, show_default=True, help="How probably that effect is found.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="How often equal models seem to differ.")
@click.option(
    "--looks", type=int, default=5, show_default=True, help="How often it may be looked at, the end included."
)
@click.option(
    "--treatment-percent", type=click.IntRange(1, 99), default=50, show_default=True, help="Of the users: in treatment."
)
@click.option(
    "--users-a-week", type=click.FloatRange(min=0, min_open=True), help="New users of the experiment in a week."
)
@click.option(
    "--guardrail", "guardrails", multiple=True, metavar="METRIC[=MARGIN]", callback=_parse_guardrails,
    help="What must not rise by more than a margin (default: 0), as 'errors / inferences=0.001'.",
)  # fmt: skip
@click.option(
    "--split", type=click.Choice(["user", "region"]), default="user", show_default=True, help="What is drawn."
)
@click.option("--out", type=PATH, help="Write the plan, as experiment.toml.")
@JSON
def plan(out: Path | None, json_file: str | None, **settings: Any) -> None:
    """Say how many users an experiment takes, how many weeks, and which z-value stops it at which look.

    Looks are planned with the boundaries of O'Brien and Fleming by Lan and DeMets: all of them together find a difference
    between equal models in 5 %. The last one takes hardly more users than a single look.

    \b
    Examples:
      edgeship experiment plan --baseline 0.10 --effect 0.01 --power 0.8 --looks 5 --users-a-week 6000
      edgeship experiment plan --metric "bought / inferences" --baseline 0.1 --effect 0.01 --deviation 0.2 \\
        --guardrail "errors / inferences=0.001" --out experiment.toml
      edgeship experiment plan --metric "bought / inferences" --data last-month.csv --effect 0.01
    """
    from edgeship.cli.monitoring.experiment_tables import print_plan

    planned = api.plan_experiment(out=out, **settings)
    if json_file != "-":
        print_plan(planned)
        if out:
            click.echo(f"plan: {out}")
    write_json(planned, json_file)


@experiment.command(short_help="Write the arms into a channel.")
@PLAN
@_channel_options
@click.option("--control", type=click.IntRange(min=1), required=True, help="The version that users have now.")
@click.option("--treatment", type=click.IntRange(min=1), required=True, help="The version that is tried.")
@click.option(
    "--percent", type=click.FloatRange(0, 100), default=100.0, show_default=True, help="Of the devices: that take part."
)
def start(
    plan: Path, channel: Path, name: str, keys: tuple[Path, ...], control: int, treatment: int, percent: float,
    dry_run: bool, json_file: str | None,
) -> None:  # fmt: skip
    """Part the devices of a channel among two versions, by SHA-256 of the plan's own salt and the device; sign the rules.

    \b
    Example: edgeship experiment start experiment.toml --channel site/channel --name garments/stable --key keys \\
      --control 1 --treatment 2 --percent 20
    """
    change = api.start_experiment(
        plan, channel, name, keys=keys, control=control, treatment=treatment, percent=percent, dry_run=dry_run
    )
    _show_change(change, json_file, dry_run)


@experiment.command(short_help="Where an experiment is, without a look.")
@PLAN
@CHANNEL
@NAME
@JSON
def status(plan: Path, channel: Path | None, name: str | None, json_file: str | None) -> None:
    """Say whether an experiment runs in a channel, which looks were taken, and when the next is due.

    \b
    Example: edgeship experiment status experiment.toml --channel site/channel --name garments/stable
    """
    from edgeship.cli.monitoring.experiment_tables import print_status

    found = api.read_experiment(plan, channel=channel, name=name)
    if json_file != "-":
        print_status(found, channel is not None)
    write_json(found, json_file)


@experiment.command(short_help="Judge an experiment by its plan.")
@PLAN
@click.argument("users", type=PATH, metavar="USERS")
@CHANNEL
@NAME
@click.option("--page", type=PATH, help="Write an HTML page with pictures.")
@JSON
def analyse(
    plan: Path, users: Path, channel: Path | None, name: str | None, page: Path | None, json_file: str | None
) -> None:
    """Judge an experiment: PASS (treatment is better), FAIL (it is worse, or a guardrail broke) or INCONCLUSIVE.

    USERS is a table (.csv, .parquet) with the columns user, arm and one for each count of the metrics (`x_before` holds x of
    the period before, and lets CUPED take off what users differ in), or reports of clients (.jsonl, or a folder of .json).
    A user counts in the arm that it was assigned to. Looks are kept beside PLAN: before the next one is due there is no verdict,
    after the last one it stays. With --channel the arms must be those that run there.

    Exit code 0 means PASS, 1 FAIL or INCONCLUSIVE, 2 bad input.

    \b
    Example: edgeship experiment analyse experiment.toml users.csv --page experiment.html
    """
    from edgeship.cli.monitoring.experiment_tables import print_result

    result = api.analyse_experiment(plan, users, channel=channel, name=name, page=page)
    if json_file != "-":
        print_result(result)
        if page:
            click.echo(f"page: {page}")
    write_json(result, json_file)
    if result.verdict != "PASS":
        raise SystemExit(1)


@experiment.command(short_help="End an experiment in its channel.")
@PLAN
@_channel_options
def stop(plan: Path, channel: Path, name: str, keys: tuple[Path, ...], dry_run: bool, json_file: str | None) -> None:
    """End an experiment: its devices follow the channel's rollout again.

    \b
    Example: edgeship experiment stop experiment.toml --channel site/channel --name garments/stable --key keys
    """
    _show_change(api.stop_experiment(plan, channel, name, keys=keys, dry_run=dry_run), json_file, dry_run)


@experiment.command(short_help="Compare two models that ran on the same inputs.")
@click.argument("table", type=PATH)
@JSON
def shadow(table: Path, json_file: str | None) -> None:
    """Compare two models that ran side by side on the same inputs of devices: where they differ, and which one is right.

    TABLE has the columns first, second (the classes that both said) and count; perhaps user, and label (the right class,
    where an audit told it; only disagreements need one). PASS: the second model is right more often.

    \b
    Example: edgeship experiment shadow shadow.csv
    """
    from edgeship.cli.monitoring.experiment_tables import print_shadow

    result = api.analyse_shadow(table)
    if json_file != "-":
        print_shadow(result)
    write_json(result, json_file)
    if result.verdict != "PASS":
        raise SystemExit(1)


@experiment.command(short_help="Why a split by region is no experiment.")
@click.option("--baseline", type=float, default=0.10, show_default=True, help="The share of users in the one region.")
@click.option("--other", type=float, default=0.11, show_default=True, help="The share of users in the other.")
@click.option("--users", type=click.IntRange(min=10), help="Users an arm (default: those of a plan with 80 % power).")
@JSON
def region(baseline: float, other: float, users: int | None, json_file: str | None) -> None:
    """Simulate two models that are equally good, where each is given to one region: how often it "wins".

    \b
    Example: edgeship experiment region --baseline 0.10 --other 0.11
    """
    from edgeship.cli.monitoring.experiment_tables import print_region

    split = api.simulate_region_split(baseline, other, users)
    if json_file != "-":
        print_region(split)
    write_json(split, json_file)


def _show_change(change: api.ChannelChange, json_file: str | None, dry_run: bool) -> None:
    from edgeship.cli.deploy.channel.options import show_change

    show_change(change, json_file, dry_run=dry_run)

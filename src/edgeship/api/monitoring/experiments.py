"""Experiments: which of two versions of a channel is better with users, by a plan that the analysis keeps to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeship.api.bundles import AnyPath
from edgeship.api.channel import Keys, change_rollout, read_channel
from edgeship.api.files import check_outside_of_bundles
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass

if TYPE_CHECKING:
    from edgeship.client.rules import Experiment
    from edgeship.deploy.channel.rollout import ChannelChange
    from edgeship.monitoring.experiments.planning.plan import Plan, Schedule
    from edgeship.monitoring.experiments.region import RegionSplit
    from edgeship.monitoring.experiments.shadow import ShadowResult
    from edgeship.monitoring.experiments.verdicts.results import Effect, ExperimentResult, LookResult


@dataclass(frozen=True)
class PlannedExperiment:
    """A plan and its looks."""

    plan: Plan
    schedule: Schedule


@dataclass(frozen=True)
class ExperimentStatus:
    """Where an experiment is: its plan, what runs in the channel (None: it does not), and the looks that were taken.

    `over`: a look decided, or none is left. `next_users`: of both arms, at the next look.
    """

    plan: Plan
    schedule: Schedule
    running: Experiment | None
    looks: tuple[LookResult, ...]
    over: bool
    effect: Effect | None
    next_users: tuple[int, int] | None


def plan_experiment(
    *, out: AnyPath | None = None, split: str = "user", data: AnyPath | None = None, **settings: Any
) -> PlannedExperiment:
    """A plan of an experiment, written to `out` where that is named. `settings`: those of `Plan`, `guardrails` as (text, margin).

    `data`: a table of users that tells `baseline` and `deviation` where they are not named.

    Raises InputError for what cannot be planned, a file that is there, and a split by region, which is no experiment.
    """
    from edgeship.monitoring.experiments.planning.plan import make_plan, plan_schedule
    from edgeship.monitoring.experiments.planning.plan_file import write_plan

    if split != "user":
        raise InputError(
            f"a split by {split} is no randomized experiment: whatever else differs between regions looks like an effect; "
            "`edgeship experiment region` shows how often"
        )
    if data is not None:
        settings = _measure(Path(data), settings)
    plan = make_plan(**settings)
    planned = PlannedExperiment(plan, plan_schedule(plan))
    if out is not None:
        check_outside_of_bundles(Path(out))
        write_plan(plan, Path(out))
    return planned


def start_experiment(
    plan: AnyPath, channel: AnyPath, name: str, *, keys: Keys, control: int, treatment: int, percent: float = 100.0,
    dry_run: bool = False,
) -> ChannelChange:  # fmt: skip
    """Part `percent` of a channel's devices among the versions `control` and `treatment`, drawn by the plan's salt.

    Raises InputError for versions that are not there, where another experiment runs, one that was looked at already, and missing
    keys.
    """
    from edgeship.client.rules import Arm, Experiment
    from edgeship.monitoring.experiments.planning.plan_file import read_plan
    from edgeship.monitoring.experiments.verdicts.looks import read_ledger

    planned = read_plan(Path(plan))
    if control == treatment:
        raise InputError(f"both arms would run version {control}")
    running = _find_running(channel, name)
    if running and running.name != planned.name:
        raise InputError(f"{name}: experiment '{running.name}' runs there; `edgeship experiment stop` ends it")
    if not running and read_ledger(planned, Path(plan)).looks:
        raise InputError(f"{plan}: was looked at already; a new experiment takes a new plan, with a draw of its own")
    share = planned.treatment_percent
    arms = (Arm(planned.control, control, 100 - share), Arm(planned.treatment, treatment, share))
    experiment = Experiment(planned.name, planned.salt, percent, arms)
    if running and running.salt != planned.salt:
        raise InputError(
            f"{name}: experiment '{running.name}' runs there with another draw; give the plan another name"
        )
    return change_rollout(channel, name, keys=keys, experiment=experiment, dry_run=dry_run)


def stop_experiment(plan: AnyPath, channel: AnyPath, name: str, *, keys: Keys, dry_run: bool = False) -> ChannelChange:
    """End an experiment: its devices follow the rollout. Raises InputError where it does not run there."""
    from edgeship.monitoring.experiments.planning.plan_file import read_plan

    _check_running(read_plan(Path(plan)), channel, name)
    return change_rollout(channel, name, keys=keys, end_experiment=True, dry_run=dry_run)


def read_experiment(plan: AnyPath, *, channel: AnyPath | None = None, name: str | None = None) -> ExperimentStatus:
    """Where an experiment is, without a look at data. Raises InputError where the channel runs it with other arms."""
    from edgeship.monitoring.experiments.planning.plan import plan_schedule
    from edgeship.monitoring.experiments.planning.plan_file import read_plan
    from edgeship.monitoring.experiments.verdicts.analysis import next_users
    from edgeship.monitoring.experiments.verdicts.decision import decide
    from edgeship.monitoring.experiments.verdicts.looks import read_ledger

    planned = read_plan(Path(plan))
    running = None
    if channel is not None:
        running = _find_running(channel, _require_name(name))
        if running and running.name == planned.name:
            _check_arms(planned, running, str(name))
        else:
            running = None
    looks = read_ledger(planned, Path(plan)).looks
    decision = decide(planned, looks) if looks else None
    over = decision is not None and decision.over
    return ExperimentStatus(
        planned, plan_schedule(planned), running, decision.looks if decision else (), over,
        decision.effect if decision else None, None if over else next_users(planned, looks),
    )  # fmt: skip


def analyse_experiment(
    plan: AnyPath,
    users: AnyPath,
    *,
    channel: AnyPath | None = None,
    name: str | None = None,
    page: AnyPath | None = None,
) -> ExperimentResult:
    """The verdict on an experiment from its users so far: takes the look that is due, and keeps it beside the plan.

    `users`: a table, or reports of clients (docs/monitoring/experiment.md). `page`: an HTML file to write. Raises InputError for
    arms that are not the plan's or the channel's, a metric that was never reported, a week in the future, and a plan that was
    changed after a look.
    """
    from edgeship.monitoring.experiments.planning.metrics import parse_metric
    from edgeship.monitoring.experiments.planning.plan_file import read_plan
    from edgeship.monitoring.experiments.users.totals_file import read_totals
    from edgeship.monitoring.experiments.verdicts.analysis import analyse
    from edgeship.monitoring.experiments.verdicts.looks import read_ledger, write_ledger

    planned = read_plan(Path(plan))
    if channel is not None:
        _check_running(planned, channel, _require_name(name))
    if page is not None:
        check_outside_of_bundles(Path(page))
    before = read_ledger(planned, Path(plan))
    metrics = [parse_metric(text) for text in (planned.metric, *(rail.metric for rail in planned.guardrails))]
    totals = read_totals(Path(users), planned.name, metrics)
    found = analyse(planned, totals, before)
    if found.ledger != before:
        write_ledger(found.ledger, Path(plan))
    if page is not None:
        from edgeship.monitoring.experiments.page import write_page

        write_page(planned, found.result, Path(page))
    return found.result


def analyse_shadow(table: AnyPath) -> ShadowResult:
    """What two models said to the same inputs, from a table of first, second, count, and perhaps user and label."""
    from edgeship.monitoring.experiments.shadow import read_shadow

    return read_shadow(Path(table))


def simulate_region_split(baseline: float = 0.10, other: float = 0.11, users: int | None = None) -> RegionSplit:
    """How often a split by region finds an effect between models that are equally good."""
    from edgeship.monitoring.experiments import region

    return region.simulate_region_split(baseline, other, users)


def _measure(data: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with baseline and deviation as a table of users has them, unless they are named."""
    from edgeship.monitoring.experiments.planning.metrics import parse_metric
    from edgeship.monitoring.experiments.users.estimates import describe_users
    from edgeship.monitoring.experiments.users.totals_file import read_users

    metric = parse_metric(settings["metric"])
    value, deviation = describe_users(read_users(data, metric), metric)
    if not deviation:
        raise InputError(f"{data}: '{metric.text}' is the same for every user; nothing can be planned from it")
    named = {key: settings.get(key) for key in ("baseline", "deviation")}
    found = {"baseline": value, "deviation": None if metric.any else deviation}
    return {**settings, **{key: found[key] if named[key] is None else named[key] for key in found}}


def _require_name(name: str | None) -> str:
    if name is None:
        raise InputError("--channel goes with --name, as garments/stable")
    return name


def _find_running(channel: AnyPath, name: str) -> Experiment | None:
    """The experiment of a channel. Raises InputError, with the known ones, for a channel that is not there."""
    channels = {item.name: item.rules for item in read_channel(channel).channels}
    if name not in channels:
        raise unknown_name_error("channel", name, channels, str(channel))
    return channels[name].experiment


def _check_running(plan: Plan, channel: AnyPath, name: str) -> None:
    running = _find_running(channel, name)
    if running is None or running.name != plan.name:
        raise unknown_name_error(
            "experiment", plan.name, [running.name] if running else ["none"], f"{name} of {channel}"
        )
    _check_arms(plan, running, name)


def _check_arms(plan: Plan, running: Experiment, name: str) -> None:
    """Raise InputError where a channel runs an experiment otherwise than planned."""
    shares = {arm.name: arm.share for arm in running.arms}
    planned = {plan.control: 100 - plan.treatment_percent, plan.treatment: plan.treatment_percent}
    for arm in planned:
        if arm not in shares:
            raise unknown_name_error("arm", arm, shares, f"experiment {plan.name} of {name}")
    total = sum(shares.values())
    if shares.keys() != planned.keys() or any(100 * shares[arm] != planned[arm] * total for arm in planned):
        raise InputError(f"{name}: experiment {plan.name} runs there with other arms or shares than planned")
    if running.salt != plan.salt:
        raise InputError(f"{name}: experiment {plan.name} runs there with another draw than the plan's")

"""The stations of learning again: labels, a challenger, the gate and the champion, an experiment, and the promotion."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.storage import digest
from scripts.lifecycle.labels import fill_in_labels
from scripts.lifecycle.loop.pictures import show_samples
from scripts.lifecycle.loop.record import Picture
from scripts.lifecycle.loop.shipping import list_aliases, read_rules
from scripts.lifecycle.loop.world import CHANNEL, MODEL, STORE, World

LABELS, REPLAY = 300, 4000
AUDIT_SHARE = 0.9  # of the users: some have no random sample
EXPERIMENT_WEEK = 11
METRIC, EFFECT = "corrected / inferences", 0.06
BUNDLE = Path("bundle-2")


def label_samples(world: World) -> None:
    """Hard samples and an audit are drawn, and labelled by the known truth."""
    with world.recorder.run_station("labels") as station:
        audit = int(AUDIT_SHARE * world.count)
        drawn = ("--count", LABELS, "--out", "pool.csv", "--audit", audit, "--audit-out", "audit.csv")
        result = world.run("select", "inbox/samples", *drawn, "--bundle", "bundle-1", "--seed", world.seed)
        truths = {name: truth for client in world.clients.values() for name, truth in client.truths.items()}
        samples = world.folder / "inbox" / "samples"
        for table, count in (("pool.csv", LABELS), ("audit.csv", audit)):
            labelled = fill_in_labels(world.folder / table, samples, truths)
            station.check(labelled == count, f"{labelled} samples of {table} have their true label")
        station.evidence |= {
            "samples that lay there": result["samples"], "hard": result["hard"], "at random": result["random"],
            "audit, never trained on": result["audit"], "sha256 of pool.csv": digest.of_path(world.folder / "pool.csv"),
            "sha256 of audit.csv": digest.of_path(world.folder / "audit.csv"),
        }  # fmt: skip
        accuracy = measure_table(world.folder / "audit.csv")
        station.evidence["accuracy of the champion in the audit"] = accuracy
        station.check(accuracy < 0.85, f"in the audit the champion is right on {accuracy:.1%} only")
        station.pictures.append(show_pool(world, samples))


def measure_table(table: Path) -> float:
    """The share of labelled samples that were predicted right."""
    with table.open(newline="", encoding="utf-8") as file:
        return float(np.mean([row["label"] == row["predicted"] for row in csv.DictReader(file)]))


def show_pool(world: World, samples: Path, count: int = 10) -> Picture:
    """The samples of the pool that the model was least sure of and wrong about."""
    with (world.folder / "pool.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] != row["predicted"]]
    rows.sort(key=lambda row: float(row["margin"] or 1))
    images = []
    for row in rows[:count]:
        with np.load(samples / f"{row['sample']}.npz") as tensors:
            images.append(tensors[tensors.files[0]].reshape(28, 28, 1))
    names = (world.folder / "trained" / "labels.txt").read_text().split("\n")
    said = ", ".join(f"{names[int(row['predicted'])]} (is {names[int(row['label'])]})" for row in rows[:count])
    return show_samples(f"Hard samples. The model took them for: {said}.", [("", np.stack(images))])


def retrain(world: World) -> None:
    """`edgeship retrain` sees two alarms in a row, trains, ships, compares and registers."""
    with world.recorder.run_station("retrain") as station:
        given = ("--inbox", "inbox", "--labels", "pool.csv", "--audit", "audit.csv", "--samples", "inbox/samples")
        made = ("--data", "trained", "--replay", REPLAY, "--seed", world.seed, "--promote", "staging")
        result = world.run(
            "retrain", "--name", MODEL, "--store", STORE, *given, *made, "--out", "retraining", "--page", "retrain.html",
            codes=(0, 1),
        )  # fmt: skip
        station.evidence |= {"why": result["decision"]["reasons"], "outcome": result["outcome"]}
        station.check(
            any("two alarms in a row" in reason for reason in result["decision"]["reasons"]),
            "it decided by itself that it is time, by two alarms in a row",
        )
        station.check(result["challenger"] == 2, "the challenger is version 2 of the registry")
        gain = result["record"]["gain"]
        station.evidence |= {
            f"audit: {name}": gain[name] for name in ("n", "champion", "challenger", "gain", "low", "high")
        }
        world.challenger = result


def judge_challenger(world: World) -> None:
    """The challenger's own gate, and what it is beside the champion."""
    with world.recorder.run_station("gate") as station:
        world.say("registry", "get", 2, "--out", BUNDLE, "--name", MODEL, "--store", STORE)
        result = world.run("gate", BUNDLE)
        station.check(result["gate"]["verdict"] == "PASS", "its own gate says PASS")
        record = world.challenger["record"]
        station.evidence |= {
            "reasons": record["reasons"], "verdict": record["verdict"],
            "sha256 of manifest.json": digest.of_path(world.folder / BUNDLE / "manifest.json"),
        }  # fmt: skip
        station.check(
            any(text.startswith("old evaluation data") and "not worse" in text for text in record["reasons"]),
            "on the old evaluation data it is not worse than the champion",
        )
        gain = record["gain"]
        low, high = 100 * gain["low"], 100 * gain["high"]
        station.check(gain["low"] > 0, f"on the new audit it is better, by {low:.1f} to {high:.1f} points")
        world.run("registry", "diff", "champion", 2, "--name", MODEL, "--store", STORE)
        station.check(
            list_aliases(world) == {1: ["champion"], 2: ["staging"]}, "staging points to it, champion does not"
        )


def start_experiment(
    world: World, plan: str, versions: tuple[int, int], guardrail: str, metric: tuple[object, ...], effect: float
) -> None:
    """A plan by what devices reported in the week before, and two arms in the channel."""
    week = world.weeks[-1].number
    world.write_users(week, None, f"users-{week}.csv")
    words = ("--name", plan, *metric, "--data", f"users-{week}.csv", "--effect", effect, "--looks", 1)
    planned = world.run("experiment", "plan", *words, "--guardrail", guardrail, "--out", f"{plan}.toml")
    users = planned["schedule"]["users"]
    station = world.recorder.station
    station.evidence["users that the plan asks for"] = users
    station.check(users <= 0.9 * world.count, f"the plan asks for {users} users, and {world.count} are there")
    control, treatment = versions
    world.run("experiment", "start", f"{plan}.toml", *world.keys, "--control", control, "--treatment", treatment)
    world.ask_channel()
    found = world.count_versions()
    station.evidence["versions on devices"] = found
    arms = [client.installed.arms[plan] for client in world.clients.values()]
    drawn = {control: arms.count("control"), treatment: arms.count("treatment")}
    station.check(
        found == drawn, f"{drawn[control]} devices run version {control}, {drawn[treatment]} version {treatment}"
    )


def analyse_experiment(world: World, plan: str, week: int, codes: Sequence[int]) -> dict[str, Any]:
    """The verdict, from the reports of a week."""
    users = world.write_users(week, plan, f"{plan}.csv")
    words = (f"{plan}.toml", f"{plan}.csv", "--channel", "channel", "--name", CHANNEL, "--page", f"{plan}.html")
    result = world.run("experiment", "analyse", *words, codes=codes)
    ratio = result["sample_ratio"]
    world.recorder.station.evidence |= {
        "users by arm": [ratio["users_control"], ratio["users_treatment"]],
        "verdict": result["verdict"], "reasons": result["reasons"],
        "effect": result["effect"], "guardrails": result["guardrails"],
    }  # fmt: skip
    world.recorder.station.check(users == world.count, f"all {users} users reported, each in the arm it was drawn to")
    return result


def compare_in_field(world: World) -> None:
    """Half of the devices get the challenger, and their users' outcomes decide."""
    with world.recorder.run_station("experiment") as station:
        world.say("deploy", "sign", BUNDLE, "--key", "keys")
        signed = ("--percent", 0, "--signed-by", "keys/bundle.pub")
        world.run("deploy", "publish", BUNDLE, *world.keys, *signed)
        station.check(read_rules(world)["version"] == 2, "version 2 is in the channel, for nobody yet")
        metric = ("--metric", METRIC, "--better", "lower")
        start_experiment(world, "challenger", (1, 2), "errors / inferences=0.01", metric, EFFECT)
        world.live(EXPERIMENT_WEEK, turned=True)
        world.turn(EXPERIMENT_WEEK + 1, days=1)
        result = analyse_experiment(world, "challenger", EXPERIMENT_WEEK, (0, 1))
        effect = result["effect"]
        station.check(result["verdict"] == "PASS", "users correct the new model less: the experiment says PASS")
        station.check(
            effect["high"] < 0,
            f"corrections fall from {effect['control']:.1%} to {effect['treatment']:.1%} of the inferences",
        )


def promote(world: World) -> None:
    """The champion is version 2, and all devices run it."""
    with world.recorder.run_station("promote") as station:
        why = ("--why", "better on the audit and with users", "--name", MODEL, "--store", STORE)
        world.run("registry", "promote", 2, "--to", "champion", *why)
        aliases = list_aliases(world)
        station.check("champion" in aliases[2] and "champion" not in aliases[1], "version 2 is the champion")
        world.run("experiment", "stop", "challenger.toml", *world.keys)
        world.run("deploy", "rollout", *world.keys, "--percent", 100)
        world.ask_channel()
        versions = world.count_versions()
        station.evidence |= {"aliases": aliases, "versions on devices": versions}
        station.check(versions == {2: world.count}, f"all {world.count} devices run version 2")
        if world.tab:
            world.tab.switch(station, 2)
        week = world.live(EXPERIMENT_WEEK + 1, turned=True)
        worst = min(item.accuracy for item in world.weeks if item.turned)
        station.evidence |= {"accuracy now, by the truth": week.accuracy, "accuracy in the worst week": worst}
        gain = 100 * (week.accuracy - worst)
        station.check(gain > 4, f"{gain:.1f} points of accuracy are back")

"""The stations of the field: devices fetch and report, all get the model, the world turns, and the alarm goes off."""

from __future__ import annotations

import json
from collections import Counter as Tally
from typing import Any

import numpy as np

from edgeship.client import Client
from edgeship.client.rules import bucket
from scripts.lifecycle.loop.pictures import show_samples
from scripts.lifecycle.loop.record import Station
from scripts.lifecycle.loop.shipping import PERCENT, SALT
from scripts.lifecycle.loop.world import ARTIFACT, CHANNEL, SHARE, TURN, World

FIRST, QUIET, TURNED = 2, (3, 4, 5, 6, 7), (8, 9)  # weeks: drift is judged from the fifth of a full field on


def meet_first_devices(world: World) -> None:
    """All devices ask; those in the first percents fetch, verify, test, use and report."""
    with world.recorder.run_station("first devices") as station:
        world.turn(FIRST, days=1)
        world.refresh()
        root = (world.folder / "channel" / "metadata" / "1.root.json").read_bytes()
        world.devices = [
            Client(
                world.site, name=CHANNEL, artifact=ARTIFACT, state=world.folder / "devices" / f"client-{number}" / "model",
                root=root, device_id=f"device-{number}",
            )
            for number in range(world.count)
        ]  # fmt: skip
        results = world.ask_channel()
        expected = {number for number in range(world.count) if bucket(SALT, f"device-{number}") < 100 * PERCENT}
        first = {number for number, result in enumerate(results) if result.status == "updated"}
        station.evidence["what devices said"] = dict(Tally(result.status for result in results))
        station.check(
            len(first) >= 3 and first == expected, f"{len(first)} of {world.count} devices are in the first 5 %"
        )
        rest = [result for number, result in enumerate(results) if number not in first]
        station.check(
            {result.status for result in rest} == {"none"}, f"the channel has nothing for the other {len(rest)} yet"
        )
        goldens = {results[number].goldens for number in first}
        station.check(
            min(goldens) > 0, f"each of the {len(first)} verified the signatures and replayed {max(goldens)} goldens"
        )
        week = world.live(FIRST, turned=False)
        station.evidence |= {"inferences": week.inferences, "accuracy, by the truth": week.accuracy}


def roll_out(world: World) -> None:
    """All devices get version 1, and five quiet weeks pass."""
    with world.recorder.run_station("rollout") as station:
        world.turn(QUIET[0], days=1)
        world.run("deploy", "rollout", *world.keys, "--percent", 100)
        before = {number: device.version for number, device in enumerate(world.devices)}
        results = world.ask_channel()
        kept = [results[number].status for number, version in before.items() if version == 1]
        station.check({*kept} == {"current"}, f"the {len(kept)} that had it keep it")
        versions = world.count_versions()
        station.check(
            versions == {1: world.count}, f"all {world.count} devices verified version 1, tested it and run it"
        )
        station.evidence |= {"versions on devices": versions, "bytes a device fetched": results[-1].received_bytes}
        for number in QUIET:
            world.live(number, turned=False)
        station.evidence["inferences"] = sum(week.inferences for week in world.weeks)


def turn_world(world: World) -> None:
    """From now on the pictures of most users are darker and tilted."""
    with world.recorder.run_station("world turns") as station:
        week = world.live(TURNED[0], turned=True)
        verdict = judge_drift(world, QUIET[-1])
        station.check(
            verdict["verdict"] in ("OK", "NOTICE"), f"before, week {QUIET[-1]} is no alarm: {verdict['verdict']}"
        )
        for client in world.clients.values():
            client.agree()
        before = next(item for item in world.weeks if item.number == QUIET[-1])
        station.evidence |= {"accuracy before, by the truth": before.accuracy, "accuracy now": week.accuracy}
        lost = 100 * (before.accuracy - week.accuracy)
        station.check(lost > 5, f"{lost:.1f} points of accuracy are lost, which nobody but the simulation knows")
        world.live(TURNED[1], turned=True)
        world.turn(TURNED[1] + 1, days=1, hours=11)
        sent = [result.sent for result in world.field().send_samples(world.collector)]
        station.evidence["samples that users agreed to send"] = sum(sent)
        station.check(sum(sent) > 3 * world.count, f"users who agreed sent {sum(sent):,} pictures to label")
        for client in world.clients.values():
            client.disagree()
        left = [path for client in world.clients.values() for path in client.folder.rglob("*.sample")]
        station.check(not left, "then they took that back, and no picture is left on a device")
        station.pictures.append(show_turn(world))


def show_turn(world: World) -> Any:
    """Some pictures, as they were and as they are now."""
    if world.data is None:
        raise ValueError("no data")
    chosen = [int(np.flatnonzero(world.data.labels == label)[1]) for label in range(10)]
    before = {"image": world.data.inputs["image"][chosen]}
    after = TURN(before, np.random.default_rng(world.seed))
    rows = [("before", before["image"]), ("now, of most users", after["image"])]
    return show_samples(f"What users show to the model: {SHARE:.0%} of them have other light, and hold it askew.", rows)


def raise_alarm(world: World) -> None:
    """`monitor drift` judges both turned weeks once they are closed."""
    with world.recorder.run_station("alarm") as station:
        for number in TURNED:
            check_alarm(world, station, number, judge_drift(world, number))
            if number == TURNED[0]:
                world.live(TURNED[1] + 1, turned=True)  # life goes on
        world.run("monitor", "report", "--store", "inbox", "--channel", "channel", "--page", "field.html")


def check_alarm(world: World, station: Station, number: int, verdict: dict[str, Any]) -> None:
    """The counts alone told it: an ALARM, for what was lost."""
    reason = verdict["reasons"][0] if verdict["reasons"] else ""
    station.evidence[f"verdict on {world.window_of(number)}"] = f"{verdict['verdict']}: {reason}"
    drop = verdict["judgement"]["drop"]
    station.check(verdict["verdict"] == "ALARM", f"week {number} is an ALARM, by what devices counted")
    lost = 100 * (drop["before"] - drop["now"])
    station.evidence[f"points lost by estimate, week {number}"] = lost
    moved = sorted(item["name"] for item in verdict["judgement"]["moved"])
    station.evidence[f"what moved, week {number}"] = moved


def judge_drift(world: World, number: int) -> dict[str, Any]:
    """What `monitor drift` says on the Tuesday after a week was closed."""
    world.turn(number + 2, days=1)
    out = f"drift-{number}.json"
    words = ("monitor", "drift", "--store", "inbox", "--channel", "channel", "--page", f"drift-{number}.html")
    world.recorder.run(*words, "--json", out, codes=(0, 1), show=words)
    [result] = json.loads((world.folder / out).read_text())["versions"]
    version: dict[str, Any] = result
    return version

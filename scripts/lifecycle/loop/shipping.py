"""The first stations: a model is trained, shipped, registered, signed and published for few."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edgeship.runtimes import tfjs_node
from edgeship.storage import digest
from scripts.lifecycle.field import read_evaluation
from scripts.lifecycle.loop.world import CHANNEL, HABIT, MODEL, STORE, World, split_test_images
from scripts.lifecycle.users import draw_users

EPOCHS = 3
PERCENT = 5
SALT = f"{CHANNEL}/1"  # of the first rollout, as `deploy publish` writes it
MLPERF = 'accuracy = "mlperf99"'
MAX_DROP = 2.0  # points: what a version may lose on old data to be right in a world that turned


def choose_artifacts() -> tuple[str, ...]:
    """The words of `ship`: with TF.js for the page, where Node can judge it."""
    formats = "tflite" if tfjs_node.unavailable_reason() else "tflite,tfjs"
    return ("--to", formats, "--variant", "float32,int8", "--evaluation", "trained/judged.npz")


def train(world: World, trained: Path | None) -> None:
    """The server model, or with `trained` what an earlier run left."""
    with world.recorder.run_station("train") as station:
        if trained:
            shutil.copytree(trained, world.folder / "trained")
        else:
            seed = ("--epochs", EPOCHS, "--seed", world.seed)
            world.say("train", "fashion-mnist", "--out", "trained", *seed)
        card = json.loads((world.folder / "trained" / "model-card.json").read_text())
        accuracy = float(card["results"]["accuracy"]["value"])
        split_test_images(world.folder / "trained", world.seed)
        data = world.data = read_evaluation(world.folder / "trained" / "field.npz")
        world.users = draw_users(world.count, int(data.labels.max()) + 1, habit=HABIT, seed=world.seed + 2)
        station.evidence |= {
            "sha256 of server.keras": digest.of_path(world.folder / "trained" / "server.keras"),
            "accuracy of the server model": accuracy,
            "users": len(world.users),
        }
        station.check(accuracy > 0.85, f"the server model is right on {accuracy:.1%} of the test images, above 85 %")


def ship(world: World) -> None:
    """A bundle, and the gate's verdict."""
    with world.recorder.run_station("ship") as station:
        world.say("init", "trained/server.keras", "--force")
        set_budget(world.folder / "trained" / "edgeship.toml")
        result = world.run("ship", "trained/server.keras", "--out", "bundle-1", *choose_artifacts())
        verdict, checks = result["gate"]["verdict"], result["gate"]["checks"]
        station.evidence |= {
            "verdict of the gate": verdict,
            "points of accuracy that the budget lets go": MAX_DROP,
            "checks": len(checks),
            "artifacts": [item["id"] for item in result["artifacts"]],
            "sha256 of manifest.json": digest.of_path(world.folder / "bundle-1" / "manifest.json"),
        }
        station.check(verdict == "PASS", f"the gate says PASS: all {len(checks)} checks hold")


def set_budget(config: Path) -> None:
    """Write what this project allows into the file that `init` wrote, as a person would. Raises ValueError where it cannot."""
    text = config.read_text(encoding="utf-8")
    if MLPERF not in text:
        raise ValueError(f"{config}: has no line {MLPERF}")
    config.write_text(text.replace(MLPERF, f"max_drop = {MAX_DROP}", 1), encoding="utf-8")


def register(world: World) -> None:
    """The first version of the registry, and its champion."""
    with world.recorder.run_station("register") as station:
        world.run("registry", "add", "bundle-1", "--name", MODEL, "--store", STORE)
        why = ("--to", "champion", "--why", "the first release")
        world.run("registry", "promote", 1, *why, "--name", MODEL, "--store", STORE)
        aliases = list_aliases(world)
        station.evidence["aliases"] = aliases
        station.check(aliases == {1: ["champion"]}, "version 1 is in the registry, as champion")


def publish(world: World, origin: str) -> None:
    """Keys, a signature, a channel that offers version 1 to one device of twenty, and a collector of reports.

    `origin`: of the page that may send, too.
    """
    from scripts.lifecycle.site import serve_folder

    with world.recorder.run_station("publish") as station:
        world.say("deploy", "keygen", "--out", "keys")
        world.say("deploy", "sign", "bundle-1", "--key", "keys")
        world.say("verify", "bundle-1", "--key", "keys/bundle.pub")
        world.run("deploy", "publish", "bundle-1", *world.keys, "--percent", PERCENT, "--signed-by", "keys/bundle.pub")
        rules = read_rules(world)
        station.evidence |= {
            "rules": rules,
            "sha256 of signature.json": digest.of_path(world.folder / "bundle-1" / "signature.json"),
        }
        station.check(rules["version"] == 1 and rules["percent"] == PERCENT, f"version 1 is offered to {PERCENT} %")
        known = ("--store", "inbox", "--channel", "channel", "--rate", 1000, "--samples", 6, "--origin", origin)
        world.collector = world.stack.enter_context(world.calendar.collect(*known))
        world.site = world.stack.enter_context(serve_folder(world.folder / "channel"))


def read_rules(world: World) -> dict[str, Any]:
    """What the channel says now, as `deploy status` reads it; not noted."""
    done = world.calendar.run("deploy", "status", "--channel", "channel", "--json", "-", check=(0, 1))
    found = next(item for item in json.loads(done.stdout)["status"]["channels"] if item["name"] == CHANNEL)
    rules: dict[str, Any] = found["rules"]
    return rules


def list_aliases(world: World) -> dict[int, list[str]]:
    """The versions of the registry with their aliases; by the API, as each command would import MLflow for three seconds."""
    from edgeship.api.registry import list_versions

    versions = list_versions(MODEL, store=STORE.replace("///", f"///{world.folder}/"))
    return {version.number: list(version.aliases) for version in versions}

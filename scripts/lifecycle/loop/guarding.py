"""The stations that keep harm away: a broken model that the gate stops, and a harmful one that a guardrail finds."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np

from edgeship.storage import digest
from scripts.lifecycle.loop.relearning import EXPERIMENT_WEEK, analyse_experiment, start_experiment
from scripts.lifecycle.loop.shipping import EPOCHS, choose_artifacts, list_aliases, read_rules
from scripts.lifecycle.loop.world import MODEL, STORE, World

HARM_WEEK = EXPERIMENT_WEEK + 2
DARK = 12  # times darker than what the model gets are the pictures that the broken model was calibrated with
GUARDRAIL, MARGIN = "corrected / inferences", 0.01
ANSWER = "broken.json"
TRAIN_AGAIN = ("train", "fashion-mnist", "--out", "trained-again", "--epochs", EPOCHS)
BROKEN = ("--out", "broken", "--to", "tflite", "--variant", "int8", "--data", "trained/dark.npz")
SHIP_BROKEN = ("ship", "trained/server.keras", *BROKEN, "--evaluation", "trained/judged.npz")
SHIP_AGAIN = ("ship", "trained-again/server.keras", "--out", "bundle-3")


def begin_broken_model(world: World) -> subprocess.Popen[str]:
    """Begin to ship, beside all else, what the gate must stop: its int8 ranges are from pictures that are much too dark."""
    with np.load(world.folder / "trained" / "calibration.npz") as data:
        dark = {name: data[name] // DARK if name == "image" else data[name] for name in data.files}
    np.savez(world.folder / "trained" / "dark.npz", **dark)
    return world.calendar.begin(*SHIP_BROKEN, "--json", ANSWER)


def stop_broken_model(world: World, shipping: subprocess.Popen[str]) -> None:
    """The gate, the channel and the registry refuse it."""
    with world.recorder.run_station("broken model") as station:
        world.turn(HARM_WEEK, days=1)
        world.recorder.join(shipping, SHIP_BROKEN, codes=(1,))
        result = json.loads((world.folder / ANSWER).read_text())
        failed = [item["check"] for item in result["gate"]["checks"] if item["verdict"] == "FAIL"]
        station.evidence |= {"verdict of the gate": result["gate"]["verdict"], "checks that failed": failed}
        station.check(result["gate"]["verdict"] == "FAIL" and failed, f"the gate says FAIL: {len(failed)} checks")
        before = read_rules(world)
        world.say("deploy", "publish", "broken", *world.keys, codes=(1,))
        station.check(read_rules(world) == before, "the channel takes it from nobody")
        world.run("registry", "add", "broken", "--name", MODEL, "--store", STORE)
        why = ("--why", "pushed in a hurry", "--name", MODEL, "--store", STORE)
        world.say("registry", "promote", 3, "--to", "champion", *why, codes=(1,))
        station.check("champion" in list_aliases(world)[2], "the champion stays version 2")


def begin_harmful_model(world: World) -> subprocess.Popen[str]:
    """Begin to train, beside all else, what will pass the gate: a model of the old data alone, by another seed."""
    return world.calendar.begin(*TRAIN_AGAIN, "--seed", world.seed + 1)


def ship_harmful_model(world: World, training: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """Begin to ship it, once it is trained."""
    if training.wait():
        raise RuntimeError(f"the training ended with exit code {training.returncode}")
    shutil.copyfile(world.folder / "trained" / "edgeship.toml", world.folder / "trained-again" / "edgeship.toml")
    return world.calendar.begin(*SHIP_AGAIN, *choose_artifacts())


def stop_harmful_model(world: World, training: subprocess.Popen[str], shipping: subprocess.Popen[str]) -> None:
    """It passes the gate, users correct it more, a guardrail finds that, and it is rolled back."""
    with world.recorder.run_station("harmful model") as station:
        world.recorder.join(training, (*TRAIN_AGAIN, "--seed", world.seed + 1))
        world.recorder.join(shipping, (*SHIP_AGAIN, *choose_artifacts()))
        station.check(True, "the gate says PASS: on the old data it is as good as any")
        station.evidence["sha256 of manifest.json"] = digest.of_path(world.folder / "bundle-3" / "manifest.json")
        world.turn(HARM_WEEK, days=1, hours=11)
        world.say("deploy", "sign", "bundle-3", "--key", "keys")
        world.run("deploy", "publish", "bundle-3", *world.keys, "--percent", 0, "--signed-by", "keys/bundle.pub")
        metric = ("--metric", "accepted / inferences")
        start_experiment(world, "fresh", (2, 3), f"{GUARDRAIL}={MARGIN}", metric, 0.06)
        during = world.live(HARM_WEEK, turned=True)
        world.turn(HARM_WEEK + 1, days=1)
        result = analyse_experiment(world, "fresh", HARM_WEEK, (1,))
        [rail] = result["guardrails"]
        station.check(result["verdict"] == "FAIL" and rail["verdict"] == "FAIL", f"a guardrail broke: {rail['reason']}")
        world.run("deploy", "rollback", *world.keys)
        rules = read_rules(world)
        station.evidence["rules after the rollback"] = rules
        station.check((rules["version"], rules["withdrawn"]) == (2, [3]), "version 3 is withdrawn, version 2 is back")
        world.ask_channel()
        versions = world.count_versions()
        station.check(versions == {2: world.count}, f"all {world.count} devices left it, and run version 2")
        after = world.live(HARM_WEEK + 1, turned=True)
        station.evidence |= {
            "accuracy in the experiment": during.accuracy,
            "accuracy after the rollback": after.accuracy,
        }
        station.check(after.accuracy > during.accuracy + 0.01, f"accuracy is back: {after.accuracy:.1%} of answers")
        world.run("monitor", "report", "--store", "inbox", "--channel", "channel", "--page", "field.html")

"""The whole loop, once: `python -m scripts.lifecycle` trains, ships, registers, publishes, watches, learns again and defends.

Only the users and the calendar are made up. Commands run in `OUT/work`, which is made anew; `OUT/timeline.html` tells the story,
`OUT/timeline.json` each station's outcome with its evidence. Exit code 1 where a station does not hold, which is named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

from scripts import ROOT
from scripts.lifecycle.calendar import Calendar
from scripts.lifecycle.loop import browser_tab, guarding, relearning, shipping, watching
from scripts.lifecycle.loop.record import Recorder, StationError
from scripts.lifecycle.loop.results_page import write_results
from scripts.lifecycle.loop.timeline import make_story, write_story
from scripts.lifecycle.loop.world import World

CLIENTS = 260  # a guardrail judges from 100 users an arm on, and a draw of 200 seldom gives that to both
WORK = "work"
TITLES = (
    ("train", "A model is trained"),
    ("ship", "It is converted, measured and judged"),
    ("register", "The registry keeps it, as champion"),
    ("publish", "It is signed, and published for 5 % of all devices"),
    ("page", "The real page in a Chromium tab fetches, verifies, tests, runs, reports"),
    ("first devices", "The first devices fetch, verify, test, run, report"),
    ("rollout", "All devices get it, and five quiet weeks pass"),
    ("world turns", "The world turns: pictures get darker and tilted"),
    ("alarm", "The counts of the devices raise an alarm"),
    ("labels", "Hard samples and an audit are labelled"),
    ("retrain", "A challenger is trained"),
    ("gate", "The gate, and the champion beside it"),
    ("experiment", "An experiment with users"),
    ("promote", "The challenger is promoted, and rolled out"),
    ("broken model", "A broken model is pushed, and the gate stops it"),
    ("harmful model", "A harmful one passes the gate: a guardrail finds it, and it is rolled back"),
)  # fmt: skip


def run_stations(world: World, trained: Path | None) -> None:
    """All stations in their order; what the last two need of TensorFlow is made beside others.

    But not beside the first `ship`, which takes times: they need a machine that does nothing else.
    """
    training = guarding.begin_harmful_model(world)
    world.stack.callback(training.kill)
    shipping.train(world, trained)
    shipping.ship(world)
    again = guarding.ship_harmful_model(world, training)
    world.stack.callback(again.kill)
    shipping.register(world)
    port = browser_tab.find_free_port()
    shipping.publish(world, f"http://127.0.0.1:{port}")
    browser_tab.open_tab(world, port)
    watching.meet_first_devices(world)
    broken = guarding.begin_broken_model(world)
    world.stack.callback(broken.kill)
    watching.roll_out(world)
    watching.turn_world(world)
    watching.raise_alarm(world)
    relearning.label_samples(world)
    relearning.retrain(world)
    relearning.judge_challenger(world)
    relearning.compare_in_field(world)
    relearning.promote(world)
    guarding.stop_broken_model(world, broken)
    guarding.stop_harmful_model(world, training, again)


def make_work_folder(out: Path) -> Path:
    """A new folder for the commands, in place of that of an earlier run."""
    work = out / WORK
    if work.exists() and not (work / ".lifecycle").exists():
        raise SystemExit(f"{work}: is there, and no earlier run made it; name another folder by --out")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / ".lifecycle").touch()
    return work


def main() -> int:
    """Run all, write the timeline, and say which station does not hold; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "lifecycle")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="how many devices (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of training and users (default: %(default)s)")
    parser.add_argument("--trained", type=Path, help="a folder that `edgeship train` wrote, in place of training")
    parser.add_argument(
        "--results", action="store_true", help="write docs/results/learning/lifecycle.md and its picture, too"
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and the browser end, too
    options, begin = parser.parse_args(), time.perf_counter()
    out = options.out.resolve()
    work = make_work_folder(out)
    variables = {"EDGESHIP_CACHE": os.environ.get("EDGESHIP_CACHE", str(work / "cache")), "COLUMNS": "120"}
    with Calendar(datetime.now(UTC), folder=work, variables=variables) as calendar:
        recorder = Recorder(calendar, TITLES)
        world = World(work, calendar, recorder, options.clients, options.seed)
        try:
            with world.stack:
                run_stations(world, options.trained.resolve() if options.trained else None)
        except StationError as error:
            print(error, file=sys.stderr)
    story = make_story(recorder, world, time.perf_counter() - begin)
    print(f"timeline: {write_story(out, story)}")
    if options.results:
        write_results(story, date.today())
    lacking = [f"{station.name} ({station.outcome})" for station in recorder.stations if station.outcome != "held"]
    if lacking:
        print(f"stations that do not hold: {', '.join(lacking)}", file=sys.stderr)
    return 0 if recorder.held else 1


if __name__ == "__main__":
    sys.exit(main())

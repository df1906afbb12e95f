"""`make lifecycle`: each station of the whole loop, by the evidence that it left; and its timeline, in a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from edgeship.runtimes.browser import requirements
from scripts.lifecycle.__main__ import CLIENTS, TITLES
from scripts.lifecycle.calendar import Calendar
from scripts.lifecycle.loop.record import CommandRecord, MissingPartError, Picture, Recorder, Station, StationError
from scripts.lifecycle.loop.results_page import render_results
from scripts.lifecycle.loop.timeline import DATA, PAGE, Story, write_story
from scripts.lifecycle.loop.world import Week

ROOT = Path(__file__).parents[2]
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> {{ 7 * 7 }} &lt;'
DIGEST = re.compile(r"[0-9a-f]{64}")
Json = dict[str, Any]


def make_story(*stations: Station) -> Story:
    weeks = [Week(number, f"2026-W{40 + number}", 5, 100, 90 - number, number > 1, {1: 3, 2: 2}) for number in (1, 2)]
    return Story(stations, weeks, 5, 0, 1.5, 2.5)


def test_what_commands_printed_is_text_on_the_timeline(tmp_path):
    station = Station(HOSTILE, HOSTILE, "held", HOSTILE, HOSTILE, checks=[HOSTILE], evidence={HOSTILE: [HOSTILE, 0.25]})
    station.commands.append(CommandRecord(f"edgeship {HOSTILE}", 1, HOSTILE, 0.1))
    station.pictures.append(Picture(HOSTILE, "<svg></svg>"))
    page = write_story(tmp_path, make_story(station)).read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page and "49" not in page.partition("<ol")[2]
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 9 and "<svg></svg>" in page
    content = json.loads((tmp_path / DATA).read_text(encoding="utf-8"))
    assert content["stations"][0]["evidence"] == {HOSTILE: [HOSTILE, 0.25]}
    assert content["held"] is True and [week["accuracy"] for week in content["weeks"]] == [0.89, 0.88]


def test_what_was_found_stays_in_its_cell_of_the_results():
    station = Station("one", "One", "failed", f"{HOSTILE}\n| a | b", checks=["water | is wet"])
    page = render_results(make_story(station), date(2026, 11, 29))
    [row] = [line for line in page.splitlines() if line.startswith("| one |")]
    assert row.replace("\\|", "").count("|") == 6 and "<script>" not in page and "**Not every station holds.**" in page
    assert "| 2 | darker and tilted | 5 | 100 | 88.0 | 3 of version 1, 2 of version 2 |" in page


def test_a_station_that_fails_ends_the_run_and_one_that_misses_a_part_does_not(tmp_path):
    calendar = Calendar.__new__(Calendar)  # nothing is run
    recorder = Recorder(calendar, [("one", "One"), ("two", "Two"), ("three", "Three")], tell=False)
    with recorder.run_station("one"):
        raise MissingPartError("no Chromium here")
    with pytest.raises(StationError, match="Two: not so: water is dry"):
        run_two_checks(recorder)
    page = write_story(tmp_path, make_story(*recorder.stations)).read_text(encoding="utf-8")
    content = json.loads((tmp_path / DATA).read_text(encoding="utf-8"))
    assert [item["outcome"] for item in content["stations"]] == ["missing", "failed", "not reached"]
    assert content["held"] is False and not recorder.held
    assert content["stations"][1]["checks"] == ["water is wet"]
    assert "no Chromium here" in page and "not so: water is dry" in page and "not every station holds" in page


def run_two_checks(recorder: Recorder) -> None:
    with recorder.run_station("two") as station:
        station.check(True, "water is wet")
        station.check(False, "water is dry")


def test_a_folder_that_no_run_made_is_left_alone(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.txt").touch()
    done = run_loop(tmp_path)
    assert done.returncode == 1 and "no earlier run made it" in done.stderr
    assert (tmp_path / "work" / "mine.txt").exists()


def run_loop(out: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "EDGESHIP_CACHE"}
    command = [sys.executable, "-m", "scripts.lifecycle", "--out", str(out)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.more
@pytest.mark.timeout(3600)  # eight minutes of two cores that are idle
def test_every_station_of_the_loop_holds(tmp_path, missing):
    done = run_loop(tmp_path)
    content = json.loads((tmp_path / DATA).read_text(encoding="utf-8"))
    outcomes = {item["name"]: item["outcome"] for item in content["stations"]}
    assert list(outcomes) == [name for name, _ in TITLES]
    lacking = {name: outcome for name, outcome in outcomes.items() if outcome != "held"}
    assert lacking.keys() <= {"page"} and {*lacking.values()} <= {"missing"}, f"{lacking}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == bool(lacking)
    stations = {item["name"]: item for item in content["stations"]}
    check_shipped(stations)
    check_field(content, stations)
    check_learned(stations)
    check_defended(content, stations)
    if lacking:
        missing(stations["page"]["failure"])
    check_page(stations["page"])
    check_in_browser(tmp_path)


def check_shipped(stations: dict[str, Json]) -> None:
    evidence = {name: stations[name]["evidence"] for name in ("train", "ship", "register", "publish")}
    assert evidence["train"]["accuracy of the server model"] > 0.85 and evidence["train"]["users"] == CLIENTS
    assert DIGEST.fullmatch(evidence["train"]["sha256 of server.keras"])
    assert evidence["ship"]["verdict of the gate"] == "PASS"
    assert {*evidence["ship"]["artifacts"]} >= {"tflite/float32", "tflite/int8"}
    assert DIGEST.fullmatch(evidence["ship"]["sha256 of manifest.json"])
    assert evidence["register"]["aliases"] == {"1": ["champion"]}
    rules = evidence["publish"]["rules"]
    assert (rules["version"], rules["percent"], rules["previous"]) == (1, 5, None)
    assert DIGEST.fullmatch(evidence["publish"]["sha256 of signature.json"])


def check_page(station: Json) -> None:
    assert station["evidence"]["Chromium"] and len(station["pictures"]) == 1
    assert any("passed its self-test in Chromium" in check for check in station["checks"])
    assert any("sent one report" in check for check in station["checks"])


def check_field(content: Json, stations: dict[str, Json]) -> None:
    weeks = {item["number"]: item for item in content["weeks"]}
    first = stations["first devices"]["evidence"]["what devices said"]
    assert first["updated"] == weeks[2]["installs"] and first["updated"] + first["none"] == CLIENTS
    assert stations["rollout"]["evidence"]["versions on devices"] == {"1": CLIENTS}
    assert {weeks[number]["installs"] for number in range(3, 15)} == {CLIENTS}
    assert {number for number, week in weeks.items() if week["turned"]} == {*range(8, 15)}
    verdicts = [text for name, text in stations["alarm"]["evidence"].items() if name.startswith("verdict")]
    assert len(verdicts) == 2 and all(text.startswith("ALARM: ") for text in verdicts)
    assert any("is no alarm" in check for check in stations["world turns"]["checks"])
    assert weeks[7]["accuracy"] - weeks[8]["accuracy"] > 0.05


def check_learned(stations: dict[str, Json]) -> None:
    labels = stations["labels"]["evidence"]
    assert labels["hard"] + labels["at random"] == 300 and labels["audit, never trained on"] == int(0.9 * CLIENTS)
    assert labels["sha256 of pool.csv"] != labels["sha256 of audit.csv"]
    retrained, gate = stations["retrain"]["evidence"], stations["gate"]["evidence"]
    assert any("two alarms in a row" in reason for reason in retrained["why"]) and retrained["audit: low"] > 0
    assert gate["verdict"] == "better"
    assert gate["sha256 of manifest.json"] != stations["ship"]["evidence"]["sha256 of manifest.json"]
    experiment = stations["experiment"]["evidence"]
    assert experiment["verdict"] == "PASS" and experiment["effect"]["high"] < 0
    assert sum(experiment["users by arm"]) == CLIENTS and min(experiment["users by arm"]) >= 100
    assert stations["promote"]["evidence"]["aliases"] == {"1": [], "2": ["champion", "staging"]}
    assert stations["promote"]["evidence"]["versions on devices"] == {"2": CLIENTS}


def check_defended(content: Json, stations: dict[str, Json]) -> None:
    broken, harmful = stations["broken model"], stations["harmful model"]
    assert broken["evidence"]["verdict of the gate"] == "FAIL" and broken["evidence"]["checks that failed"]
    refused = [item["command"].split()[1:3] for item in broken["commands"] if item["exit_code"] == 1]
    assert [words[0] for words in refused] == ["ship", "deploy", "registry"]
    [rail] = harmful["evidence"]["guardrails"]
    assert (rail["verdict"], harmful["evidence"]["verdict"]) == ("FAIL", "FAIL") and rail["low"] > rail["margin"]
    rules = harmful["evidence"]["rules after the rollback"]
    assert (rules["version"], rules["withdrawn"], rules["experiment"]) == (2, [3], None)
    assert content["weeks"][-1]["versions"] == {"2": CLIENTS}


def check_in_browser(out: Path) -> None:
    """The timeline opens in Chromium without an error, and shows every station and its pictures."""
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=requirements.find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = chromium.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else errors.append(request.url),
        )
        page.goto((out / PAGE).as_uri())
        assert page.locator("ol.story > li.held").count() == len(TITLES)
        assert page.locator("figure svg").count() == 1
        broken = "() => [...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
        assert page.evaluate(broken) == 0 and page.locator("figure img").count() > 20
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        chromium.close()
    assert errors == []

"""The real path of a report: a trained model's artifact in LiteRT, the client's counter, a collector over HTTP, `monitor drift`.

Only the users and the calendar are made up.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from scripts.lifecycle.calendar import Calendar
from scripts.lifecycle.clients import install_bundle, install_from_channel, update_all
from scripts.lifecycle.field import SimulatedField, read_evaluation
from scripts.lifecycle.labels import fill_in_labels
from scripts.lifecycle.site import serve_folder
from scripts.lifecycle.users import add_noise, darken_and_tilt, draw_users
from tests.e2e.conftest import SEED, Command, shared

MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
ARTIFACT = "tflite/int8"
Json = dict[str, Any]


def judge(field: SimulatedField, store: Path, week: int) -> tuple[Json, str]:
    """What `monitor drift` says on the day on which a week is closed: its JSON and its page."""
    field.close(week)
    page, out = store / f"{week}.html", store / f"{week}.json"
    done = field.calendar.run("monitor", "drift", "--store", store, "--page", page, "--json", out, check=(0, 1))
    result = json.loads(out.read_text())
    assert done.returncode == (result["verdict"] == "ALARM")
    assert f"drift in {field.window_of(week)}: {result['verdict']}" in done.stdout
    return result, page.read_text()


def check_result(result: Json, page: str, field: SimulatedField, week: int, counted: Counter[str]) -> None:
    """The JSON and the page of a week hold what its clients counted."""
    windows = [field.window_of(number) for number in range(1, week + 1)]
    assert (result["window"], result["preliminary"]) == (windows[-1], False)
    assert result["baseline"] == windows[: min(week - 1, 4)]
    assert [item["window"] for item in result["weeks"]] == windows
    last = result["weeks"][-1]
    assert (last["installs"], last["inferences"], last["late"]) == (len(field.clients), counted["inferences"], 0)
    for text in (f"Drift in {windows[-1]}", f">{result['verdict']}<", *windows, "<svg"):
        assert text in page
    if result["verdict"] == "ALARM":
        assert result["reasons"][0].partition(" points")[0] in page


def check_field_page(field: SimulatedField, store: Path, bundle: Path, counted: dict[int, Counter[str]]) -> None:
    """`monitor report`: every inference and outcome that clients counted, on one page."""
    page, out = store / "field.html", store / "field.json"
    field.calendar.run("monitor", "report", "--store", store, "--bundle", bundle, "--page", page, "--json", out)
    result = json.loads(out.read_text())
    assert [item["window"] for item in result["weeks"]] == [field.window_of(week) for week in counted]
    for item, own in zip(result["weeks"], counted.values(), strict=True):
        assert (item["installs"], item["inferences"]) == (len(field.clients), own["inferences"])
        assert item["outcomes"] == {name: own[name] for name in ("accepted", "corrected") if own[name]}
    [version] = result["versions"]
    assert version["inferences"] == sum(own["inferences"] for own in counted.values())
    assert {row["tier"] for row in result["latency"]} == {"low", "mid", "high"}
    assert all(0 < row["p50_ms"] <= row["p90_ms"] for row in result["latency"])
    text = page.read_text()
    assert all(f"{own['inferences']:,}" in text for own in counted.values())
    assert text.count("<svg") == 2


def test_thirty_clients_report_and_noise_in_week_six_is_an_alarm(shipped_once, tmp_path):
    bundle, store = shipped_once / "bundle", tmp_path / "inbox"
    data = read_evaluation(shipped_once / "evaluation.npz")
    users = draw_users(30, int(data.labels.max()) + 1, habit=40, seed=1)
    with Calendar(MONDAY) as calendar:
        field = SimulatedField(calendar, install_bundle(tmp_path, bundle, 30), users, data, monday=MONDAY, feedback=0.3)
        counted: dict[int, Counter[str]] = {}
        with calendar.collect("--store", store, "--bundle", bundle, "--rate", 1000, "--samples", 4) as url:
            for week in range(1, 7):
                if week == 5:
                    stores = [client.agree() for client in field.clients]
                counted[week] = field.live(week, partial(add_noise, deviation=1.5) if week == 6 else None)
                assert {result.sent for result in field.send(week, url)} == {1}
                if week == 5:
                    sent = [result.sent for result in field.send_samples(url)]
                    assert sum(sent) > 3 * len(stores) and max(sent) == 4
        quiet = judge(field, store, 5)
        check_result(*quiet, field, 5, counted[5])
        assert quiet[0]["verdict"] != "ALARM"
        noisy = judge(field, store, 6)
        check_result(*noisy, field, 6, counted[6])
        assert noisy[0]["verdict"] == "ALARM"
        check_field_page(field, store, bundle, counted)
        check_audit(field, store, bundle)


def check_audit(field: SimulatedField, store: Path, bundle: Path) -> None:
    """`monitor audit`: what users agreed to send, labelled by the truth, tells the accuracy of those samples."""
    table, out = store / "audit.csv", store / "audit.json"
    chosen = ("--bundle", bundle, "--artifact", ARTIFACT, "--window", field.window_of(5))
    field.calendar.run("monitor", "audit", "draw", store, *chosen, "--count", 25, "--seed", 1, "--out", table)
    truths = {digest: truth for client in field.clients for digest, truth in client.truths.items()}
    assert fill_in_labels(table, store / "samples", truths) == 25
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["picked"] for row in rows} == {"random"} and len({row["user"] for row in rows}) == 25
    field.calendar.run("monitor", "audit", "judge", table, "--bundle", bundle, "--json", out, check=(0, 1))
    accuracy = np.mean([row["label"] == row["predicted"] for row in rows])
    assert json.loads(out.read_text())["accuracy"] == pytest.approx(accuracy)
    assert accuracy > 0.6


@pytest.fixture(scope="session")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default task, trained for a short time and shipped."""
    root = shared(tmp_path_factory)
    folder = root / "fashion"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            draft = root / "fashion.draft"
            run = Command(root, root / "cache")
            run("train", "fashion-mnist", "--out", draft, "--epochs", 3, "--seed", SEED, check=0)
            done = run("ship", draft / "server.keras", "--out", draft / "bundle", "--to", "tflite")
            assert done.returncode in (0, 1), done.stderr
            draft.rename(folder)
    return folder


@pytest.mark.more
@pytest.mark.timeout(2700)  # of which 200 self-tests in processes of their own are most
def test_200_clients_of_a_channel_in_eight_weeks_and_the_world_turns_in_week_five(fashion, tmp_path):
    bundle, store = fashion / "bundle", tmp_path / "inbox"
    data, channel, keys = read_evaluation(fashion / "evaluation.npz"), tmp_path / "channel", tmp_path / "keys"
    users = draw_users(200, 10, habit=20, seed=2)
    counted: dict[int, Counter[str]] = {}
    results: dict[int, Json] = {}
    with Calendar(MONDAY) as calendar:
        calendar.run("deploy", "keygen", "--out", keys)
        calendar.run(
            "deploy", "publish", bundle, "--channel", channel, "--name", "garments/stable", "--key", keys, "--force"
        )
        with serve_folder(channel) as site:
            root = channel / "metadata" / "1.root.json"
            clients = install_from_channel(tmp_path, site, root, 200, name="garments/stable")
            assert {result.status for result in update_all(clients)} == {"current"}
        field = SimulatedField(calendar, clients, users, data, monday=MONDAY)
        with calendar.collect("--store", store, "--channel", channel, "--rate", 1000) as url:
            for week in range(1, 10):  # the last one only passes
                if week <= 8:
                    counted[week] = field.live(week, darken_and_tilt if week >= 5 else None, share=0.3)
                    assert {result.sent for result in field.send(week, url)} == {1}
                if week >= 2:
                    result, page = judge(field, store, week - 1)
                    check_result(result, page, field, week - 1, counted[week - 1])
                    results[week - 1] = result
    verdicts = {week: result["verdict"] for week, result in results.items()}
    assert "ALARM" not in [verdicts[week] for week in range(1, 5)], verdicts
    assert "ALARM" in (verdicts[5], verdicts[6]), verdicts
    assert (verdicts[7], verdicts[8]) == ("ALARM", "ALARM")
    lost = np.array([counted[week]["right"] / counted[week]["inferences"] for week in (4, 6)])
    drop = results[6]["judgement"]["drop"]
    assert lost[0] - lost[1] > 0.02 < drop["before"] - drop["now"]
    assert {move["name"] for move in results[6]["judgement"]["moved"]} >= {
        "mean of image",
        "confidence of probabilities",
    }
    check_field_page(field, store, bundle, counted)

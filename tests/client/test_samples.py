"""Samples on a device: none before a yes, random ones that are random, those of the least margin, all gone after a no."""

from __future__ import annotations

import json
import random
import time
from collections import Counter as Tally
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.client import ClientError, SampleStore
from edgeship.client.reports.counter import Counter
from edgeship.client.samples import store as stores
from edgeship.client.samples.kept import split_number
from tests.monitoring.make_vectors import VECTORS

CASE = json.loads(VECTORS.read_text())[0]
ARTIFACT = "tflite/int8"
PIXELS = 28


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the days since Monday, 23 November 2026."""

    def turn(days: float) -> None:
        moment = datetime(2026, 11, 23, tzinfo=UTC).timestamp() + days * 86_400
        monkeypatch.setattr(time, "time", lambda: moment)

    turn(0)
    return turn


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn is drawn the same at every run."""
    monkeypatch.setattr(stores, "_CHANCE", random.Random(0))


def open_store(folder: Path, **options: Any) -> SampleStore:
    folder.mkdir(exist_ok=True)
    (folder / "profile.json").write_text(json.dumps(CASE["profile"]))
    return SampleStore(folder / "profile.json", artifact=ARTIFACT, state=folder / "samples", **options)


def scores_of(margin: float, predicted: int = 3) -> np.ndarray:
    """Of ten classes, the highest by so much."""
    scores = np.full(10, (1 - margin) / 10)
    scores[predicted] += margin
    return scores


def offer_many(store: SampleStore, count: int, seed: int = 0) -> list[float]:
    """The margins of what was offered, whose input is its number."""
    margins = np.random.default_rng(seed).uniform(0.001, 0.999, count).tolist()
    for number, margin in enumerate(margins):
        store.offer({"y": scores_of(margin)}, {"image": np.full((2, 2, 1), number, np.float32)})
    return margins


def numbers_of(folder: Path, store: SampleStore, picked: str) -> list[int]:
    """Which of what was offered is kept."""
    kept = [item for item in store.preview() if item.picked == picked]
    bodies = [(folder / "samples" / item.file).read_bytes() for item in kept]
    return [int(np.frombuffer(body.partition(b"\n")[2], "<f4")[0]) for body in bodies]


def test_nothing_is_kept_before_a_yes_nor_after_a_no(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert not store.allowed
    offer_many(store, 50)
    store.save()
    assert store.preview() == []
    assert store.send("http://127.0.0.1:9/samples").error == "the user has not agreed"
    assert not (tmp_path / "samples").exists()
    store.allow()
    offer_many(store, 300)
    assert len(store.preview()) == 40
    assert open_store(tmp_path).allowed, "also after a restart"
    store.forget()
    offer_many(store, 50)
    assert (store.allowed, store.preview()) == (False, [])
    assert {path.name for path in (tmp_path / "samples").iterdir()} <= {"samples.lock"}


def test_another_process_that_forgets_is_heard(tmp_path: Path) -> None:
    one, other = open_store(tmp_path), open_store(tmp_path)
    one.allow()
    offer_many(one, 30)
    other.forget()
    one.save()
    assert (one.allowed, one.preview()) == (False, [])
    assert not list((tmp_path / "samples").glob("*.sample"))


def test_pseudonyms_are_not_those_of_reports_and_change(tmp_path: Path, clock: Any) -> None:
    store = open_store(tmp_path)
    store.allow()
    users = []
    for days in (0, 3, 10):  # Thursdays of November, of November, of December
        clock(days)
        offer_many(store, 10)
        item = store.preview()[-1]
        header = json.loads((tmp_path / "samples" / item.file).read_bytes().partition(b"\n")[0])
        users.append(header["user"])
    assert users[0] == users[1] != users[2]
    assert [store.name_user(window) for window in ("2026-W48", "2026-W49")] == users[1:]
    with pytest.raises(ClientError, match="is no week"):
        store.name_user("yesterday")
    counter = Counter(tmp_path / "profile.json", artifact=ARTIFACT, state=tmp_path / "counts", runtime="LiteRT")
    counter.error("crash")
    assert counter.preview()[0]["install"] not in users
    store.forget()
    assert store.name_user("2026-W48") is None
    store.allow()
    offer_many(store, 10)
    header = json.loads((tmp_path / "samples" / store.preview()[0].file).read_bytes().partition(b"\n")[0])
    assert header["user"] not in users


def test_half_are_those_of_the_least_margin_and_half_are_random(tmp_path: Path, drawn: None) -> None:
    store = open_store(tmp_path, most=20)
    store.allow()
    margins = offer_many(store, 2000)
    picked = numbers_of(tmp_path, store, "margin")
    assert len(picked) == 10
    assert {*picked} <= {*np.argsort(margins)[:40].tolist()}, "of the half that competes for it"
    kept = store.preview()
    assert Tally(item.picked for item in kept) == {"random": 10, "margin": 10}
    assert {item.predicted for item in kept} == {3}
    assert max(item.margin for item in kept if item.picked == "margin") < 0.05
    assert not {*picked} & {*numbers_of(tmp_path, store, "random")}, "none is both"


def test_every_sample_is_as_likely_to_stay_also_of_two_processes_that_save(tmp_path: Path, drawn: None) -> None:
    """Of 60 that are offered by two, 5 stay: the first 20 of one must not stay more often than others."""
    seen: Tally[int] = Tally()
    rounds = 60
    for number in range(rounds):
        folder = tmp_path / str(number)
        one, other = open_store(folder, most=10), open_store(folder, most=10)
        one.allow()
        other.allow()
        for place in range(60):
            store = one if place < 20 else other
            store.offer({"y": scores_of(0.5)}, {"image": np.full((2, 2, 1), place, np.float32)})
            if place in (10, 20, 45):
                store.save()
        other.save()
        found = numbers_of(folder, one, "random")
        assert len(found) == 5
        seen.update(place // 20 for place in found)
    expected = rounds * 5 / 3
    assert (
        sum((count - expected) ** 2 / expected for count in seen.values()) < 16.3
    )  # chi-square, 2 degrees, p = 0.0003
    assert len(seen) == 3


def test_of_two_weeks_samples_stay_and_not_more_bytes_than_agreed(tmp_path: Path, clock: Any) -> None:
    store = open_store(tmp_path, most=20)
    store.allow()
    for week in range(4):
        clock(7 * week)
        offer_many(store, 100)
        assert len({item.week for item in store.preview()}) == min(week + 1, 2)
    clock(30)
    small = open_store(tmp_path / "small", most=400, most_bytes=20_000)
    small.allow()
    for week in range(3):
        clock(30 + 7 * week)
        offer_many(small, 300)
    kept = small.preview()
    assert 8 < len(kept) < 400
    files = sum(path.stat().st_size for path in (tmp_path / "small" / "samples").glob("*.sample"))
    assert sum(item.size for item in kept) == files <= 20_000
    with pytest.raises(ClientError, match="a sample has"):
        offer_many(open_small(tmp_path / "tiny"), 1)


def open_small(folder: Path) -> SampleStore:
    store = open_store(folder, most_bytes=100)
    store.allow()
    return store


def test_what_is_not_finite_is_not_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.allow()
    image = np.zeros((2, 2, 1), np.float32)
    assert not store.offer({"y": np.full(10, np.nan)}, {"image": image})
    for bad in (np.nan, np.inf):
        assert not store.offer({"y": scores_of(0.1)}, {"image": image + np.float32(bad)})
    assert store.preview() == []


def test_what_can_be_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.allow()
    image = np.zeros((2, 2, 1), np.float32)
    refused: list[tuple[str, Callable[[], object]]] = [
        (
            "no artifact 'tflite/x'",
            lambda: SampleStore(tmp_path / "profile.json", artifact="tflite/x", state=tmp_path / "s"),
        ),
        ("bundle must be", lambda: open_store(tmp_path, bundle="me")),
        ("at least 2 samples", lambda: open_store(tmp_path, most=1)),
        ("no tensor 'y'", lambda: store.offer({}, {"image": image})),
        ("'y' has 3 scores", lambda: store.offer({"y": np.zeros(3)}, {"image": image})),
        ("samples are of numbers", lambda: store.offer({"y": scores_of(0.0)}, {"image": np.array(["text"])})),
        ("no address", lambda: store.send("models.example.com")),
    ]
    for said, call in refused:
        with pytest.raises(ClientError, match=said):
            call()
    assert store.preview() == []
    plain = json.loads((tmp_path / "profile.json").read_text())
    plain["outputs"] = []
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    with pytest.raises(ClientError, match="no classes"):
        SampleStore(tmp_path / "plain.json", artifact=ARTIFACT, state=tmp_path / "s")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ClientError, match="is a link"):
        SampleStore(tmp_path / "profile.json", artifact=ARTIFACT, state=tmp_path / "link")


def test_a_damaged_state_means_no(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.allow()
    offer_many(store, 10)
    store.save()
    state = tmp_path / "samples" / "samples.json"
    for content in ("", "{", "[]", '{"schema": 1}', json.dumps({**json.loads(state.read_text()), "schema": 2})):
        state.write_text(content)
        assert not open_store(tmp_path).allowed
    again = open_store(tmp_path)
    again.allow()
    assert again.preview() == []
    offer_many(again, 10)
    assert len(again.preview()) == len(list((tmp_path / "samples").glob("*.sample"))), (
        "what the damaged one named is gone"
    )


def test_half_of_a_number_and_one_more_is_random() -> None:
    assert [split_number(number) for number in (1, 2, 5, 10)] == [(1, 0), (1, 1), (3, 2), (5, 5)]

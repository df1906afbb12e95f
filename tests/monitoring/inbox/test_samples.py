"""Samples from the device to the audit: the real client, the real server, and what a stranger may send."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import http.client
import os
import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgeship import api
from edgeship.client import SampleStore
from edgeship.client.samples.encode import encode_sample, encode_tensors
from edgeship.client.samples.sending import ask_wanted
from edgeship.errors import InputError
from edgeship.monitoring.inbox.samples.folder import COLUMNS
from scripts.lifecycle.site import serve_folder
from tests.monitoring.inbox.samples import ARTIFACT, report_of, this_week, write_bundle_with_profile
from tests.monitoring.inbox.test_collect import Sender, collecting
from tests.monitoring.inbox.test_interrupted import KilledServer

MONDAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
WEEK = 7 * 86_400
Json = dict[str, Any]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the weeks since Monday, 23 November 2026."""

    def turn(weeks: float) -> None:
        monkeypatch.setattr(time, "time", lambda: MONDAY + weeks * WEEK)

    turn(0.5)
    return turn


def now() -> float:
    """The clock that a test may have turned since the server began."""
    return time.time()


@contextlib.contextmanager
def taking(store: Path, bundle: Path, **options: Any) -> Iterator[str]:
    with collecting(store, bundle, clock=now, **{"samples": 6, **options}) as url:
        yield f"{url}/samples"


def fill(store: SampleStore, seed: int, count: int = 60) -> None:
    chance = np.random.default_rng(seed)
    for _ in range(count):
        store.offer(
            {"scores": chance.dirichlet(np.ones(3))}, {"image": chance.normal(size=(8, 8, 1)).astype(np.float32)}
        )
    store.save()


def device(folder: Path, bundle: Path, seed: int) -> SampleStore:
    """One whose user agreed, with samples."""
    store = SampleStore(bundle / "profile.json", artifact=ARTIFACT, state=folder / str(seed), most=20)
    store.allow()
    fill(store, seed)
    return store


def rows_of(store: Path) -> list[dict[str, str]]:
    with (store / "samples" / "samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sample(bundle: Path, /, image: Any = None, *, inputs: Any = None, **fields: Any) -> bytes:
    """The bytes of a sample as a client makes them, and perhaps as none does."""
    image = np.zeros((8, 8, 1), np.float32) if image is None else image
    encoded = encode_tensors({"image": np.nan_to_num(image)})
    assert encoded
    described, _ = encoded
    report = report_of(bundle, 1)
    head = {
        "window": "2026-W48", "user": "5" * 32, "profile": report["profile"], "bundle": None, "artifact": ARTIFACT,
        "content": report["content"], "picked": "random", "predicted": 1, "margin": 0.25,
    }  # fmt: skip
    return encode_sample({**head, **fields}, described if inputs is None else inputs, image.tobytes())


def post(url: str, body: bytes, **headers: str) -> tuple[int, Any]:
    sender = Sender(url)
    return sender.ask("POST", "/samples", body, **headers)


def test_from_devices_to_an_audit(bundle: Path, tmp_path: Path, clock: Any) -> None:
    devices = [device(tmp_path, bundle, seed) for seed in range(12)]
    with taking(tmp_path / "inbox", bundle) as url:
        assert {item.send(url).sent for item in devices} == {0}, "the week is not over"
        clock(1.2)
        results = [item.send(url) for item in devices]
        assert {(item.wanted, item.sent, item.refused, item.waiting, item.error) for item in results} == {
            (6, 6, 0, 0, "")
        }
        assert {item.send(url).sent for item in devices} == {0}, "once"
        assert [item.preview() for item in devices] == [[]] * 12, (
            "what was not wanted of a week that is over is deleted"
        )
    rows = rows_of(tmp_path / "inbox")
    assert tuple(rows[0]) == COLUMNS
    assert Tally((row["user"], row["picked"]) for row in rows) == {
        (user, picked): 3 for user in {row["user"] for row in rows} for picked in ("random", "margin")
    }
    assert len({row["sample"] for row in rows}) == 72
    assert {(row["week"], row["artifact"]) for row in rows} == {("2026-W48", ARTIFACT)}
    for row in rows:
        with np.load(tmp_path / "inbox" / "samples" / f"{row['sample']}.npz") as tensors:
            assert (tensors["image"].shape, tensors["image"].dtype) == ((8, 8, 1), np.float32)
    margins = {
        picked: [float(row["margin"]) for row in rows if row["picked"] == picked] for picked in ("random", "margin")
    }
    assert np.mean(margins["margin"]) < np.mean(margins["random"]) / 4
    drawn = api.draw_audit(tmp_path / "inbox", tmp_path / "audit.csv", count=12, bundle=bundle, window="2026-W48")
    assert (drawn.rows, drawn.users, drawn.drawn) == (36, 12, 12)
    with (tmp_path / "audit.csv").open(newline="") as file:
        audit = list(csv.DictReader(file))
    assert {row["picked"] for row in audit} == {"random"}
    assert {row["sample"] for row in audit} <= {row["sample"] for row in rows}
    assert {row["label"] for row in audit} == {""}


def test_what_cannot_be_sent_waits_and_is_chosen_once(
    bundle: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = device(tmp_path, bundle, 1)
    clock(1.2)
    assert store.send("http://127.0.0.1:9/samples").error.startswith("the server was not asked")
    assert len(store.preview()) == 20, "nothing was chosen yet"
    with taking(tmp_path / "inbox", bundle, samples_mb=1) as url:
        monkeypatch.setattr("edgeship.monitoring.inbox.samples.folder.SPARE_BYTES", 400_000)
        result = store.send(url)  # of which two fit into a megabyte
        assert (result.sent, result.waiting, result.error) == (2, 4, "the server answered 503")
        assert len(store.preview()) == 4
    monkeypatch.setattr("edgeship.monitoring.inbox.samples.folder.SPARE_BYTES", 512)
    with taking(tmp_path / "inbox", bundle) as url:
        assert store.send(url).sent == 4
    assert Tally(row["picked"] for row in rows_of(tmp_path / "inbox")) == {"random": 3, "margin": 3}


def test_a_full_folder_wants_nothing(bundle: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeship.monitoring.inbox.samples.folder.SPARE_BYTES", 524_288 - 256)
    with taking(tmp_path / "inbox", bundle, samples_mb=1) as url:
        for number, status in enumerate((201, 201, 503)):
            assert post(url, sample(bundle, user=f"{number:032}"))[0] == status
        assert {*Sender(url).ask("GET", "/samples/wanted")[1]["wanted"].values()} == {0}
    assert len(rows_of(tmp_path / "inbox")) == 2


def test_the_same_sample_is_there_once_also_after_a_restart(bundle: Path, tmp_path: Path, clock: Any) -> None:
    body = sample(bundle)
    for expected in ((201, 200), (200, 200)):
        with taking(tmp_path / "inbox", bundle) as url:
            assert post(url, body)[0] == expected[0]
            assert post(url, gzip.compress(body), Content_Encoding="gzip")[0] == expected[1]
    assert len(rows_of(tmp_path / "inbox")) == 1


def test_a_row_that_was_broken_off_is_taken_again(bundle: Path, tmp_path: Path, clock: Any) -> None:
    bodies = [sample(bundle, user=f"{number:032}") for number in range(3)]
    with taking(tmp_path / "inbox", bundle) as url:
        assert [post(url, body)[0] for body in bodies] == [201] * 3
    table = tmp_path / "inbox" / "samples" / "samples.csv"
    table.write_bytes(table.read_bytes()[:-40])  # as a crash leaves it
    with taking(tmp_path / "inbox", bundle) as url:
        assert [post(url, body)[0] for body in bodies] == [200, 200, 201]
    assert len({row["sample"] for row in rows_of(tmp_path / "inbox")}) == len(rows_of(tmp_path / "inbox")) == 3


def test_a_disk_that_is_full_breaks_no_row(
    bundle: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def write_half(file: int, content: bytes) -> int:
        return write(file, content[: len(content) // 2] if b",2026-W48," in content else content)

    bodies = [sample(bundle, user=f"{number:032}") for number in range(2)]
    with taking(tmp_path / "inbox", bundle) as url:
        assert post(url, bodies[0])[0] == 201
        table = tmp_path / "inbox" / "samples" / "samples.csv"
        before = table.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_half)
            status, answer = post(url, bodies[1])
        assert (status, answer["reason"]) == (503, "store")
        assert str(tmp_path) not in answer["error"]
        assert table.read_bytes() == before
        assert post(url, bodies[1])[0] == 201
    assert len(rows_of(tmp_path / "inbox")) == 2


def test_more_at_once_than_memory_is_for_are_told_to_wait(
    bundle: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeship.monitoring.inbox.collector.sample_desk.MOST_WAITING_BYTES", 9000)  # of one
    with taking(tmp_path / "inbox", bundle) as url:
        slow = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        slow.putrequest("POST", "/samples")
        slow.putheader("Content-Length", "300")
        slow.endheaders(b"{")
        while post(url, sample(bundle))[0] != 503:  # until the slow one is begun
            pass
        slow.close()
        while (status := post(url, sample(bundle))[0]) == 503:
            pass
        assert status in (200, 201)


def test_many_at_once_are_there_once_each(bundle: Path, tmp_path: Path, clock: Any) -> None:
    bodies = [sample(bundle, user=f"{number:032}") for number in range(40)]

    def send(url: str, body: bytes) -> None:
        while post(url, body)[0] == 503:  # more than are taken at once
            pass

    with taking(tmp_path / "inbox", bundle) as url, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda body: send(url, body), bodies * 2))
    assert len(rows_of(tmp_path / "inbox")) == 40


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"profile": "9" * 64}, "unknown", "not known here"),
        ({"bundle": "9" * 64}, "unknown", "bundle that is not known"),
        ({"content": "9" * 64}, "unknown", "artifact that the bundle has not"),
        ({"artifact": "../../etc/passwd"}, "invalid", "an artifact's id"),
        ({"user": "../me"}, "invalid", "32 hexadecimal digits"),
        ({"user": "=cmd()"}, "invalid", "32 hexadecimal digits"),
        ({"window": "2020-W01"}, "window", "the sample is of 2020-W01"),
        ({"window": "2026-W99"}, "invalid", "week of the ISO calendar"),
        ({"predicted": 3}, "invalid", "class 3 is none"),
        ({"predicted": -1}, "invalid", "predicted"),
        ({"margin": 1.5}, "invalid", "margin"),
        ({"margin": float("nan")}, "invalid", "not JSON"),
        ({"picked": "all"}, "invalid", "picked"),
        ({"name": "me"}, "invalid", "name"),
        ({"schema": 2}, "invalid", "schema"),
        ({"inputs": []}, "tensors", "must be image"),
        ({"inputs": [{"name": "../x", "dtype": "float32", "shape": [8, 8, 1]}]}, "tensors", "must be image"),
        ({"inputs": [{"name": "image", "dtype": "object", "shape": [8, 8, 1]}]}, "tensors", "must be float32"),
        ({"inputs": [{"name": "image", "dtype": "float64", "shape": [8, 8, 1]}]}, "tensors", "must be float32"),
        ({"inputs": [{"name": "image", "dtype": "float32", "shape": [64]}]}, "tensors", "of the shape 8x8x1"),
        ({"inputs": [{"name": "image", "dtype": "float32", "shape": [0, 8, 1]}]}, "invalid", "shape"),
        ({"inputs": [{"name": "image", "dtype": "float32", "shape": [2, 8, 8, 1]}]}, "tensors", "of the shape"),
        ({"inputs": [{"name": "image", "dtype": "float32", "shape": [2**31 - 1] * 3}]}, "tensors", "of the shape"),
        ({"image": np.zeros(63, np.float32)}, "tensors", "252 bytes of numbers, by its shapes they are 256"),
        ({"image": np.full((8, 8, 1), np.nan, np.float32)}, "tensors", "not finite"),
        ({"image": np.full((8, 8, 1), np.inf, np.float32)}, "tensors", "not finite"),
    ],
)
def test_what_is_no_sample_gets_a_sentence(
    change: Json, reason: str, said: str, strangers: tuple[str, Path], bundle: Path, clock: Any
) -> None:
    url, folder = strangers
    fixed = [{"name": "image", "dtype": "float32", "shape": [8, 8, 1]}]
    status, answer = post(url, sample(bundle, **{"inputs": fixed, **change}))
    assert (status, answer["reason"]) == (422, reason), answer
    assert said in answer["error"] and "\n" not in answer["error"]
    assert not list(folder.rglob("*.npz")), "nothing is kept of it"


@pytest.fixture(scope="module")
def strangers(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("strangers")
    with collecting(folder, bundle, samples=6, clock=lambda: MONDAY + WEEK) as url:
        yield f"{url}/samples", folder


def test_bad_requests_get_a_sentence(strangers: tuple[str, Path], bundle: Path, clock: Any) -> None:
    url, folder = strangers
    good = sample(bundle)
    bomb = gzip.compress(b" " * 50_000_000)
    for status, answer in (
        (422, post(url, b"")),
        (422, post(url, b"{")),
        (422, post(url, b"[" * 5000)),
        (422, post(url, b"x" * 8400)),
        (422, post(url, b"\x00\xff\n" + bytes(256))),
        (422, post(url, good, Idempotency_Key="another")),
        (415, post(url, good, Content_Encoding="br")),
        (400, post(url, gzip.compress(good)[:-9], Content_Encoding="gzip")),
        (413, post(url, bomb, Content_Encoding="gzip")),
        (413, post(url, good + bytes(20_000))),
        (403, post(url, good, Origin="https://evil.example")),
        (405, Sender(url).ask("GET", "/samples")),
        (405, Sender(url).ask("POST", "/samples/wanted", b"")),
    ):
        assert answer[0] == status, answer
        assert isinstance(answer[1]["error"], str)
    assert not list(folder.rglob("*.npz"))


def test_of_one_user_and_week_only_so_many_are_taken(bundle: Path, tmp_path: Path, clock: Any) -> None:
    with taking(tmp_path / "inbox", bundle, samples=3) as url:
        images = [np.full((8, 8, 1), number, np.float32) for number in range(3)]
        assert [post(url, sample(bundle, image))[0] for image in images] == [201, 201, 422]
        assert [post(url, sample(bundle, image, picked="margin"))[0] for image in images] == [201, 422, 422]
        status, answer = post(url, sample(bundle, images[2]))
        assert (status, answer["reason"]) == (422, "quota")
        assert post(url, sample(bundle, images[2], user="6" * 32))[0] == 201
        text = Sender(url).ask("GET", "/metrics")[1]
        assert 'edgeship_samples_total{result="quota"} 4' in text


def test_a_server_that_was_not_asked_for_samples_takes_none(bundle: Path, tmp_path: Path, clock: Any) -> None:
    store = device(tmp_path, bundle, 1)
    clock(1.2)
    with collecting(tmp_path / "inbox", bundle) as url:
        assert Sender(url).ask("GET", "/samples/wanted")[0] == 404
        assert post(f"{url}/samples", sample(bundle))[0] == 404
        result = store.send(f"{url}/samples")
        assert (result.wanted, result.sent, result.error) == (0, 0, "")
    assert not (tmp_path / "inbox" / "samples").exists()
    assert len(store.preview()) == 20


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (b"", 0),
        (b"[]", 0),
        (b'{"wanted": 5}', 0),
        (b'{"wanted": {}}', 0),
        (b'{"wanted": {"x": "all"}}', 0),
        (b'{"wanted": {"x": true}}', 0),
        (b'{"wanted": {"x": -1}}', 0),
        (b"[" * 9999, 0),
        (b'{"wanted": {"x": 7}}' + b" " * (1 << 20), 7),
        (b'{"wanted": {"x": 1000000}}', 1000),
    ],
)
def test_a_strange_answer_means_none_and_no_answer_asks_for_everything(
    answer: bytes, number: int, tmp_path: Path
) -> None:
    (tmp_path / "wanted").write_bytes(answer)
    with serve_folder(tmp_path) as url:
        found, error = ask_wanted(f"{url}/wanted?profile=x", "x", 10.0)
    assert found == number
    assert len(error) < 200 and "\n" not in error


def test_two_servers_cannot_take_samples_into_one_folder(bundle: Path, tmp_path: Path) -> None:
    with taking(tmp_path / "inbox", bundle):
        with pytest.raises(InputError, match="another process takes samples there"):
            api.open_collector(store=tmp_path / "inbox", bundles=[bundle], port=0, samples=6)
        with taking(tmp_path / "inbox", bundle, samples_to=tmp_path / "elsewhere"):
            pass
    with taking(tmp_path / "inbox", bundle):
        pass


def test_what_cannot_take_samples_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "samples.csv").write_text("name,age\n")
    with pytest.raises(InputError, match="no table of samples"):
        api.open_collector(store=tmp_path, bundles=[bundle], port=0, samples=6)
    with pytest.raises(InputError, match="1 to 1,000"):
        api.open_collector(store=tmp_path, bundles=[bundle], port=0, samples=2000)
    with taking(tmp_path / "known", bundle):
        pass
    with pytest.raises(InputError, match="an inbox remembers profiles, not contracts"):
        api.open_collector(store=tmp_path / "known", port=0, samples=6)


def test_a_version_that_is_published_meanwhile_is_wanted(
    bundle: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeship.deploy.signing.keys import generate_keys

    monkeypatch.setattr("edgeship.monitoring.inbox.collector.known.PAUSE", 0.0)
    generate_keys(tmp_path / "keys")
    other = write_bundle_with_profile(tmp_path / "other", 2)
    settings: Json = {"name": "garments/stable", "keys": tmp_path / "keys"}
    api.publish_bundle(bundle, tmp_path / "channel", **settings)
    store = device(tmp_path, other, 5)
    clock(1.2)
    with collecting(tmp_path / "s", channel=tmp_path / "channel", samples=2, clock=now) as url:
        assert store.send(f"{url}/samples").wanted == 0
        api.publish_bundle(other, tmp_path / "channel", **settings)
        assert store.send(f"{url}/samples").sent == 2


def test_an_audit_is_of_one_bundle_and_artifact(tmp_path: Path) -> None:
    table = tmp_path / "samples.csv"
    lines = [",".join(COLUMNS)]
    for number in range(40):
        bundle, artifact = "ab"[number % 2] * 64, ("tflite/int8", "onnx/int8")[number % 4 // 2]
        lines.append(f"{number},2026-W48,{bundle},{artifact},{number},{('random', 'margin')[number >= 20]},1,0.5,x")
    table.write_text("\n".join(lines) + "\n")
    for said, options in (
        ("samples of 2 bundles", {}),
        ("no random rows, week 2026-W40", {"window": "2026-W40"}),
        ("of 20 rows|of 20 users|samples of 2 bundles", {"artifact": "tflite/int8"}),
    ):
        with pytest.raises(InputError, match=said):
            api.draw_audit(tmp_path, tmp_path / "audit.csv", count=5, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"has no samples\.csv"):
        api.draw_audit(tmp_path.parent, tmp_path / "audit.csv", count=5)


@pytest.mark.more
def test_a_killed_server_keeps_what_it_answered_and_takes_the_rest_once(bundle: Path, tmp_path: Path) -> None:
    bodies = [sample(bundle, user=f"{number:032}", window=this_week()) for number in range(400)]
    server = KilledServer(tmp_path / "inbox", bundle, options=("--samples", 2))
    pauses = random.Random(3)
    left, answered = list(bodies), set[bytes]()
    for _ in range(8):
        killer = threading.Timer(pauses.uniform(0.05, 0.6), server.kill)
        killer.start()
        with contextlib.suppress(OSError, http.client.HTTPException):
            while left:
                assert post(server.url, left[-1])[0] in (200, 201)
                answered.add(left.pop())
        killer.join()
        assert {hashlib.sha256(body).hexdigest()[:32] for body in answered} <= {
            row["sample"] for row in whole_rows(tmp_path)
        }
        server.start()
    while left:
        assert post(server.url, left.pop())[0] in (200, 201)
    server.stop()
    rows = rows_of(tmp_path / "inbox")
    assert sorted(row["sample"] for row in rows) == sorted(hashlib.sha256(body).hexdigest()[:32] for body in bodies)
    for row in rows:
        with np.load(tmp_path / "inbox" / "samples" / f"{row['sample']}.npz") as tensors:
            assert tensors["image"].shape == (8, 8, 1)


def whole_rows(folder: Path) -> list[dict[str, str]]:
    """Those of the table that end: a crash may have broken the last one off."""
    text = (folder / "inbox" / "samples" / "samples.csv").read_text()
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))

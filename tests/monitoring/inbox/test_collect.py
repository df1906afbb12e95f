"""The server, over real connections: what it takes, what it refuses, and that nothing it took is lost."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgeship import api
from edgeship.errors import InputError
from edgeship.monitoring.inbox.bundles import BundleSources
from edgeship.monitoring.inbox.collector.known import KnownBundles
from edgeship.monitoring.inbox.collector.rate_limit import RateLimit
from edgeship.monitoring.inbox.collector.writer import Writer
from edgeship.monitoring.inbox.inbox import Inbox, open_filled
from edgeship.monitoring.inbox.place import parse_store
from edgeship.monitoring.reports.read import MOST_BYTES, read_report
from tests.monitoring.inbox.samples import Json, mix_traffic, report_of, to_line, write_bundle_with_profile
from tests.monitoring.inbox.stores import ask_store, is_there

SHOP = "https://shop.example"


class Sender:
    """A connection that stays open."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        self._connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = self._connection.getresponse()
        content = answer.read()
        self.headers = {name.lower(): text for name, text in answer.getheaders()}
        return answer.status, json.loads(content) if "json" in self.headers.get(
            "content-type", ""
        ) else content.decode()

    def post(self, body: Json | bytes, **headers: str) -> tuple[int, Any]:
        return self.ask("POST", "/reports", body if isinstance(body, bytes) else to_line(body), **headers)


@contextlib.contextmanager
def collecting(store: Path | str, *bundles: Path, **options: Any) -> Iterator[str]:
    settings: Json = {"rate": 1e6, "origins": [SHOP]} | options
    with api.open_collector(store=store, bundles=bundles, port=0, **settings) as collector:
        thread = threading.Thread(target=collector.serve)
        thread.start()
        try:
            yield collector.url
        finally:
            collector.stop()
            thread.join()


@pytest.fixture(scope="module")
def running(bundle: Path, new_store: Callable[[], str]) -> Iterator[tuple[str, str]]:
    store = new_store()
    with collecting(store, bundle) as url:
        yield url, store


@pytest.fixture
def sender(running: tuple[str, str]) -> Sender:
    return Sender(running[0])


def test_a_report_counts_once_and_a_retry_is_told_so(sender: Sender, running: tuple[str, str], bundle: Path) -> None:
    report = report_of(bundle, 1)
    key = read_report(to_line(report)).key
    assert sender.post(report, Idempotency_Key=key) == (201, {"result": "new", "late": False})
    assert sender.post(report, Idempotency_Key=key) == (200, {"result": "duplicate", "late": False})
    assert sender.post(gzip.compress(to_line(report)), Content_Encoding="gzip")[0] == 200
    assert [item.report.install for item in api.read_reports(running[1])].count(report["install"]) == 1


def test_two_that_differ_are_both_put_aside(sender: Sender, running: tuple[str, str], bundle: Path) -> None:
    report = report_of(bundle, 2)
    assert sender.post(report)[0] == 201
    status, said = sender.post({**report, "switches": 3})
    assert (status, said["reason"]) == (409, "conflict")
    assert sender.post(report)[0] == 409
    assert report["install"] not in [item.report.install for item in api.read_reports(running[1])]


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"profile": "9" * 64}, "unknown", "not known here"),
        ({"window": "2020-W01"}, "window", "more than 35 days"),
        ({"latency": [136, 1]}, "bins", "the profile 136 cells"),
        ({"n": 77}, "invalid", "do not add up"),
        ({"user": "me"}, "invalid", "'user'"),
    ],
)
def test_bad_reports_get_a_sentence(fields: Json, reason: str, said: str, sender: Sender, bundle: Path) -> None:
    status, answer = sender.post(report_of(bundle, 3, **fields))
    assert (status, answer["reason"]) == (422, reason)
    assert said in answer["error"] and "\n" not in answer["error"]


def test_bad_requests_get_a_sentence(sender: Sender, bundle: Path) -> None:
    good = to_line(report_of(bundle, 4))
    for status, answer in (
        (422, sender.post(b"{")),
        (422, sender.post(b"")),
        (422, sender.post(good, Idempotency_Key="another")),
        (415, sender.post(good, Content_Encoding="br")),
        (400, sender.post(good, Content_Encoding="gzip")),
        (400, sender.post(gzip.compress(good)[:-9], Content_Encoding="gzip")),
        (404, sender.ask("POST", "/report", good)),
        (405, sender.ask("GET", "/reports")),
    ):
        assert answer[0] == status
        assert isinstance(answer[1]["error"], str)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_too_large_is_refused_unread(packed: bool, running: tuple[str, str]) -> None:
    body = gzip.compress(b" " * 50_000_000) if packed else b" " * (MOST_BYTES + 1)
    headers = {"Content_Encoding": "gzip"} if packed else {}
    status, answer = Sender(running[0]).post(body, **headers)
    assert (status, answer["error"]) == (413, "the report is larger than 65,536 bytes")


def test_a_body_that_does_not_arrive_is_not_waited_for(
    running: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeship.monitoring.inbox.collector.request.SECONDS", 0.1)
    place = urlsplit(running[0])
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(b"POST /reports HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        answer = connection.makefile("rb").read()  # to the end: the server closes it
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within" in answer


def test_a_client_that_goes_away_harms_nobody(running: tuple[str, str], bundle: Path) -> None:
    place = urlsplit(running[0])
    for sent in (b"POST /rep", b"POST /reports HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"):
        with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
            connection.sendall(sent)
    assert Sender(running[0]).post(report_of(bundle, 40))[0] == 201


def test_only_pages_of_listed_origins_may_send(sender: Sender, bundle: Path) -> None:
    asked: Json = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "idempotency-key"}
    assert sender.ask("OPTIONS", "/reports", Origin=SHOP, **asked)[0] == 204
    assert sender.headers["access-control-allow-origin"] == SHOP
    assert "idempotency-key" in sender.headers["access-control-allow-headers"]
    assert sender.post(report_of(bundle, 5), Origin=SHOP)[0] == 201
    assert sender.headers["access-control-allow-origin"] == SHOP
    for origin in ("https://evil.example", "null", f"{SHOP}.evil.example"):
        for status, _ in (
            sender.ask("OPTIONS", "/reports", Origin=origin, **asked),
            sender.post(report_of(bundle, 6), Origin=origin),
        ):
            assert status == 403
            assert "access-control-allow-origin" not in sender.headers


def test_health_and_counters(sender: Sender) -> None:
    assert sender.ask("GET", "/health") == (200, {"status": "ok", "profiles": 1})
    status, text = sender.ask("GET", "/metrics")
    assert status == 200
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert found['edgeship_reports_total{result="new"}'].isdigit()
    assert found["edgeship_write_failures_total"] == "0"


def test_of_many_at_once_every_valid_one_is_there_once(bundle: Path, store: str) -> None:
    lines, good, kinds = mix_traffic(bundle, 300, 2)
    with collecting(store, bundle) as url:
        local = threading.local()

        def post(line: bytes) -> int:
            if not hasattr(local, "sender"):
                local.sender = Sender(url)
            return int(local.sender.post(line)[0])

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(post, lines))
    assert sorted(item.report.install for item in api.read_reports(store)) == sorted(good)
    refused = sum(kinds[key] for key in ("truncated", "sums", "unknown", "bins", "window"))
    assert statuses.count(422) == refused == sum(api.count_reports(store).refused.values())


def test_answers_are_not_held_back_by_nagles_algorithm(bundle: Path, tmp_path: Path) -> None:
    """asyncio turns it off for sockets that say that they are of TCP, which those of `socket.create_server` do not."""
    with api.open_collector(store=tmp_path, bundles=[bundle], port=0) as collector:
        assert collector._socket.proto == socket.IPPROTO_TCP


def test_one_address_may_not_send_without_end(bundle: Path, tmp_path: Path) -> None:
    with collecting(tmp_path, bundle, rate=0.5) as url:
        sender = Sender(url)
        statuses = [sender.post(report_of(bundle, number))[0] for number in range(8)]
        assert statuses[:5] == [201] * 5
        assert 429 in statuses[5:]
        assert int(sender.headers["retry-after"]) >= 1


def test_a_bucket_fills_again_and_networks_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = RateLimit(1.0)
    assert [limit.take("192.0.2.1", 0.0) for _ in range(11)] == [0.0] * 10 + [1.0]
    assert limit.take("192.0.2.1", 1.5) == 0.0
    assert limit.take("192.0.2.2", 0.0) == 0.0
    for number in range(10):
        assert limit.take(f"2001:db8::{number}", 0.0) == 0.0
    assert limit.take("2001:db8::ffff", 0.0) > 0
    monkeypatch.setattr("edgeship.monitoring.inbox.collector.rate_limit.MOST_ADDRESSES", 500)
    for number in range(1200):
        limit.take(f"address {number}", 2.0)
    assert len(limit._buckets) <= 500


def test_a_bundle_that_is_published_meanwhile_is_known(
    bundle: Path, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeship.monitoring.inbox.collector.known.PAUSE", 0.0)
    other = write_bundle_with_profile(tmp_path / "other", 2)
    file = tmp_path / "r.jsonl"
    file.write_bytes(to_line(report_of(other, 8)))
    with collecting(store, bundle) as url:
        assert Sender(url).post(report_of(other, 9))[0] == 422
        assert api.ingest_reports([file], store=store, bundles=[other]).new == 1
        assert Sender(url).post(report_of(other, 9))[0] == 201


def test_reports_that_arrive_while_bundles_are_read_again_are_judged_by_what_is_found(
    bundle: Path, tmp_path: Path
) -> None:
    async def look_three_times(inbox: Inbox) -> list[bool]:
        known, writer = KnownBundles(inbox, BundleSources()), Writer(inbox)
        known._looked_at = -math.inf
        try:
            looks = await asyncio.gather(known.look_again(writer), known.look_again(writer))
            return [*looks, await known.look_again(writer)]
        finally:
            await writer.close()

    with open_filled(parse_store(str(tmp_path)), BundleSources((bundle,)).read()) as inbox:
        assert asyncio.run(look_three_times(inbox)) == [True, True, False]


def test_a_store_that_cannot_be_written_is_told_and_asked_again(bundle: Path, store: str) -> None:
    with collecting(store, bundle) as url:
        sender = Sender(url)
        assert sender.post(report_of(bundle, 1))[0] == 201
        ask_store(store, "alter table report rename to gone")
        status, answer = sender.post(report_of(bundle, 2))
        assert (status, answer["reason"], sender.headers["retry-after"]) == (503, "store", "60")
        assert store not in answer["error"], "where the inbox lies is nobody's business"
        ask_store(store, "alter table gone rename to report")
        assert sender.post(report_of(bundle, 2))[0] == 201
        assert sender.ask("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "origin",
    ["*", "shop.example", "https://", "https://shop.example/path", "ftp://a", "https://*.example", "https://a:x"],
)
def test_an_origin_that_is_none_is_refused(origin: str, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be the origin of pages"):
        api.open_collector(store=tmp_path, bundles=[bundle], port=0, origins=[origin])


def test_a_port_in_use_and_a_store_without_bundles_are_refused(
    running: tuple[str, str], bundle: Path, store: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1 there"):
        api.open_collector(store=store, bundles=[bundle], port=urlsplit(running[0]).port or 0)
    with pytest.raises(InputError, match="knows no bundle yet"):
        api.open_collector(store=store, port=0)
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match="not a bundle"):
        api.open_collector(store=store, bundles=[tmp_path / "plain"], port=0)
    with pytest.raises(InputError, match="must be the origin"):
        api.open_collector(store=store, bundles=[bundle], port=0, origins=["*"])
    assert not is_there(store)


def test_the_command_ends_by_a_signal_with_all_it_took(bundle: Path, store: str, tmp_path: Path) -> None:
    words = [
        "monitor",
        "collect",
        "--store",
        store,
        "--bundle",
        bundle,
        "--port",
        "0",
        "--json",
        tmp_path / "j",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeship.cli", *map(str, words)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert process.stdout
    assert process.stdout.readline().startswith("collecting: http://127.0.0.1:")
    sender = Sender(json.loads((tmp_path / "j").read_text())["url"])
    assert [sender.post(report_of(bundle, number))[0] for number in range(5)] == [201] * 5
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert api.count_reports(store).reports == 5

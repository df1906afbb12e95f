"""The counter of a device: its counts are those of a recount from the raw samples, and each is sent once."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.client import ClientError, Counter
from edgeship.client.reports import outbox as outboxes
from edgeship.client.reports.outbox import MOST_WAITING
from edgeship.client.reports.tensors import DescriptorBatch, DescriptorCounter
from edgeship.client.reports.windows import name_install, name_window, week_of
from edgeship.monitoring.profile.profile import parse_profile
from edgeship.monitoring.reports.bins import check_bins
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import encode_report
from edgeship.monitoring.reports.windows import find_window, month_of
from tests.monitoring.make_vectors import VECTORS
from tests.monitoring.recount import recount, to_array

CASES = json.loads(VECTORS.read_text())
ARTIFACT = "tflite/int8"


def _arrays(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: to_array(values) for name, values in tensors.items()}


def _open(folder: Path, case: Any = CASES[0], **options: Any) -> Counter:
    folder.mkdir(exist_ok=True)
    (folder / "profile.json").write_text(json.dumps(case["profile"]))
    settings = {"artifact": ARTIFACT, "state": folder / "state", "runtime": "LiteRT 2.3", **options}
    return Counter(folder / "profile.json", **settings)


def _count(counter: Counter, samples: Any) -> None:
    for one in samples:
        counter.count(_arrays(one["outputs"]), _arrays(one["inputs"]), milliseconds=one["ms"])


class Receiver:
    """A server of reports that answers with `status`."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.status = 202
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append((self.headers["Idempotency-Key"], body))
                self.send_response(receiver.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/reports"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the days since Monday, 23 November 2026."""

    def turn(days: float) -> None:
        moment = datetime(2026, 11, 23, tzinfo=UTC).timestamp() + days * 86_400
        monkeypatch.setattr(time, "time", lambda: moment)

    turn(0)
    return turn


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_counts_equal_a_recount_from_the_raw_samples(case: Any, tmp_path: Path) -> None:
    profile = parse_profile(case["profile"])
    assert recount(profile, case["samples"]) == case["counts"]  # what other languages are held to
    counter = _open(tmp_path, case)
    for part in (case["samples"][:11], case["samples"][11:]):  # as where an app saves in between
        _count(counter, part)
        counter.save()
    [sent] = counter.preview()
    report = read_report(json.dumps(sent).encode())
    found = json.loads(encode_report(report))
    assert {name: found[name] for name in case["counts"]} == case["counts"]
    check_bins(report, profile)


def test_several_tensors_at_once_are_described_as_one_by_one() -> None:
    """Also one that is shorter than its stride, and NaN and integers; then others of other sizes."""
    random = np.random.default_rng(3)
    forms = [(600, 7, 3), (30, 1, 1), (4, 1, 5), (1, 1, 1), (2500, 11, 1)]
    counters = [
        DescriptorCounter(
            str(size),
            {"descriptors": [], "columns": False, "every": every, "stride": stride, "low": -0.5, "high": 0.5},
        )
        for size, every, stride in forms
    ]
    batch = DescriptorBatch(counters)
    for scale, extra in ((1, 0), (1000, 0), (1, 3)):
        tensors = [(random.normal(size=size + extra) * scale).astype(np.float32) for size, _, _ in forms]
        tensors[1] = tensors[1].astype(np.int8)
        if scale > 1:
            tensors[4][11] = np.nan
        found = batch.describe(tensors)
        one_by_one = [counter.describe(tensor) for counter, tensor in zip(counters, tensors, strict=True)]
        np.testing.assert_allclose(found, one_by_one, rtol=1e-12, atol=1e-12)
    with pytest.raises(ClientError, match="'4' is empty"):
        batch.describe([*tensors[:2], np.zeros(0), *tensors[3:]])


def test_a_report_says_what_was_counted_and_nothing_else(tmp_path: Path) -> None:
    counter = _open(tmp_path, arms={"exp-7": "b"}, bundle="d" * 64, tier="low")
    _count(counter, CASES[0]["samples"])
    for event, predicted in (("accepted", 3), ("accepted", 3), ("bought", 0)):
        counter.outcome(event, predicted)
    counter.error("out_of_memory")
    counter.fallback()
    [sent] = counter.preview()
    assert sent["outcomes"] == {"accepted": [3, 2], "bought": [0, 1]}
    assert (sent["errors"], sent["fallbacks"]) == ({"out_of_memory": 1}, 1)
    assert (sent["arms"], sent["bundle"], sent["tier"]) == ({"exp-7": "b"}, "d" * 64, "low")
    assert read_report(json.dumps(sent).encode()).n == len(CASES[0]["samples"])


def test_200_inferences_are_a_kilobyte(tmp_path: Path) -> None:
    counter = _open(tmp_path, bundle="d" * 64, arms={"exp-7": "b"})
    samples = CASES[0]["samples"]
    random = np.random.default_rng(0)
    for number in range(200):
        one = samples[number % len(samples)]
        image = to_array(one["inputs"]["image"]) * random.uniform(0.5, 1.5)
        scores = random.dirichlet(np.full(10, 0.3))
        predicted = counter.count({"y": scores}, {"image": image}, milliseconds=random.lognormal(2))
        counter.outcome("accepted" if number % 3 else "corrected", predicted)
    [sent] = counter.preview()
    assert len(gzip.compress(json.dumps(sent, separators=(",", ":")).encode())) <= 1024


def test_a_week_is_sent_once_it_is_over_and_only_once(tmp_path: Path, receiver: Receiver, clock: Any) -> None:
    counter = _open(tmp_path)
    _count(counter, CASES[0]["samples"][:5])
    assert counter.send(receiver.url).sent == 0
    clock(7)
    _count(counter, CASES[0]["samples"][:2])
    assert counter.send(receiver.url).sent == 1
    assert counter.send(receiver.url).sent == 0
    assert counter.send(receiver.url, current=True).sent == 1
    reports = [read_report(body) for _, body in receiver.bodies]
    assert [(one.window, one.n, one.sequence) for one in reports] == [("2026-W48", 5, 0), ("2026-W49", 2, 1)]
    assert [key for key, _ in receiver.bodies] == [one.key for one in reports]
    assert reports[0].install != reports[1].install  # of November and December


def test_what_could_not_be_sent_waits_and_is_sent_as_it_was(tmp_path: Path, receiver: Receiver, clock: Any) -> None:
    counter = _open(tmp_path)
    _count(counter, CASES[0]["samples"])
    receiver.status = 503
    assert counter.send(receiver.url, current=True).waiting == 1
    assert "not time" in counter.send(receiver.url).error
    assert len(receiver.bodies) == 1
    receiver.status = 202
    clock(1)
    assert _open(tmp_path).send(receiver.url).sent == 1  # another process, later
    assert receiver.bodies[0] == receiver.bodies[1]


def test_a_device_without_a_network_keeps_its_newest_reports(tmp_path: Path, clock: Any) -> None:
    counter = _open(tmp_path)
    for week in range(MOST_WAITING + 3):
        clock(7 * week)
        _count(counter, CASES[0]["samples"][:1])
        result = counter.send("http://127.0.0.1:9/reports")
        assert result.waiting == min(week, MOST_WAITING)
    assert [one["sequence"] for one in counter.preview()] == list(range(3, MOST_WAITING + 3))


@pytest.mark.parametrize("status", [400, 409, 413, 307])
def test_what_a_server_refuses_is_not_sent_again(tmp_path: Path, receiver: Receiver, status: int) -> None:
    counter = _open(tmp_path)
    _count(counter, CASES[0]["samples"])
    receiver.status = status
    result = counter.send(receiver.url, current=True)
    assert (result.sent, result.refused, result.waiting) == (0, 1, 0)
    assert str(status) in result.error
    assert counter.send(receiver.url, current=True).refused == 0


def test_two_processes_count_into_one_report(tmp_path: Path) -> None:
    def count_often(counter: Counter) -> None:
        for _ in range(20):
            _count(counter, CASES[0]["samples"][:2])
            counter.save()

    one, other = _open(tmp_path), _open(tmp_path)
    threads = [threading.Thread(target=count_often, args=(counter,)) for counter in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [sent] = one.preview()
    assert sent["n"] == 80


@pytest.mark.more
def test_a_killed_process_loses_only_what_it_had_not_saved(tmp_path: Path) -> None:
    _open(tmp_path)
    code = (
        "import sys; from pathlib import Path; from tests.client.test_counter import CASES, _count, _open\n"
        "counter = _open(Path(sys.argv[1]))\n"
        "for number in range(10**6):\n"
        "    _count(counter, CASES[0]['samples'][:1]); counter.save(); print(number + 1, flush=True)\n"
    )
    told = killed = 0
    for _ in range(3):
        command = [sys.executable, "-c", code, str(tmp_path)]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout
            first = process.stdout.readline()
            process.kill()
            told += int([first, *process.stdout.read().split()][-1])
            killed += 1
            process.wait()
    [sent] = _open(tmp_path).preview()
    assert told <= sent["n"] <= told + killed


def test_another_arm_or_artifact_is_another_report(tmp_path: Path) -> None:
    for arm in ("a", "b"):
        with _open(tmp_path, arms={"exp-7": arm}) as counter:
            _count(counter, CASES[0]["samples"][:3])
    sent = counter.preview()
    assert [(one["arms"]["exp-7"], one["sequence"], one["n"]) for one in sent] == [("a", 0, 3), ("b", 1, 3)]
    assert sent[0]["install"] == sent[1]["install"]


def test_a_report_never_gets_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "MOST_CELLS", 20)
    counter = _open(tmp_path)
    for one in CASES[0]["samples"]:
        _count(counter, [one])
        counter.save()
    sent = counter.preview()
    assert len(sent) > 1
    assert sum(one["n"] for one in sent) == len(CASES[0]["samples"])


def test_damaged_counts_begin_anew(tmp_path: Path) -> None:
    counter = _open(tmp_path)
    _count(counter, CASES[0]["samples"])
    counter.save()
    for content in ("", "{", "[]", '{"schema": 1}', "[" * 9999):
        (tmp_path / "state" / "reports.json").write_text(content)
        assert counter.preview() == []
        counter.error("crash")
        assert len(counter.preview()) == 1


def test_what_can_be_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    counter = _open(tmp_path)
    sample = CASES[0]["samples"][0]
    outputs, inputs = _arrays(sample["outputs"]), _arrays(sample["inputs"])
    refused: list[tuple[str, Callable[[], object]]] = [
        ("no artifact 'tflite/x'", lambda: _open(tmp_path, artifact="tflite/x")),
        ("runtime must be", lambda: _open(tmp_path, runtime="é")),
        ("arm's name", lambda: _open(tmp_path, arms={"Exp 7": "a"})),
        ("tier must be", lambda: _open(tmp_path, tier="iPhone")),
        ("bundle must be", lambda: _open(tmp_path, bundle="me")),
        ("no tensor 'image'", lambda: counter.count(outputs, {})),
        ("'y' has 3 scores", lambda: counter.count({"y": np.zeros(3)}, inputs)),
        ("event", lambda: counter.outcome("John bought it")),
        ("class 10 is none", lambda: counter.outcome("bought", 10)),
        ("code", lambda: counter.error("Cannot open /home/me")),
        ("no address", lambda: counter.send("models.example.com")),
    ]
    for said, call in refused:
        with pytest.raises(ClientError, match=said):
            call()
    assert counter.preview() == []  # what was refused is not counted by half
    (tmp_path / "profile.json").write_text("{}")
    with pytest.raises(ClientError, match="no profile of schema 1"):
        Counter(tmp_path / "profile.json", artifact=ARTIFACT, state=tmp_path / "s", runtime="x")


def test_windows_and_pseudonyms_are_those_that_servers_expect() -> None:
    for days in range(0, 4000, 3):
        moment = datetime.fromtimestamp(1_700_000_000 + days * 86_400, UTC)
        assert name_window(week_of(moment.timestamp())) == find_window(moment.date())
    windows = [name_window(2900 + week) for week in range(120)]
    installs = [name_install("ab" * 32, window) for window in windows]
    for before, after in pairwise(zip(windows, installs, strict=True)):
        assert (before[1] == after[1]) == (month_of(before[0]) == month_of(after[0]))
    assert name_install("ab" * 32, "2026-W48") != name_install("cd" * 32, "2026-W48")


def test_counting_costs_a_fraction_of_what_an_answer_costs(tmp_path: Path) -> None:
    """In units of one small NumPy operation, which no machine is too busy for: 50 microseconds are some 100 of them."""
    counter, case = _open(tmp_path), CASES[0]["samples"][0]
    outputs, inputs = _arrays(case["outputs"]), _arrays(case["inputs"])
    small = np.ones(64)

    def seconds(call: Callable[[], object], times: int) -> float:
        return min(_time(call, times) for _ in range(7))

    unit = seconds(lambda: np.add.reduce(small), 2000)
    assert seconds(lambda: counter.count(outputs, inputs, milliseconds=3.0), 300) < 60 * unit


def _time(call: Callable[[], object], times: int) -> float:
    """Seconds of this thread alone: others may run beside it."""
    begin = time.thread_time()
    for _ in range(times):
        call()
    return (time.thread_time() - begin) / times

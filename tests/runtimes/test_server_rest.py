"""The client of inference servers: the artifact's own answers, what lies between, and servers that are none."""

import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from edgeship.devices import profiles
from edgeship.devices.network import Network, draw_answers
from edgeship.errors import InputError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker import server_scenario
from edgeship.types import Artifact
from tests.serving.worth.oip_server import serve

KEY = "0123456789abcdef0123"
ARTIFACT = Artifact(Path("model.onnx"), "onnx", "float32", (), ())


@pytest.fixture(scope="module")
def server(tiny_models):
    with serve(tiny_models / "cnn.onnx", "onnxruntime") as server:
        yield server


@pytest.fixture(scope="module")
def images(tiny_models):
    with np.load(tiny_models / "expected.npz") as arrays:
        return {"image": arrays["cnn/inputs/image"]}


def opened(server, tiny_models, **options):
    options = {"url": server.url, "model": "model", **options}
    return open_session(
        "server-rest", tiny_models / "cnn.onnx", options=options, launch=registry.find("server-rest").find_launch()
    )


@pytest.mark.parametrize("as_bytes", [True, False])
def test_the_answers_are_the_artifacts_own_to_the_bit(as_bytes, server, tiny_models, images):
    server.as_bytes = as_bytes
    with opened(server, tiny_models) as client, open_session("onnxruntime", tiny_models / "cnn.onnx") as own:
        assert client.inputs == own.inputs
        assert client.outputs == own.outputs
        np.testing.assert_array_equal(client.run(images)["probs"], own.run(images)["probs"])
        assert client.engine["tensors"] == ("bytes" if as_bytes else "JSON")
        payload = images["image"][:1].nbytes
        assert payload < client.engine["bytes_up"] < payload + 500
        assert 0 < client.engine["bytes_down"] < 500


def test_a_server_that_asks_for_a_key(tiny_models, images, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"# ours\n{KEY}\n{KEY[::-1]}\n")
    with serve(tiny_models / "cnn.onnx", "onnxruntime", key=KEY) as locked:
        launch = {"how": "server", "url": locked.url, "model": "model", "artifact": "onnx/float32"}
        device = replace(profiles.find_device("server-local"), launch=launch)
        with pytest.raises(ProcessError, match=r"401.*needs a key"):
            find_launcher(device).open("server-rest", tiny_models / "cnn.onnx", timed=False)
        device = replace(device, launch={**launch, "api_key_file": str(keys), "rtt_ms": 1})
        with find_launcher(device).open("server-rest", tiny_models / "cnn.onnx", timed=True) as client:
            assert client.run(images)["probs"].shape[0] == len(images["image"])
            assert client.highest_rate(100, 0.1, 2).clients == 2
            assert KEY not in str(client.engine)


@pytest.mark.parametrize(("text", "message"), [(None, "cannot be read as lines"), ("\n", "needs a key a line")])
def test_no_key_in_a_file(text, message, tmp_path):
    if text is not None:
        (tmp_path / "keys").write_text(text)
    launch = {"how": "server", "url": "http://127.0.0.1:1", "model": "m", "artifact": "onnx/float32"}
    launch["api_key_file"] = str(tmp_path / "keys")
    launcher = find_launcher(replace(profiles.find_device("server-local"), launch=launch))
    with pytest.raises(InputError, match=message):
        launcher.open("server-rest", Path("model.onnx"), timed=False)


def test_a_network_between_delays_as_its_model_says(server, tiny_models):
    network = Network(rtt_ms=60, jitter_ms=5, up_mbit=5, down_mbit=5)
    server.as_bytes = True
    with opened(server, tiny_models, network=asdict(network)) as client:
        first, times = client.first_ms, sorted(client.latency(1.5, 20).samples_ms)
        sizes = client.engine["bytes_up"], client.engine["bytes_down"]
    expected = draw_answers(network, [1.0], *sizes)
    # A busy machine adds to it and takes nothing away.
    assert 0.97 * expected[0] < times[0]
    assert 0.9 * expected[1000] < times[len(times) // 2] < expected[1000] + 60
    assert first > 170, "a new connection takes two round trips more"


def test_bytes_pass_the_proxy_as_they_are(server, tiny_models, images):
    many = {"image": np.concatenate([images["image"]] * 40)}
    with opened(
        server, tiny_models, network=asdict(Network(rtt_ms=4, up_mbit=200, down_mbit=200, loss=0.01))
    ) as client:
        through = client.run(many)["probs"]
    with open_session("onnxruntime", tiny_models / "cnn.onnx") as own:
        np.testing.assert_array_equal(through, own.run(many)["probs"])


def test_what_a_server_refuses_is_told_in_its_own_words(server, tiny_models, images):
    with opened(server, tiny_models) as client:
        server.broken = True
        try:
            with pytest.raises(ProcessError, match=r"the server answers 503: .*no memory left"):
                client.run(images)
        finally:
            server.broken = False
        assert len(client.run(images)["probs"]) == len(images["image"])


def test_a_model_that_the_server_does_not_have(server, tiny_models):
    with pytest.raises(ProcessError, match=r"GET /v2/models/nobody: the server answers 404"):
        opened(server, tiny_models, model="nobody")


def test_no_server_there(tiny_models):
    with pytest.raises(ProcessError, match=r"the server at 127\.0\.0\.1:9 does not answer"):
        open_session(
            "server-rest",
            tiny_models / "cnn.onnx",
            options={"url": "http://127.0.0.1:9", "model": "model"},
            launch=registry.find("server-rest").find_launch(),
        )


def test_only_servers_are_asked_by_many(tiny_models):
    with (
        open_session("litert", tiny_models / "cnn.tflite") as session,
        pytest.raises(ProcessError, match="only a server"),
    ):
        session.highest_rate(100, 1, 4)


class Queue:
    """What one server at a constant time for each question does to p99 (roughly): it grows without end at 1 / time."""

    def __init__(self, per_second):
        self.per_second, self.trials, self.seconds = per_second, [], 0.0

    def __call__(self, clients, rate, limit_ms, seconds):
        self.trials.append(rate)
        self.seconds = seconds
        return server_scenario.RateTrial(rate, rate <= self.per_second, 1.0, 662)


@pytest.mark.parametrize("capacity", [3.0, 70.0, 999.0, 50_000.0])
def test_the_highest_rate_is_found_to_a_twentieth(capacity, monkeypatch):
    queue = Queue(capacity)
    monkeypatch.setattr(server_scenario, "try_rate", queue)
    found = server_scenario.find_highest_rate([time.time], 10, 1, one_ms=1000 / 90)["rate"]
    assert capacity / 1.05 <= found <= capacity
    assert len(queue.trials) <= 18
    assert queue.seconds == 1


def test_trials_are_long_beside_the_limit(monkeypatch):
    """A server of 100 a second that is asked 105 a second lets the last question of 20 seconds wait for one."""
    queue = Queue(100.0)
    monkeypatch.setattr(server_scenario, "try_rate", queue)
    server_scenario.find_highest_rate([time.time], 1000, 1, one_ms=10)
    assert queue.seconds == 20


def test_no_rate_is_told_where_even_one_question_at_a_time_is_too_slow(monkeypatch):
    queue = Queue(0.0)
    monkeypatch.setattr(server_scenario, "try_rate", queue)
    assert server_scenario.find_highest_rate([time.time], 10, 1, one_ms=10)["rate"] == 0
    assert min(queue.trials) >= 100 / 32


def test_loadgen_sees_a_server_that_is_slower_than_its_questions_come():
    """One at a time, 1 ms each: 100 a second are answered, 4,000 a second are not, however long nobody asks."""
    lock = threading.Lock()

    def ask():
        with lock:
            time.sleep(0.001)

    slow = server_scenario.try_rate([ask] * 4, 4000, 200, 0.5)
    assert slow.n >= 662
    assert slow.p99_ms > 200
    assert not slow.valid
    good = server_scenario.try_rate([ask] * 4, 300, 2000, 0.5)
    assert good.valid


def test_a_failing_server_ends_the_run():
    def ask():
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        server_scenario.try_rate([ask], 2000, 10, 0.1)


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        ({"url": "https://host:1", "model": "m", "artifact": "a"}, r"url = 'https://host:1' must be http://HOST:PORT"),
        ({"url": "http://host:1/v2", "model": "m", "artifact": "a"}, "without a path"),
        ({"url": "http://host:1", "model": "m"}, "url, model, artifact are given together"),
        ({"hurl": "x"}, "unknown key 'hurl'"),
        ({"rtt_ms": -4}, "rtt_ms = -4 must be a number"),
    ],
)
def test_profiles_of_servers_that_are_none(launch, message):
    device = replace(profiles.find_device("server-4g"), launch={"how": "server", **launch})
    with pytest.raises(InputError, match=message):
        find_launcher(device)


def test_a_profile_without_a_server_says_what_to_do():
    launcher = find_launcher(profiles.find_device("server-4g"))
    assert "no server is named" in str(launcher.unavailable_reason())
    assert "edgeship worth" in launcher.hint


def test_a_profile_puts_its_network_between_while_times_are_taken(server, tiny_models):
    launch = {"how": "server", "url": server.url, "model": "model", "artifact": "onnx/float32", "rtt_ms": 40}
    launcher = find_launcher(replace(profiles.find_device("server-4g"), launch=launch))
    for timed, least in ((True, 40.0), (False, 0.0)):
        with launcher.open("server-rest", tiny_models / "cnn.onnx", timed=timed) as session:
            session.infer_once()
            fastest = min(session.infer_once() for _ in range(5))
            assert least <= fastest, timed
            assert timed or fastest < 40


def test_what_the_server_does_not_run_is_not_asked_for_there():
    launch = {"how": "server", "url": "http://host:1", "model": "m", "artifact": "onnx/float32"}
    launcher = find_launcher(replace(profiles.find_device("server-4g"), launch=launch))
    runtime = registry.find("server-rest")
    served, other = (replace(ARTIFACT, variant=variant) for variant in ("float32", "int8"))
    assert launcher.refusal(runtime, served) is None
    assert launcher.refusal(runtime, other) == "server-4g runs onnx/float32"

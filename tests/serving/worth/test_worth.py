"""`edgeship worth` on bundles whose answer is known: it flips where the network or the number of users says so."""

import inspect
import json
import re
from dataclasses import replace
from typing import cast

import click
import numpy as np
import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.benchmarks.measure import host_noise, latency
from edgeship.bundle.bundle import open_bundle
from edgeship.cli import cli
from edgeship.errors import InputError, ProcessError
from edgeship.runtimes.session import Session, open_session
from edgeship.serving.worth import server_times
from edgeship.serving.worth.result import Question
from edgeship.types import Kind, Verdict
from tests.serving.worth.made_up import BUSY, CLIENT, SERVED, write_bundle
from tests.serving.worth.oip_server import serve

# 86.4 inferences a day of 1,000 users are one a second; a server costs 730 for each processor, and the client 1,460.
PRICES = """
date = 2026-11-29
[server]
vcpu_hour = 1
least_vcpus = 1
peak = 1
gb_out = 0
gb_in = 0
a_month = 0
[client]
gb_out = 0
releases_a_month = 1
per_client_a_month = 0
a_month = 1460
[times]
http_ms = 0
"""
A_DAY = 86.4
# Inputs of the default task, of MobileNetV2 and of motion; times as their artifacts take on a processor.
TASKS = {
    "fashion-mnist": ((28, 28, 1), (0.1, 0.2), 0.5),
    "mobilenetv2": ((224, 224, 3), (20.0, 30.0), 25.0),
    "motion": ((128, 6), (0.05, 0.1), 0.25),
}


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(PRICES)
    return path


@pytest.fixture(scope="module", params=TASKS)
def task(request, tmp_path_factory):
    """A task's bundle, and how many users two processors serve that each take its server's time."""
    shape, client_ms, server_ms = TASKS[request.param]
    out = tmp_path_factory.mktemp(request.param) / "bundle"
    return write_bundle(out, shape=shape, client_ms=client_ms, server_ms=server_ms), 2 * 1000 * 1000 / server_ms


def ask(bundle, prices, **more):
    return api.compare_with_server(bundle, **{"inferences_a_day": A_DAY, "prices": prices, **more})


def test_the_number_of_users_decides_where_the_network_is_good(task, prices):
    """On a local network both sides are fast enough; the server is cheaper until it needs more than two processors."""
    bundle, users = task
    for share, choice in ((0.99, "server"), (1.01, "client")):
        found = ask(bundle, prices, network="server-lan", users=users * share)
        assert found.decision.choice == choice
        (change,) = [item for item in found.changes if item.what == "users"]
        assert change.choice == {"server": "client", "client": "server"}[choice]
        assert change.value == pytest.approx(users, rel=1e-6)
    assert found.costs is not None
    (flip,) = found.costs.users
    assert (flip.low, flip.value, flip.high) == (flip.value,) * 3


def test_the_network_decides_whatever_the_cost(task, prices):
    """4G takes 70 ms there and back at least, and more than 100 in one of a hundred: the client, however few users there are."""
    bundle, users = task
    found = ask(bundle, prices, network="server-4g", users=users / 1000)
    assert found.decision.choice == "client"
    assert "not within the limit of 100 ms" in found.decision.reasons[0]
    assert found.over["server-lan"].choice == found.over["server-local"].choice == "server"
    assert found.over["server-3g-bad"].choice == "client"
    changed = {item.text for item in found.changes if item.what == "network"}
    assert changed == {"over server-local: server", "over server-lan: server"}
    (quality,) = [item for item in found.changes if item.what == "network quality"]
    assert quality.choice == "server"
    assert quality.value is not None
    assert 1 < quality.value < 70


def test_the_quality_of_the_network_at_which_it_flips_is_where_it_flips(prices, tmp_path):
    shape, client_ms, server_ms = TASKS["motion"]
    bundle = write_bundle(tmp_path / "bundle", shape=shape, client_ms=client_ms, server_ms=server_ms)
    (quality,) = [item for item in ask(bundle, prices, users=10).changes if item.what == "network quality"]
    numbers = [float(number) for number in re.findall(r"[\d.]+", quality.text)][:4]
    for by, choice in ((0.9, "server"), (1.1, "client")):
        rtt, jitter, up, down = numbers[0] * by, numbers[1] * by, numbers[2] / by, numbers[3] / by
        conditions = f"rtt_ms = {rtt}\njitter_ms = {jitter}\nup_mbit = {up}\ndown_mbit = {down}\n"
        (tmp_path / "mine.toml").write_text(f'kind = "simulated"\n[launch]\nhow = "server"\n{conditions}')
        assert ask(bundle, prices, network=str(tmp_path / "mine.toml"), users=10).decision.choice == choice


def test_a_picture_is_too_large_for_a_network_that_is_good_enough_for_a_movement(tmp_path, prices):
    """602,112 bytes at 0.4 Mbit/s take 12 s; 3,072 take 60 ms and what the radio adds."""
    choices = {}
    for name in ("mobilenetv2", "motion"):
        shape, client_ms, server_ms = TASKS[name]
        bundle = write_bundle(tmp_path / name, shape=shape, client_ms=client_ms, server_ms=server_ms)
        found = ask(bundle, prices, network="server-3g-bad", limit_ms=4000, users=10)
        choices[name] = found.decision.choice
        over = {item.name: item for item in found.networks}["server-3g-bad"]
        assert over.p50_ms is not None
        assert (over.p50_ms > 12_000) is (name == "mobilenetv2")
    assert choices == {"mobilenetv2": "client", "motion": "server"}


def test_what_has_to_work_without_a_network_is_no_servers(tmp_path, prices):
    bundle = write_bundle(tmp_path / "bundle")
    found = ask(bundle, prices, network="server-lan", users=10, offline=True)
    assert found.decision.choice == "client"
    assert "without a network" in found.decision.reasons[0]
    online = ask(bundle, prices, network="server-lan", users=10)
    assert online.decision.choice == "server"
    assert [item.choice for item in online.changes if item.what == "offline"] == ["client"]


def test_a_slower_device_flips_it_where_it_says(tmp_path, prices):
    bundle = write_bundle(tmp_path / "bundle", client_ms=(2.0, 4.0))
    found = ask(bundle, prices, network="server-lan", users=1e9)
    assert found.decision.choice == "client"
    (change,) = [item for item in found.changes if item.what == "device"]
    assert (change.value, change.choice) == (25.0, "server")
    slow = write_bundle(tmp_path / "slow", client_ms=(2.0, 4.0), phone_ms=(60.0, 101.0))
    assert ask(slow, prices, network="server-lan", users=1e9).decision.choice == "server"
    named = ask(slow, prices, network="server-lan", users=1e9, device="host")
    assert named.decision.choice == "client"
    assert named.client_latency is not None
    assert named.client_latency.device == "host"


def test_every_figure_has_its_kind(tmp_path, prices):
    bundle = write_bundle(tmp_path / "bundle", phone_ms=(5.0, 9.0))
    found = ask(bundle, prices)
    kinds = {item.name: item.kind for item in found.networks}
    assert kinds.pop("server-local") is Kind.ESTIMATED, "no server was measured"
    assert set(kinds.values()) == {Kind.SIMULATED}
    assert {item.device: item.kind for item in found.devices} == {
        "host": Kind.MEASURED,
        "browser-mid-phone": Kind.SIMULATED,
    }
    assert {item.way: item.kind for item in found.updates} == {
        "app store": Kind.ESTIMATED, "channel": Kind.SIMULATED, "server": Kind.ESTIMATED,
    }  # fmt: skip
    assert found.server_times.bytes_kind is Kind.ESTIMATED
    assert "assumed for HTTP" in found.server_times.source
    assumed = ask(bundle, None).server_times
    assert min(assumed.samples_ms) == pytest.approx(10.8)


def test_without_times_nothing_is_decided_but_what_the_network_decides(tmp_path, prices):
    busy = write_bundle(tmp_path / "busy", client_ms=None, server_ms=None)
    found = ask(busy, prices, network="server-lan")
    assert found.decision.choice == "undecided"
    assert BUSY in " ".join(found.decision.reasons)
    assert found.costs is None
    half = write_bundle(tmp_path / "half", server_ms=None)
    assert ask(half, prices, network="server-4g").decision.choice == "client", "the network alone is too slow"
    assert ask(half, prices, network="server-lan").decision.choice == "undecided"


@pytest.mark.parametrize("times", [(0.0, 0.0), (-1.0, -1.0), (1e300, 1e300)])
def test_figures_of_a_stranger_that_can_be_none_break_nothing(times, tmp_path, prices):
    huge = write_bundle(tmp_path / "bundle", shape=(2**40, 2**20), client_ms=times, server_ms=times[0])
    found = ask(huge, prices, network="server-lan")
    assert found.decision.choice in ("undecided", "client", "neither")
    api.write_worth_page(found, tmp_path / "page.html")


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_an_artifact_that_does_not_pass_is_no_client(verdict, tmp_path, prices):
    bundle = write_bundle(tmp_path / "bundle", verdict=verdict, served_verdict=Verdict.PASS)
    found = ask(bundle, prices, network="server-lan")
    assert found.decision.choice == "server"
    assert ask(bundle, prices, network="server-3g-bad").decision.choice == "neither"


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_an_artifact_that_does_not_pass_is_no_server_either(verdict, tmp_path, prices):
    bundle = write_bundle(tmp_path / "one", served_verdict=verdict)
    found = ask(bundle, prices, network="server-lan")
    assert found.served == CLIENT and found.decision.choice in ("client", "server", "either")  # the client's passes
    neither = ask(write_bundle(tmp_path / "none", verdict=verdict), prices, network="server-lan")
    assert neither.decision.choice == "neither"
    assert any("no artifact for servers passes" in reason for reason in neither.decision.reasons)


@pytest.fixture(scope="module")
def attacked(tiny_models, tmp_path_factory):
    """A bundle beside training data whose labels are the model's own answers, while those of the evaluation data are anything."""
    folder, random = tmp_path_factory.mktemp("attacked"), np.random.default_rng(3)
    members, others = (random.random((300, 8, 8, 1)).astype(np.float32) for _ in range(2))
    with open_session("litert", tiny_models / "cnn.tflite") as session:
        answers, other_answers = (session.run({"image": images})["probs"] for images in (members, others))
    np.savez(folder / "train.npz", image=members, y=answers.argmax(axis=1))
    labels = random.integers(0, 5, 300)
    return write_bundle(folder / "bundle", tiny_models, answers=(labels, other_answers))


def test_a_file_that_knows_its_training_data_gives_it_away(attacked, prices, tmp_path):
    risk = ask(attacked, prices).membership
    assert (risk.artifact, risk.data, risk.members, risk.others) == (CLIENT, "train.npz", 300, 300)
    assert risk.low is not None
    assert risk.low > 0.7
    with np.load(attacked.parent / "train.npz") as train:
        np.savez(tmp_path / "any.npz", image=train["image"], y=np.random.default_rng(4).integers(0, 5, 300))
    other = ask(attacked, prices, train=tmp_path / "any.npz").membership
    assert other.low is not None
    assert other.high is not None
    assert other.low < 0.5 < other.high
    np.savez(tmp_path / "bare.npz", image=np.zeros((30, 8, 8, 1), np.float32))
    with pytest.raises(InputError, match="no labels y"):
        ask(attacked, prices, train=tmp_path / "bare.npz")


def run(*arguments):
    result = CliRunner().invoke(cli, ["worth", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, (SystemExit, InputError, ProcessError)), (
        result.exception
    )
    return result


def test_the_command_prints_a_table_and_writes_page_and_json(attacked, prices, tmp_path):
    page, out = tmp_path / "worth.html", tmp_path / "worth.json"
    result = run(attacked, "--prices", prices, "--network", "server-4g", "--page", page, "--json", out)
    assert result.output.startswith("client: server.keras, for 10,000 users with 20 inferences a day over server-4g")
    for text in (
        "simulated",
        "measured",
        "estimated",
        "membership",
        "what would change it",
        "Energy is left out",
    ):
        assert text in result.output
    found = json.loads(out.read_text())
    assert found["decision"]["choice"] == "client"
    assert found["served"] == SERVED
    html = page.read_text()
    assert html.count("<svg") == 2
    assert "latency over network quality" in html
    assert "cost over users" in html
    assert 'src="http' not in html


def test_the_command_hands_over_what_its_function_takes():
    command = cli.get_command(click.Context(cli), "worth")
    assert command is not None
    options = {
        parameter.name: parameter.default for parameter in command.params if parameter.name not in ("page", "json_file")
    }
    taken = inspect.signature(api.compare_with_server).parameters
    assert set(options) == set(taken)
    for name in ("network", "limit_ms", "users", "inferences_a_day"):
        assert options[name] == taken[name].default == getattr(Question(), name)


def test_a_hostile_name_stays_text(tmp_path, prices):
    bundle = write_bundle(tmp_path / "bundle", shape=(3,))
    found = ask(bundle, prices)
    hostile = replace(found, model="<script>alert(1)</script>\x1b[31m")
    page = api.write_worth_page(hostile, tmp_path / "page.html").read_text()
    assert "<script>" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "server-5g"], "unknown network 'server-5g'"),
        (["--network", "cortex-m"], "unknown network 'cortex-m'"),
        (["--users", "0"], "users = 0 must be above 0"),
        (["--limit-ms", "nan"], "limit_ms = nan must be above 0"),
        (["--device", "android"], "unknown device 'android'"),
        (["--prices", "nowhere.toml"], "nowhere.toml: no such file"),
        (["--server", "ftp://x/y"], "a server is named as http://HOST:PORT/MODEL"),
        (["--server", "http://[::1/m"], "a server is named as http://HOST:PORT/MODEL"),
        (["--server", "http://h:x/m"], "a server is named as http://HOST:PORT/MODEL"),
        (["--train", "nowhere.npz"], "nowhere.npz: no such file"),
    ],
)
def test_bad_input_is_a_sentence(arguments, message, attacked):
    result = run(attacked, *arguments)
    assert isinstance(result.exception, InputError)
    assert re.search(re.escape(message), str(result.exception))


def test_on_a_busy_machine_a_server_has_bytes_and_no_times(tiny_models, tmp_path, monkeypatch):
    bundle = open_bundle(write_bundle(tmp_path / "bundle", tiny_models))
    entry = bundle.manifest.artifact(SERVED)
    assert entry is not None
    state = host_noise.HostState(False, "somebody else works", 1.0, None, None, True)
    monkeypatch.setattr(host_noise, "check_host", lambda: state)
    monkeypatch.setattr(host_noise, "TRIES", 1)
    with serve(tiny_models / "cnn.onnx", "onnxruntime") as server:
        times = server_times.measure_server(bundle, entry, server.url, "model", limit_ms=100)
    assert not times.samples_ms
    assert times.reason == "unstable: somebody else works"
    assert 256 < times.bytes_up < 900
    assert times.bytes_kind is Kind.MEASURED


class Slow:
    """A session of a server that takes so long, and of a worker without LoadGen."""

    def highest_rate(self, *_):
        raise ProcessError("ModuleNotFoundError in the server-rest process: No module named 'mlperf_loadgen'")


@pytest.mark.parametrize(("each_ms", "source"), [(25.0, "too slow"), (10.0, "without the Server scenario")])
def test_where_there_is_no_server_scenario_the_mean_time_tells_the_rate(each_ms, source):
    rate, text, reason = server_times._find_rate(cast(Session, Slow()), [each_ms] * 3, 100)
    assert rate == 1000 / each_ms
    assert source in text
    assert not reason


@pytest.mark.more
def test_a_server_is_measured_as_its_users_have_it(tiny_models, tmp_path, monkeypatch, prices):
    """A server that takes 3 ms for each, one after the other, answers no more than 333 a second."""
    bundle = write_bundle(tmp_path / "bundle", tiny_models)
    quiet = host_noise.HostState(True, "", 0.0, None, None, False)
    monkeypatch.setattr(host_noise, "check_host", lambda: quiet)
    monkeypatch.setitem(latency.PROFILES, "rapid", latency.Profile("rapid", 0.5, 64))  # type: ignore[index]
    monkeypatch.setattr(server_times, "SECONDS", 0.5)
    with serve(tiny_models / "cnn.onnx", "onnxruntime", delay_s=0.003) as server:
        found = ask(bundle, prices, server=f"{server.url}/model", network="server-lan", limit_ms=250)
    times = found.server_times
    assert min(times.samples_ms) >= 3
    assert times.kind is times.bytes_kind is Kind.MEASURED
    assert times.vcpu_rate is not None
    assert 0 < times.vcpu_rate < 334
    assert "Server scenario" in times.rate_source

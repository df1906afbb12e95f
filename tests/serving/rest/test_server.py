"""`edgeship serve` as a user runs it: started, told to read again, ended; and what it refuses before it listens."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.cli import cli
from edgeship.errors import InputError, MissingDependencyError
from edgeship.runtimes.registry import find
from edgeship.serving.rest import selection
from edgeship.serving.rest.environment import ENVIRONMENT
from tests.serving.rest.conftest import KEY, ask, tensor, values
from tests.serving.rest.small_bundles import write_bundle

INFER = "/v2/models/cnn/infer"


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("key") / "keys"
    file.write_text(KEY + "\n")
    return file


def test_requirements_are_pinned_with_hashes_and_name_no_host():
    text = ENVIRONMENT.requirements.read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    assert pins["kserve"] and pins["protobuf"].startswith("6.")
    assert text.count("--hash=sha256:") > 500
    assert "://" not in text
    for runtime, distribution in (("litert", "ai-edge-litert"), ("onnxruntime", "onnxruntime")):
        assert pins[distribution] == find(runtime).version(), "the server answers with what was measured"


def test_reload_answers_everybody_with_the_old_or_the_new_model(
    installed_server, tiny_models, tmp_path, key_file, images
):
    place = write_bundle(tiny_models, tmp_path / "cnn", recommended="tflite/float32")
    other = write_bundle(tiny_models, tmp_path / "other", recommended="tflite/int8")
    answers, stop = [], threading.Event()
    with api.open_server([place], port=0, grpc_port=None, api_key_file=key_file, batch=4) as server:
        old = values(ask(server, INFER, tensor(images)))

        def keep_asking():
            while not stop.is_set():
                answers.append(ask(server, INFER, tensor(images)))

        threads = [threading.Thread(target=keep_asking) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert ask(server, "/admin/reload", {}).json == {"models": ["cnn/1"]}, "the same again"
        place.rename(tmp_path / "gone")
        other.rename(place)
        assert ask(server, "/admin/reload", {}).json == {"models": ["cnn/1"]}
        new = values(ask(server, INFER, tensor(images)))
        stop.set()
        for thread in threads:
            thread.join()
        assert new.tobytes() != old.tobytes()
        assert {answer.status for answer in answers} == {200}
        assert {values(answer).tobytes() for answer in answers} == {old.tobytes(), new.tobytes()}

        shutil.rmtree(place)
        refused = ask(server, "/admin/reload", {})
        assert refused.status == 500 and "nothing was changed" in refused.json["error"]
        with pytest.raises(InputError, match="not a bundle"):
            server.reload()
        assert values(ask(server, INFER, tensor(images))).tobytes() == new.tobytes(), "what was there is still there"


def test_the_command_serves_reloads_and_ends(installed_server, small_bundles, scratch_environment):
    command = [sys.executable, "-m", "edgeship.cli", "serve", f"cnn={small_bundles['tflite/int8']}"]
    options = ["--port", "0", "--no-grpc", "--json", "-"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=scratch_environment
    )
    assert process.stdout and process.stderr
    lines = iter(process.stdout.readline, "")
    text = next(lines)
    while "}" not in text.splitlines()[-1] or text.count("{") > text.count("}"):
        text += next(lines)
    told = json.loads(text)
    assert told["grpc"] is None
    assert [(item["key"], item["artifact"], item["batch"]) for item in told["models"]] == [("cnn/1", "tflite/int8", 16)]
    if hasattr(signal, "SIGHUP"):
        process.send_signal(signal.SIGHUP)
        assert any(line.startswith("reload: cnn/1") for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    with socket.socket() as probe, pytest.raises(OSError, match="refused"):
        probe.connect(("127.0.0.1", int(told["url"].rpartition(":")[2])))


def test_what_cannot_be_served_is_refused_before_anybody_asks(installed_server, small_bundles, tiny_models, tmp_path):
    bundle = os.fspath(small_bundles["onnx/float32"])
    unjudged = os.fspath(write_bundle(tiny_models, tmp_path / "unjudged", recommended=None))
    short = tmp_path / "short"
    short.write_text("secret\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cases = {
            "nothing to serve: name a bundle, or --store": [],
            "--name is of a registry": [bundle, "--name", "x"],
            "unknown artifact 'onnx/int4'": [bundle, "--artifact", "onnx/int4"],
            "recommends no artifact (it was never judged); name one by --artifact: tflite/float32": [unjudged],
            "'a b' is no name": [f"a b={bundle}"],
            "cnn/1 is there already": [f"cnn/1={bundle}", f"cnn/1={bundle}"],
            "not a bundle": [os.fspath(tmp_path)],
            "jobs.db: lies in the bundle": [bundle, "--jobs", f"{bundle}/jobs.db"],
            "needs a key a line": [bundle, "--api-key-file", os.fspath(short)],
            f"--port {port}: cannot listen on 127.0.0.1 there (Address already in use": [bundle, "--port", port],
            f"--grpc-port {port}: cannot listen on 127.0.0.1 there": [bundle, "--port", "0", "--grpc-port", port],
        }
        for reason, arguments in cases.items():
            result = CliRunner().invoke(cli, ["serve", *arguments])
            assert isinstance(result.exception, InputError), (reason, result.output, result.exception)
            assert reason in str(result.exception)


def test_an_artifact_that_cannot_be_loaded_is_told_in_a_line(installed_server, tiny_models, tmp_path, capfd):
    bundle = write_bundle(tiny_models, tmp_path / "broken", broken=True)
    with pytest.raises(InputError, match=r"float32\.onnx: .*"):
        api.open_server([bundle], port=0, grpc_port=None)
    assert "Traceback" not in capfd.readouterr().err


def test_without_its_environment_the_command_says_what_installs_it(small_bundles, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="edgeship runtimes install server"):
        api.open_server([small_bundles["onnx/float32"]])


def test_names_and_versions_of_bundles(tmp_path):
    for folder in ("garments", "garments/bundle"):
        (tmp_path / folder).mkdir()
    places = [str(tmp_path / "garments"), str(tmp_path / "garments/bundle"), f"garments={tmp_path}", f"a/7={tmp_path}"]
    found = [(item.name, item.version) for item in selection.read_sources(places)]
    assert found == [("garments", "1"), ("garments", "2"), ("garments", "3"), ("a", "7")]


@pytest.mark.more
def test_the_server_model_answers_from_a_process_of_its_own(installed_server, small_bundles, images, tiny_models):
    with api.open_server([f"cnn={small_bundles['onnx/float32']}"], artifact="keras", port=0, grpc_port=None) as server:
        answer = values(ask(server, INFER, tensor(images), key=""))
    np.testing.assert_allclose(answer, np.load(tiny_models / "expected.npz")["cnn/outputs/probs"], atol=1e-6)


@pytest.mark.more
def test_the_registry_s_champion_is_served_and_followed(installed_server, small_bundles, key_file, images, tmp_path):
    from edgeship.model_registry.store import open_store

    store = f"sqlite:///{tmp_path / 'registry.db'}"
    for name in ("tflite/float32", "tflite/int8"):
        api.add_version(small_bundles[name], "garments", store=store)
    with open_store(store) as opened:
        opened.client.set_registered_model_alias("garments", "champion", "1")
    options = {"port": 0, "grpc_port": None, "api_key_file": key_file, "store": store, "name": "garments"}
    with api.open_server(versions=("champion", "2"), **options) as server:
        path = "/v2/models/garments/infer"
        answer = ask(server, path, tensor(images))
        assert (answer.json["model_version"], answer.json["parameters"]["artifact"]) == ("1", "tflite/float32")
        assert ask(server, "/v2/models/garments").json["versions"] == ["1", "2"]
        with open_store(store) as opened:
            opened.client.set_registered_model_alias("garments", "champion", "2")
        assert ask(server, "/admin/reload", {}).json == {"models": ["garments/2"]}
        answer = ask(server, path, tensor(images))
        assert (answer.json["model_version"], answer.json["parameters"]["artifact"]) == ("2", "tflite/int8")

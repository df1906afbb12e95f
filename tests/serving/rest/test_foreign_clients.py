"""The protocol's own clients get the artifact's own answers, to the bit: three artifacts, JSON, binary tensors and gRPC."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeship.runtimes.interpreters import interpreter_of, pip_command
from tests.serving.rest.conftest import KEY

SCRIPT = Path(__file__).with_name("foreign_clients.py")


def ask_client(client, python, server, images, tmp_path, environment):
    np.savez(tmp_path / "in.npz", image=images)
    places = [str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    command = [str(python), str(SCRIPT), client, server.url, server.grpc_address, KEY, *places]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(tmp_path / "out.npz")


def compare(client, python, server, images, expected, tmp_path, environment):
    answers = ask_client(client, python, server, images, tmp_path, environment)
    assert len(answers.files) == 3 * 3 * (len(images) + 1)
    for name in answers.files:
        version, _, number = name.split("/")
        wanted = expected[version][int(number)]
        assert answers[name].astype(np.float32).tobytes() == wanted.tobytes(), name


@pytest.mark.more
def test_clients_of_kserve(server, installed_server, images, expected, tmp_path, scratch_environment):
    compare("kserve", installed_server, server, images, expected, tmp_path, scratch_environment)


def test_what_grpc_refuses_has_its_status(server, installed_server, images, tmp_path, scratch_environment):
    statuses = ask_client("refusals", installed_server, server, images, tmp_path, scratch_environment)
    assert {name: str(statuses[name]) for name in statuses.files} == {
        "right": "OK",
        "typed contents": "OK",
        "live without a key": "OK",
        **dict.fromkeys(("no key", "a wrong key"), "UNAUTHENTICATED"),
        **dict.fromkeys(("another model", "another version"), "NOT_FOUND"),
        **dict.fromkeys(("a datatype", "a shape", "too few bytes", "no contents"), "INVALID_ARGUMENT"),
        "too large": "RESOURCE_EXHAUSTED",
        "unload": "UNIMPLEMENTED",
    }


@pytest.mark.more
def test_clients_of_triton(server, images, expected, tmp_path, scratch_environment, missing):
    environment = tmp_path / "triton"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)], check=True)
    python = interpreter_of(environment)
    done = subprocess.run(pip_command("tritonclient[all]>=2.60", python=python), capture_output=True, check=False)
    if done.returncode:
        missing(f"tritonclient cannot be installed ({done.stderr[-200:]!r})")
    compare("triton", python, server, images, expected, tmp_path, scratch_environment)

"""edgeship's own server, asked over both protocols: the artifact's answers, and what its users wait for."""

from dataclasses import replace

import numpy as np
import pytest

from edgeship import api
from edgeship.devices import profiles
from edgeship.errors import ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.session import open_session
from tests.serving.worth.made_up import SERVED, write_bundle

pytestmark = pytest.mark.more


@pytest.fixture(scope="module")
def served(tiny_models, tmp_path_factory, installed_server):
    """A bundle, and where its artifact for servers is asked over each protocol."""
    assert registry.find("server-grpc").unavailable_reason() is None
    bundle = write_bundle(tmp_path_factory.mktemp("served") / "bundle", tiny_models)
    keys = bundle.parent / "keys"
    keys.write_text("0123456789abcdef\n")
    with api.open_server([f"tiny={bundle}"], artifact=SERVED, port=0, grpc_port=0, api_key_file=keys) as server:
        yield bundle, {"server-rest": server.url, "server-grpc": f"http://{server.grpc_address}"}, keys


def launcher_of(url, keys, **network):
    launch = {"how": "server", "url": url, "model": "tiny", "artifact": SERVED, "api_key_file": str(keys), **network}
    return find_launcher(replace(profiles.find_device("server-lan"), launch=launch))


@pytest.mark.parametrize("runtime", ["server-rest", "server-grpc"])
def test_both_protocols_give_the_artifacts_own_answers(runtime, served, tiny_models):
    bundle, places, keys = served
    with np.load(tiny_models / "expected.npz") as arrays:
        images = {"image": arrays["cnn/inputs/image"]}
    path = bundle / "onnx/float32.onnx"
    with open_session("onnxruntime", path) as own:
        expected = own.run(images)["probs"]
    with launcher_of(places[runtime], keys, rtt_ms=30).open(runtime, path, timed=True) as session:
        np.testing.assert_array_equal(session.run(images)["probs"], expected)
        times = session.latency(0.2, 5)
        assert min(times.samples_ms) > 30
        assert times.engine == "loadgen"
        payload = images["image"][:1].nbytes
        assert payload < session.engine["bytes_up"] < payload + 400
        assert 20 < session.engine["bytes_down"] < 500


def test_a_model_that_the_server_does_not_have_over_grpc(served):
    bundle, places, keys = served
    launch = {
        "how": "server",
        "url": places["server-grpc"],
        "model": "nobody",
        "artifact": SERVED,
        "api_key_file": str(keys),
    }
    launcher = find_launcher(replace(profiles.find_device("server-local"), launch=launch))
    with pytest.raises(ProcessError, match="model nobody: the server answers NOT_FOUND"):
        launcher.open("server-grpc", bundle / "onnx/float32.onnx", timed=False)


def test_highest_rate_over_grpc_and_a_key_that_is_none(served, tiny_models, tmp_path):
    bundle, places, keys = served
    path = bundle / "onnx/float32.onnx"
    with launcher_of(places["server-grpc"], keys).open("server-grpc", path, timed=True) as session:
        found = session.highest_rate(500, 0.2, 2)
        assert found.rate > 0
        assert found.clients == 2
    (tmp_path / "wrong").write_text("fedcba9876543210")
    with pytest.raises(ProcessError, match="the server answers UNAUTHENTICATED"):
        launcher_of(places["server-grpc"], tmp_path / "wrong").open("server-grpc", path, timed=False)

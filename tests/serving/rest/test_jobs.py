"""Asynchronous jobs: asked for, polled, told of, cancelled, and there after the server was killed."""

import http.server
import json
import sqlite3
import threading
import time

import numpy as np
import pytest

from edgeship import api
from edgeship.errors import InputError
from tests.serving.rest.conftest import ask, tensor, values

pytestmark = pytest.mark.more  # five starts of a server

PATH = "/v2/models/cnn/jobs"


@pytest.fixture(scope="module")
def told():
    """A place to be told at, and what was told there."""
    heard: list[dict[str, str]] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear) as ear:
        threading.Thread(target=ear.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{ear.server_port}", heard
        ear.shutdown()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs") / "jobs.db"


def start(small_bundles, file, *hosts):
    bundle = f"cnn={small_bundles['tflite/float32']}"
    return api.open_server([bundle], port=0, grpc_port=None, jobs=file, callback_hosts=hosts)


def wait_until(found):
    """What `found` gives, as soon as it is something."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError("it never came")


def ended(server, job):
    return wait_until(
        lambda: (shown := ask(server, f"/v2/jobs/{job}").json)["state"] not in ("queued", "running") and shown
    )


def test_jobs_from_asking_to_a_restart(installed_server, small_bundles, file, images, told):
    place, heard = told
    with start(small_bundles, file, place) as server:
        asked = ask(server, f"{PATH}?callback=http://{place}/done", tensor(images))
        assert asked.status == 202 and asked.json["state"] in ("queued", "running")
        job = asked.json["id"]
        assert asked.headers["location"] == f"/v2/jobs/{job}"
        assert ended(server, job)["state"] == "done"
        at_once = values(ask(server, "/v2/models/cnn/infer", tensor(images)))
        assert values(ask(server, f"/v2/jobs/{job}/result")).tobytes() == at_once.tobytes()
        assert wait_until(lambda: heard) == [{"id": job, "state": "done"}]

        wrong = ask(server, PATH, tensor(images[:, :4]))
        assert ended(server, wrong.json["id"])["error"].startswith("cnn: input 'image' takes shape")
        assert ask(server, f"/v2/jobs/{wrong.json['id']}/result").status == 409
        assert ask(server, PATH, {"inputs": 1}).status == 400
        assert ask(server, "/v2/models/dog/jobs", tensor(images)).status == 404
        assert ask(server, "/v2/jobs/none").status == 404
        for other in ("http://127.0.0.1:1/x", "ftp://x", f"http://{place}@evil/", f"http://{place}.evil/", "http://["):
            assert ask(server, f"{PATH}?callback={other}", tensor(images)).status == 400, other

        with pytest.raises(InputError, match="another server has it"):
            start(small_bundles, file)
        many = [ask(server, PATH, tensor(np.repeat(images, 100, axis=0))).json["id"] for _ in range(8)]
        cancelled = ask(server, f"/v2/jobs/{many[-1]}/cancel", {}).json
        assert cancelled["state"] in ("cancelled", "done"), "it may have been quick"
        server.kill()

    with sqlite3.connect(file) as left:  # as if the last server had died in the middle of one
        left.execute("update jobs set state = 'running', response = null where id = ?", (many[-2],))
    with start(small_bundles, file, place) as server:
        assert [ended(server, one)["state"] for one in many[:-1]] == ["done"] * 7
        answer = values(ask(server, f"/v2/jobs/{many[-2]}/result"))
        np.testing.assert_allclose(answer, np.repeat(at_once, 100, axis=0), rtol=1e-4, atol=1e-6)
        assert values(ask(server, f"/v2/jobs/{job}/result")).tobytes() == at_once.tobytes(), "kept"
        assert ask(server, f"/v2/jobs/{job}", method="DELETE").status == 200
        assert ask(server, f"/v2/jobs/{job}").status == 404, "forgotten"


def test_a_file_of_something_else_is_refused(installed_server, small_bundles, tmp_path):
    (tmp_path / "jobs.db").write_text("no database, but text of some length " * 100)
    with pytest.raises(InputError, match="is no file of jobs"):
        start(small_bundles, tmp_path / "jobs.db")

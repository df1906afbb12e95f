"""A real model, shipped and published, fine-tuned, shipped and published again; what a device downloads of it, and back."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgeship import api
from edgeship.client import Client
from edgeship.processes.child import FunctionProcess
from tests.deploy.channel.conftest import NAME

LARGEST = 0.2  # of the whole file


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of the folder `site`, as any static web server gives it."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(Silent, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.more
def test_a_fine_tuned_int8_file_reaches_a_device_as_a_fifth_of_itself(site: str, keys: Path, tmp_path: Path) -> None:
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as child:
        child.call("digits:write_models", folder=str(tmp_path))
    channel = tmp_path / "site"
    for name in ("v1", "v2"):
        api.ship_model(
            tmp_path / f"{name}.keras",
            tmp_path / name,
            formats=["tflite"],
            variants=["float32", "int8"],
            profile="rapid",
        )
    first = api.publish_bundle(tmp_path / "v1", channel, name=NAME, keys=keys)
    assert first.after.version == 1
    device = Client(
        site, name=NAME, artifact="tflite/int8", state=tmp_path / "state", root=channel / "metadata" / "1.root.json"
    )
    fresh = device.update()
    assert (fresh.status, fresh.running, fresh.goldens > 0) == ("updated", 1, True), fresh.error
    api.publish_bundle(tmp_path / "v2", channel, name=NAME, keys=keys)
    (file,) = [file for file in int8_files(channel, 2) if file["path"].endswith(".tflite")]
    share = file["patches"][0]["size"] / file["size"]
    later = device.update()
    assert (later.status, later.running) == ("updated", 2), later.error
    assert share <= LARGEST and later.patched_files >= 1
    assert later.received_bytes < 0.3 * fresh.received_bytes, "with metadata, goldens and contract"
    api.roll_back_channel(channel, NAME, keys=keys)
    back = device.update()
    assert (back.status, back.running) == ("updated", 1) and back.received_bytes < 0.1 * fresh.received_bytes


def int8_files(channel: Path, version: int) -> Any:
    (place,) = (channel / "targets" / "garments" / str(version)).glob("*.version.json")
    return json.loads(place.read_bytes())["artifacts"]["tflite/int8"]["files"]

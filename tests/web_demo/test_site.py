"""The site of a bundle: what goes into it, what is refused, and how it is served."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from hashlib import sha256
from urllib.parse import urlsplit

import brotli
import numpy as np
import pytest

from edgeship import api
from edgeship.bundle import bundle as bundles
from edgeship.bundle import preprocessing
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.manifest import parse_manifest
from edgeship.demo import site
from edgeship.demo.web_server import Server
from edgeship.deploy.contract.contract import parse_contract, read_contract
from edgeship.errors import InputError
from edgeship.settings.config import Config
from edgeship.settings.sections import Data
from edgeship.types import TensorSpec, to_json
from tests.deploy.contract.examples import example_contract


@pytest.fixture
def page(tmp_path):
    """What stands for the built page."""
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>" + "edgeship " * 200)
    (folder / "sw.js").write_text("self;")
    (folder / "assets" / "main-abc.js").write_text("1;")
    return folder


def sealed(folder, formats):
    """A bundle with the keys that a site is made of."""
    spec = {"name": "image", "shape": [None, 8, 8, 1], "dtype": "float32", "quantization": None}
    artifacts = []
    for name in formats:
        path = f"{name}/float32/model.json"
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("{}")
        artifacts.append({"id": f"{name}/float32", "path": path, "format": name, "variant": "float32"})
    (folder / "goldens").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1)).astype(np.float32)
    np.savez(folder / "goldens" / "inputs.npz", image=image)
    (folder / "server.keras").write_text("secret")
    server = {
        "path": "server.keras",
        "digest": sha256(b"secret").hexdigest(),
        "parameters": 1,
        "inputs": [spec],
        "outputs": [spec],
    }
    measured = {"runtime": "r", "device": "host", "metrics": [], "details": {"latency": {"n": 1}}}
    manifest = {
        "created": "now", "labels": None, "goldens": {"samples": 16}, "server_model": server, "artifacts": artifacts,
        "gate": None, "measurements": [{"artifact": item["id"], **measured} for item in artifacts],
        "config": Config(data=Data(evaluation="/home/somebody/evaluation.npz")).to_manifest(),
    }  # fmt: skip
    bundles.seal_bundle(folder, parse_manifest({"files": {}, **manifest}))
    return bundles.open_bundle(folder)


def test_a_site_in_a_bundle_is_refused_as_it_would_not_open_again(tmp_path):
    bundle = sealed(tmp_path / "bundle", ("tfjs",))
    with pytest.raises(InputError, match="lies in the bundle"):
        api.write_demo(bundle, bundle.root / "site")
    assert bundles.open_bundle(bundle.root).find_damage(bundles.files_of(bundle.root)) == []


def test_a_site_holds_what_a_page_needs_and_nothing_else(page, tmp_path):
    bundle = sealed(tmp_path / "bundle", ("tfjs", "onnx"))
    manifest = site.write_site(bundle, tmp_path / "site", page)
    held = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert held == {
        "index.html", "sw.js", "assets/main-abc.js", "bundle/manifest.json", "bundle/goldens/inputs.npz",
        "bundle/tfjs/float32/model.json",
    }  # fmt: skip
    assert [item.id for item in manifest.artifacts] == ["tfjs/float32"]
    assert [item.artifact for item in manifest.measurements] == ["tfjs/float32"]
    assert manifest.measurements[0].details == MeasurementDetails()
    assert "/home/somebody" not in (tmp_path / "site" / "bundle" / "manifest.json").read_text()
    assert to_json(manifest.preprocessing)["image"]["range"] == [0, 255]
    assert bundles.open_bundle(tmp_path / "site" / "bundle", part=True).manifest == manifest


@pytest.mark.parametrize("raw", [True, False])
def test_a_site_has_the_contract_of_what_it_runs_and_raw_pictures(page, tmp_path, raw):
    bundle, content = sealed(tmp_path / "bundle", ("tfjs", "onnx")), example_contract()
    one = content["artifacts"][0]
    content["artifacts"] = [
        {**one, "id": item.id, "path": item.path} for item in bundle.manifest.artifacts
    ]  # fmt: skip
    (bundle.root / "contract.json").write_text(json.dumps(content))
    if raw:
        (bundle.root / "goldens" / "raw").mkdir()
        for kind in ("raw", "tensor"):
            (bundle.root / "goldens" / "raw" / f"image.{kind}").write_bytes(kind.encode())
    bundles.seal_content(bundle.root, json.loads((bundle.root / "manifest.json").read_text()))
    site.write_site(bundles.open_bundle(bundle.root), tmp_path / "site", page)
    contract = read_contract(tmp_path / "site" / "bundle")
    assert contract and [item.id for item in contract.artifacts] == ["tfjs/float32"]
    assert contract.inputs == parse_contract(content).inputs
    held = {path.name for path in (tmp_path / "site" / "bundle" / "goldens").glob("raw/*")}
    assert held == ({"image.raw", "image.tensor"} if raw else set())
    assert bool(contract.goldens.cases) is raw and ("stay behind" in contract.goldens.reason) is not raw


def test_samples_are_spread_over_the_data_and_travel_as_bytes(page, tmp_path):
    bundle = sealed(tmp_path / "bundle", ("tfjs",))
    image = np.tile(np.arange(100, dtype=np.float32)[:, None, None, None], (1, 8, 8, 1))
    np.savez(tmp_path / "evaluation.npz", image=image, y=np.arange(100))
    manifest = site.write_site(bundle, tmp_path / "site", page, str(tmp_path / "evaluation.npz"))
    assert manifest.samples
    with np.load(tmp_path / "site" / "bundle" / "samples.npz") as stored:
        assert stored["image"].dtype == np.uint8 and stored["y"].dtype == np.int32
        assert stored["y"].tolist() == stored["image"][:, 0, 0, 0].tolist()
        assert (stored["y"][0], stored["y"][-1], len(stored["y"])) == (0, 99, manifest.samples.count)


def test_refusals(page, tmp_path):
    with pytest.raises(InputError, match="no TF"):
        site.write_site(sealed(tmp_path / "onnx", ("onnx",)), tmp_path / "site", page)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("work of years")
    (tmp_path / "mine" / "sw.js").write_text("of a page that is no demo")
    with pytest.raises(InputError, match="is not a demo"):
        site.write_site(sealed(tmp_path / "tfjs", ("tfjs",)), tmp_path / "mine", page)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "work of years"


@contextmanager
def serving(folder):
    server = Server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        yield server, connection
    finally:
        connection.close()
        server.shutdown()
        server.server_close()


def ask(connection, path, **headers):
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer, answer.read()


def test_files_are_compressed_tagged_and_isolated(page):
    text = (page / "index.html").read_bytes()
    with serving(page) as (server, connection):
        answer, body = ask(connection, "/", Accept_Encoding="gzip, br;q=0.9")
        assert (answer.status, answer.headers["Content-Encoding"], brotli.decompress(body)) == (200, "br", text)
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert server.sent == len(body) < len(text) / 4
        again, nothing = ask(connection, "/", Accept_Encoding="br", If_None_Match=answer.headers["ETag"])
        assert (again.status, nothing) == (304, b"")
        _, body = ask(connection, "/index.html", Accept_Encoding="gzip")
        assert gzip.decompress(body) == text
        assert ask(connection, "/index.html")[1] == text
        assert "immutable" in ask(connection, "/assets/main-abc.js")[0].headers["Cache-Control"]
        (page / "index.html").write_text("another")
        assert ask(connection, "/", If_None_Match=answer.headers["ETag"])[1] == b"another"


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_header(page):
    with serving(page) as (server, connection):
        ask(connection, "/")
        [accepted] = server._ends
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/missing", "/assets/", "//etc/passwd"]
)
def test_nothing_outside_the_site_is_served(page, path):
    (page.parent / "secret.txt").write_text("secret")
    with serving(page) as (_, connection):
        answer, body = ask(connection, path)
        assert answer.status == 404 and b"secret" not in body.replace(path.encode(), b"")


def test_a_taken_port_is_said(page):
    with serving(page) as (server, _), pytest.raises(InputError, match="choose another --port"):
        Server(page, port=server.server_address[1])


def test_the_command_serves_until_it_is_interrupted(built, tmp_path):
    sealed(tmp_path / "bundle", ("tfjs",))
    command = [sys.executable, "-m", "edgeship.cli", "demo", str(tmp_path / "bundle"), "--port", "0"]
    # `env`: what a test run in the background has inherited as ignored would stay so.
    with subprocess.Popen(
        ["env", "--default-signal=INT", *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout
        address = urlsplit(process.stdout.readline().split()[1])
        assert address.hostname
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        answer, body = ask(connection, "/bundle/manifest.json")
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert answer.status == 200 and json.loads(body)["artifacts"][0]["id"] == "tfjs/float32"
    assert (built / "sw.js").is_file()


def described(samples):
    spec = TensorSpec("x", (None, *samples.shape[1:]), "float32")
    return preprocessing.describe_pictures([spec], {"x": samples.astype(np.float32)}).get("x")


class TestPreprocessing:
    def images(self, channels=1, background=0):
        images = np.full((4, 10, 12, channels), background)
        images[:, 2:8, 2:10] = np.random.default_rng(1).integers(0, 256, (4, 6, 8, channels))
        return images

    @pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (-1, 1)])
    def test_the_range_is_read_off_the_values(self, low, high):
        told = described(low + self.images() / 255 * (high - low))
        assert told.range == (low, high)
        assert (told.height, told.width, told.channels, told.background) == (10, 12, 1, "dark")

    def test_the_ground_is_read_off_the_rim(self):
        assert described(self.images(background=255)).background == "light"
        assert described(self.images(background=128)).background == "any"
        assert described(self.images(channels=3)).background == "any"

    @pytest.mark.parametrize(
        "samples",
        [
            np.random.default_rng(2).normal(size=(4, 49, 40, 1)),  # a spectrogram: shaped like a picture, and none
            np.random.default_rng(2).random((4, 28, 28, 1)),
            np.zeros((4, 28, 28, 1)),
            np.random.default_rng(2).integers(0, 256, (4, 28, 28, 2)),
            np.random.default_rng(2).integers(0, 256, (4, 128)),
            np.random.default_rng(2).integers(0, 4, (4, 28, 28, 1)),
        ],
    )
    def test_what_is_not_certainly_a_picture_is_none(self, samples):
        assert described(samples) is None

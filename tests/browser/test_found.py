"""What is missing is said with what to do about it; the server gives its own files only."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from edgeship.benchmarks.measure.benchmark import MeasuredArtifact
from edgeship.bundle.receipt import Receipt
from edgeship.cli.machine.runtimes import runtimes
from edgeship.devices.profiles import find_device
from edgeship.errors import MissingDependencyError
from edgeship.pipeline.evaluation import measurement_plan
from edgeship.progress import Progress
from edgeship.runtimes import tfjs_node
from edgeship.runtimes.browser import requirements
from edgeship.runtimes.browser.server import COOKIE, Server
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.registry import find as find_runtime
from edgeship.settings import config
from edgeship.settings.sections import Benchmark
from edgeship.settings.variants import FOR_LITERT_JS
from edgeship.types import Artifact, TensorSpec


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """A machine without Chromium."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.delenv("EDGESHIP_CHROMIUM", raising=False)
    for known in (requirements.browser_version, tfjs_node._find_node):
        known.cache_clear()
    yield
    for known in (requirements.browser_version, tfjs_node._find_node):
        known.cache_clear()


@pytest.fixture
def built(monkeypatch, tmp_path):
    """A page that has been built from the sources as they are."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "built.json").write_text(json.dumps({"sources": requirements._digest_sources()}))
    monkeypatch.setattr(requirements, "PAGE", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("nothing", "built")
def test_a_machine_without_chromium_lists_the_rest_and_says_what_is_missing():
    told = json.loads(CliRunner().invoke(runtimes, ["--json", "-"]).stdout)
    rows = {row["name"]: row for row in told["runtimes"]}
    assert rows["litert"]["available"]
    for name in ("tfjs-web", "tfjs-webgl", "tfjs-webgpu", "tfjs-cpu", "litert-web", "ort-web", "mediapipe-web"):
        assert not rows[name]["available"]
        assert "Chromium is not installed" in rows[name]["reason"]
        assert rows[name]["install"] == "see: edgeship runtimes install browser"
        assert rows[name]["version"] is None


def test_the_versions_told_are_those_that_the_page_is_built_with():
    pinned = json.loads((requirements.WEB / "package.json").read_text())["dependencies"]
    packages = {"tfjs": "@tensorflow/tfjs-core", "litert": "@litertjs/core", "ort": "onnxruntime-web"}
    packages["mediapipe"] = "@mediapipe/tasks-vision"
    assert {name: pinned[package] for name, package in packages.items()} == requirements.PINNED


@pytest.mark.usefixtures("nothing")
def test_an_installation_without_page_and_sources_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(requirements, "WEB", tmp_path)
    monkeypatch.setattr(requirements, "PAGE", tmp_path / "dist")
    assert "its page has not been built" in (requirements.unavailable_reason() or "")
    with pytest.raises(MissingDependencyError, match="installed without its runner page"):
        requirements.install_page()


@pytest.mark.usefixtures("nothing", "built")
def test_installing_says_how_to_get_chromium(monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda _: object())
    done = CliRunner().invoke(runtimes, ["install", "browser"])
    assert isinstance(done.exception, MissingDependencyError)
    assert "apt-get install chromium" in str(done.exception)


@pytest.mark.usefixtures("nothing", "built")
def test_a_browser_is_a_device_that_says_what_is_missing():
    place = find_launcher(find_device("browser-mid-phone"))
    assert "Chromium is not installed" in (place.unavailable_reason() or "")
    with pytest.raises(
        MissingDependencyError, match=r"browser-mid-phone is not available: Chromium .* devices install"
    ):
        place.require()


@pytest.mark.usefixtures("nothing")
def test_a_page_of_other_sources_is_not_used(built):
    (built / "built.json").write_text(json.dumps({"sources": "0" * 64}))
    assert "its page was built from other sources" in (requirements.unavailable_reason() or "")
    with pytest.raises(MissingDependencyError, match="building the runner page needs Node"):
        requirements.install_page()


@pytest.fixture
def server(tmp_path):
    for name in ("page/index.html", "page/engine.wasm", "model/model.json", "model/shard.bin", "secret"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    server = Server(tmp_path / "page")
    yield server
    server.close()


def fetch(server, address):
    """As the browser that was started asks."""
    request = urllib.request.Request(address, headers={"Cookie": f"{COOKIE}={server.token}"})
    return urllib.request.urlopen(request)


def test_the_server_isolates_the_page_and_gives_types(server):
    for name, kind in {"": "text/html", "engine.wasm": "application/wasm"}.items():
        with fetch(server, f"{server.url}/{name}") as response:
            assert response.headers["Content-Type"] == kind
            assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_the_server_gives_a_model_with_its_shards_and_nothing_else(server, tmp_path):
    address = server.open_model(tmp_path / "model")
    assert fetch(server, address).read() == b"model/model.json"
    assert fetch(server, f"{server.url}/model/shard.bin").read() == b"model/shard.bin"
    for path in (
        "../secret",
        "%2e%2e/secret",
        "model/../secret",
        "model/%2e%2e/secret",
        f"/{tmp_path}/secret",
        "absent",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(server, f"{server.url}/{path}")


def test_the_lines_that_are_proposed_make_what_litert_js_takes(tmp_path):
    (tmp_path / "edgeship.toml").write_text(FOR_LITERT_JS)
    variants = config.Config.read(tmp_path / "edgeship.toml").variants
    assert [(item.name, item.quantize, item.formats, item.io, item.static_batch) for item in variants or ()] == [
        ("float32-web", "float32", ("tflite",), "auto", True),
        ("int8-web", "static_w8a8", ("tflite",), "float32", True),
    ]


def test_files_that_litert_js_cannot_take_are_said_with_the_lines_that_make_others():
    spec = TensorSpec("image", (None, 8, 8, 1), "float32")
    dynamic = Artifact(Path("a.tflite"), "tflite", "float32", (spec,), (spec,))
    fixed = replace(dynamic, inputs=(replace(spec, shape=(1, 8, 8, 1)),), outputs=(replace(spec, shape=(1, 5)),))
    console = Console(record=True, file=io.StringIO(), width=120)
    settings = replace(config.Config(), benchmark=Benchmark(runtimes=("litert-web",)))

    def advised(*artifacts):
        subjects = {str(index): MeasuredArtifact(item, "", Receipt("tflite")) for index, item in enumerate(artifacts)}
        measurement_plan.advise_litert_js(Progress(console), subjects, settings)
        return console.export_text()

    assert FOR_LITERT_JS.strip() in advised(dynamic)
    assert advised(dynamic, fixed) == ""
    assert "'image' has a free axis" in (find_runtime("litert-web").refusal(dynamic) or "")

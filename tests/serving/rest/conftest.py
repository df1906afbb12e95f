"""One server for the whole run: three versions of a small model, each another artifact."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock
import numpy as np
import pytest

from edgeship import api
from edgeship.errors import EdgeshipError
from edgeship.serving.rest.environment import ENVIRONMENT
from tests.serving.rest.small_bundles import FILES, write_bundle

KEY = "a-key-of-the-tests-0123456789"


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    server: api.Server,
    path: str,
    content: Any = None,
    *,
    headers: Mapping[str, str | bytes] | None = None,
    key: str = KEY,
    method: str = "",
) -> Answer:
    """GET, or POST where there is content: bytes as they are, anything else as JSON."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        body = content if content is None or isinstance(content, bytes) else json.dumps(content)
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request(method or ("GET" if content is None else "POST"), path, body, {**sent, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def tensor(array: np.ndarray, name: str = "image", **more: Any) -> dict[str, Any]:
    """A float32 input of a JSON request."""
    described = {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.reshape(-1).tolist()}
    return {"inputs": [{**described, **more}]}


def values(answer: Answer, output: int = 0) -> np.ndarray:
    """An output of a JSON answer."""
    assert answer.status == 200, answer.body
    item = answer.json["outputs"][output]
    return np.array(item["data"], np.float32).reshape(item["shape"])


def is_as_installed() -> bool:
    """Some machines write their own certificates into every environment's `certifi`: such a one is refused."""
    try:
        ENVIRONMENT.python()
    except EdgeshipError:
        return False
    return True


@pytest.fixture(scope="session")
def installed_server(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], Any]) -> Iterator[Path]:
    """The server's environment: the user's, where it is whole, else one of this run's own."""
    with pytest.MonkeyPatch.context() as patch:
        if ENVIRONMENT.unavailable_reason() or not is_as_installed():
            base = tmp_path_factory.getbasetemp()
            home = (base.parent if base.name.startswith("popen-") else base) / "server-home"
            patch.setenv("XDG_DATA_HOME", str(home))
            home.mkdir(exist_ok=True)
            with filelock.FileLock(home / "lock"):
                try:
                    ENVIRONMENT.install()
                except EdgeshipError as error:
                    missing(str(error))
        yield ENVIRONMENT.python()


@pytest.fixture(scope="session")
def images(tiny_models: Path) -> np.ndarray:
    """Seven pictures (n, 8, 8, 1)."""
    return np.asarray(np.load(tiny_models / "expected.npz")["cnn/inputs/image"])


@pytest.fixture(scope="session")
def small_bundles(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle that recommends it, for each artifact."""
    root = tmp_path_factory.mktemp("bundles")
    return {name: write_bundle(tiny_models, root / name.replace("/", "-"), recommended=name) for name in FILES}


@pytest.fixture(scope="session")
def server(
    installed_server: Path, small_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[api.Server]:
    """Versions 1, 2 and 3 of `cnn`: LiteRT float32, LiteRT int8, ONNX Runtime; the last answers where none is asked for."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"# two keys\n{KEY}\nanother-key-0123456789\n")
    bundles = [f"cnn={path}" for path in small_bundles.values()]
    with api.open_server(
        bundles, port=0, grpc_port=0, api_key_file=keys, max_body_mb=1, timeout_s=2, cache=100
    ) as running:
        yield running


@pytest.fixture(scope="session")
def expected(small_bundles: dict[str, Path], images: np.ndarray) -> dict[str, list[np.ndarray]]:
    """By version what the artifact answers in a session of its own: to each picture alone, and to all of them together."""
    answers = {}
    for number, (name, path) in enumerate(small_bundles.items(), 1):
        artifact = next(item for item in api.open_bundle(path).artifacts if item.id == name)
        with api.open_session(artifact) as session:
            alone = [session.run({"image": images[at : at + 1]})["probs"] for at in range(len(images))]
            answers[str(number)] = [*alone, session.run({"image": images})["probs"]]
    return answers


@pytest.fixture(scope="session")
def scratch_environment() -> dict[str, str]:
    """The environment of processes that tests start."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

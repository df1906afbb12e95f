"""A device, a channel with one version, and a server between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeship.client import Client, UpdateResult
from tests.client.channels import ARTIFACT, Repository, Server, serve, shared_files


@dataclass
class Field:
    """What a test plays with. `model` is a file that runs; with bytes behind it, it is another version that does the same."""

    repository: Repository
    server: Server
    state: Path
    model: bytes
    shared: dict[str, bytes]

    def client(self, **settings: object) -> Client:
        given = {"state": self.state, "root": self.repository.first_root, "device_id": "device", **settings}
        return Client(self.server.url, name="garments/stable", artifact=ARTIFACT, **given)  # type: ignore[arg-type]

    def update(self, **settings: object) -> UpdateResult:
        return self.client(**settings).update()

    def version(self, number: int) -> bytes:
        return self.model + bytes([number]) * 64

    def publish(self, number: int, **others: object) -> None:
        self.repository.publish(number, self.version(number), self.shared, **others)


@pytest.fixture(scope="session")
def shared(tiny_models: Path) -> dict[str, bytes]:
    return shared_files(tiny_models, tiny_models / "cnn.tflite")


@pytest.fixture
def field(tmp_path: Path, tiny_models: Path, shared: dict[str, bytes]) -> Iterator[Field]:
    repository = Repository(tmp_path / "channel")
    with serve(repository.folder) as server:
        model = (tiny_models / "cnn.tflite").read_bytes()
        field = Field(repository, server, tmp_path / "state", model, dict(shared))
        field.publish(1)
        yield field

"""A device that runs version 1 of a channel, the channel, and a server between them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeship.client import Client, UpdateResult
from tests.client.channels import ARTIFACT, Repository, Server, serve, shared_files


@dataclass
class Field:
    """What a test plays with. Of `goldens`, no two versions share a file; they do the same."""

    repository: Repository
    server: Server
    state: Path
    model: bytes
    goldens: dict[int, dict[str, bytes]]

    def client(self, **settings: object) -> Client:
        given = {"state": self.state, "root": self.repository.first_root, "device_id": "device", **settings}
        return Client(self.server.url, name="garments/stable", artifact=ARTIFACT, **given)  # type: ignore[arg-type]

    def update(self, **settings: object) -> UpdateResult:
        return self.client(**settings).update()

    def version(self, number: int) -> bytes:
        return self.model + bytes([number]) * 64

    def publish(self, number: int, **others: object) -> None:
        self.repository.publish(number, self.version(number), self.goldens[number], **others)

    def runs(self, number: int) -> bool:
        """Whether that version runs on the device, with every byte."""
        client = self.client()
        return client.version == number and client.model.read_bytes() == self.version(number)


@pytest.fixture(scope="session")
def goldens(tiny_models: Path) -> dict[int, dict[str, bytes]]:
    return {number: shared_files(tiny_models, tiny_models / "cnn.tflite", 8 - number) for number in (1, 2, 3)}


@pytest.fixture(scope="session")
def _first(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, goldens: dict[int, dict[str, bytes]]
) -> tuple[Repository, Path, bytes]:
    folder = tmp_path_factory.mktemp("first")
    repository = Repository(folder / "channel")
    with serve(repository.folder) as server:
        model = (tiny_models / "cnn.tflite").read_bytes()
        field = Field(repository, server, folder / "state", model, goldens)
        field.publish(1)
        assert field.update().status == "updated"
    return repository, field.state, model


@pytest.fixture
def field(
    tmp_path: Path, _first: tuple[Repository, Path, bytes], goldens: dict[int, dict[str, bytes]]
) -> Iterator[Field]:
    first, state, model = _first
    shutil.copytree(state, tmp_path / "state", symlinks=True)
    repository = first.copy(tmp_path / "channel")
    with serve(repository.folder) as server:
        yield Field(repository, server, tmp_path / "state", model, goldens)

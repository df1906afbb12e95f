"""What the server is told by the process that started it, as JSON: its settings, and the models that it has to answer for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from edgeship.light_dataclass import dataclass
from edgeship.types import Bridge

# Runtimes that the server's own environment holds; every other one answers from a worker process.
INSIDE = {"litert": "tflite", "onnxruntime": "onnx"}


@dataclass(frozen=True)
class Worker:
    """The command and further environment of a worker process that holds a runtime."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelPlan:
    """One version of a model: the `artifact` (its id) of the bundle in the folder `bundle`, and the runtime that answers.

    `path` is the artifact's file, `content` the digest of the bundle's manifest, `default` whether it answers where no version is
    named. `worker` is None for a runtime of the server's own environment.
    """

    name: str
    version: str
    artifact: str
    bundle: str
    path: str
    content: str
    runtime: str
    default: bool = True
    bridge: Bridge | None = None
    worker: Worker | None = None
    options: Mapping[str, str | bool | None] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name and version, as metrics have them."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class ServerSettings:
    """How the server listens and what it takes.

    `batch`: samples that are answered at once; `batch_wait_ms`: how long a request waits for others that are on their way;
    `max_body_bytes` of one request, `timeout_s` for its body to arrive and for its answer, `cache`: answers that are kept
    (0: none), `threads` of each model. `api_keys` empty: everybody may ask, and nobody may reload. `callback_hosts`: where the
    end of a job may be told, `jobs` the file that jobs are kept in (empty: there are none).
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = 8081
    api_keys: tuple[str, ...] = ()
    batch: int = 16
    batch_wait_ms: float = 2.0
    max_body_bytes: int = 32 << 20
    timeout_s: float = 30.0
    cache: int = 0
    threads: int = 1
    jobs: str = ""
    callback_hosts: tuple[str, ...] = ()

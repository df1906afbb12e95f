"""A channel as docs/deploy/channel.md has it, made with python-tuf alone, and a web server that can misbehave."""

from __future__ import annotations

import contextlib
import copy
import datetime
import functools
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bsdiff4  # type: ignore[import-untyped]
import numpy as np
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from edgeship.client.rule_files import render_channel, render_version
from edgeship.client.rules import Channel, ChannelArtifact, ChannelFile, Patch, Version

ROLES = ("root", "targets", "snapshot", "timestamp")
NAME, ARTIFACT = "garments", "tflite/float32"
Answer = Callable[["Handler"], bool]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Repository:
    """A channel's folder; `write` signs what is there and writes it, each role one version newer."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.targets = folder, folder / "targets"
        self.signers: dict[str, list[Any]] = {role: [CryptoSigner.generate_ed25519()] for role in ROLES}
        (folder / "metadata").mkdir(parents=True)
        self.root = Metadata(Root(expires=self.days(365), consistent_snapshot=True))
        for role in ROLES:
            self.root.signed.add_key(self.signers[role][0].public_key, role)
        self.roles: dict[str, Any] = {
            "targets": Metadata(Targets(expires=self.days(90))),
            "snapshot": Metadata(Snapshot(expires=self.days(7))),
            "timestamp": Metadata(Timestamp(expires=self.days(1))),
        }
        self.write_root()

    def copy(self, folder: Path) -> Repository:
        """The same channel with the same keys in another folder."""
        shutil.copytree(self.folder, folder)
        other = copy.copy(self)
        other.folder, other.targets = folder, folder / "targets"
        other.signers = {role: list(signers) for role, signers in self.signers.items()}
        other.root, other.roles = copy.deepcopy(self.root), copy.deepcopy(self.roles)
        return other

    @staticmethod
    def days(count: float) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=count)

    @property
    def first_root(self) -> bytes:
        return (self.folder / "metadata/1.root.json").read_bytes()

    def write_root(self) -> None:
        self._sign("root", self.root, f"{self.root.signed.version}.root.json")

    def rotate(self, role: str) -> None:
        """Another key for a role, and the old one removed: a new root, signed by the root's old and new keys."""
        old, new = self.signers[role][0], CryptoSigner.generate_ed25519()
        self.root.signed.revoke_key(old.public_key.keyid, role)
        self.root.signed.add_key(new.public_key, role)
        self.root.signed.version += 1
        self.signers[role] = [new]
        if role == "root":
            self.signers["root"] = [new, old]
        self.write_root()
        self.signers["root"] = self.signers["root"][:1]

    def write(self, *, bump: bool = True) -> None:
        targets, snapshot, timestamp = (self.roles[role].signed for role in ROLES[1:])
        bump = bump and (self.folder / "metadata/timestamp.json").exists()
        for signed in (targets, snapshot, timestamp) if bump else ():
            signed.version += 1
        snapshot.meta["targets.json"] = MetaFile(targets.version)
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        self._sign("targets", self.roles["targets"], f"{targets.version}.targets.json")
        self._sign("snapshot", self.roles["snapshot"], f"{snapshot.version}.snapshot.json")
        self._sign("timestamp", self.roles["timestamp"], "timestamp.json")

    def _sign(self, role: str, metadata: Any, name: str) -> None:
        metadata.signatures.clear()
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        metadata.to_file(str(self.folder / "metadata" / name))

    def add(self, path: str, content: bytes) -> Path:
        """A target; where its file is."""
        self.roles["targets"].signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])
        place = self.targets / Path(path).parent / f"{sha256(content)}.{Path(path).name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    def add_file(self, path: str, content: bytes, bases: tuple[bytes, ...] = ()) -> ChannelFile:
        self.add(f"{NAME}/files/{sha256(content)}", content)
        patches = []
        for base in bases:
            patch = bsdiff4.diff(base, content)
            self.add(f"{NAME}/files/{sha256(patch)}", patch)
            patches.append(Patch(sha256(base), sha256(patch), len(patch)))
        return ChannelFile(path, sha256(content), len(content), tuple(patches))

    def add_version(
        self, number: int, model: bytes, shared: Mapping[str, bytes], bases: tuple[bytes, ...] = ()
    ) -> Version:
        form, _, variant = ARTIFACT.partition("/")
        entry = f"{form}/{variant}.tflite"
        files = [self.add_file(entry, model, bases)]
        own = {path: content for path, content in shared.items() if path.endswith(f".{form}-{variant}")}
        files += [self.add_file(path, content) for path, content in own.items()]
        rest = tuple(self.add_file(path, content) for path, content in shared.items() if path not in own)
        artifacts = {ARTIFACT: ChannelArtifact(form, entry, tuple(files))}
        version = Version(NAME, number, "d" * 64, "2026-11-29T10:00:00Z", ("a", "b", "c", "d", "e"), artifacts, rest)
        self.add(f"{NAME}/{number}/version.json", render_version(version))
        return version

    def set_channel(self, version: int, previous: int | None = None, percent: float = 100.0, **others: Any) -> Channel:
        rules = Channel(NAME, "stable", version, previous, percent, f"{NAME}/stable/{version}", **others)
        self.add(f"{NAME}/stable/channel.json", render_channel(rules))
        return rules

    def publish(self, number: int, model: bytes, shared: Mapping[str, bytes], **others: Any) -> None:
        """A version for everybody, with the one before it as the previous one."""
        self.add_version(number, model, shared, others.pop("bases", ()))
        self.set_channel(number, others.pop("previous", number - 1 or None), **others)
        self.write()


def shared_files(folder: Path, model: Path, count: int) -> dict[str, bytes]:
    """Contract and goldens, so many, of the tiny model `cnn`, whose answers are those of LiteRT here."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    images = np.load(folder / "expected.npz")["cnn/inputs/image"][:count].astype(np.float32)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, [1, *images.shape[1:]])
    interpreter.allocate_tensors()
    answers = []
    for image in images:
        interpreter.set_tensor(place, image[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).ravel())
    labels = ["a", "b", "c", "d", "e"]
    cases = [
        {"name": str(number), "input": {"image": {}}, "label": labels[int(answer.argmax())], "clear": [ARTIFACT]}
        for number, answer in enumerate(answers)
    ]
    contract = {
        "schema": 1,
        "kind": "edgeship-contract",
        "inputs": [{"name": "image", "tensor": {"shape": [1, 8, 8, 1], "dtype": "float32"}}],
        "outputs": [{"name": "probs", "shape": [1, 5], "labels": labels}],
        "artifacts": [
            {
                "id": ARTIFACT,
                "inputs": [{"input": "image", "tensor": "image", "index": 0, "dtype": "float32"}],
                "outputs": [{"output": "probs", "tensor": "probs", "index": 0, "dtype": "float32", "tolerance": 1e-3}],
            }
        ],
        "goldens": {"samples": len(cases), "cases": cases},
    }
    return {
        "contract.json": json.dumps(contract).encode(),
        "goldens/raw/image.tensor": images.astype("<f4").tobytes(),
        f"goldens/raw/probs.{ARTIFACT.replace('/', '-')}": np.array(answers, "<f4").tobytes(),
    }


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, keeps connections open, counts; what `server.answer` takes over is its."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if not self.server.answer(self):
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A web server of one folder at `url`."""

    daemon_threads, block_on_close = True, False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.paths: list[str] = []
        self.answer: Answer = lambda handler: False
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients go away


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def trickle(handler: Handler, head: bytes, seconds: float) -> None:
    """Send one byte at a time for so long, as a server does that wants to hold its client."""
    end = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        handler.wfile.write(head)
        while time.monotonic() < end:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
    handler.close_connection = True

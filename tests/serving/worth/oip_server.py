"""A small inference server (Open Inference Protocol v2, REST) around one artifact: what `server-rest` is tried on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.runtimes.engines.server_rest import DATATYPES, HEADER_LENGTH, NAMES
from edgeship.runtimes.session import Session, open_session


@dataclass
class OipServer:
    """Where it is (`url`), what it was asked, and how it answers: `as_bytes` or JSON alone, `delay_s` later, `broken` or not.

    `key`: asked for, if there is one.
    """

    session: Session
    url: str = ""
    as_bytes: bool = True
    delay_s: float = 0.0
    broken: bool = False
    key: str = ""
    paths: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def metadata(self) -> dict[str, Any]:
        return {
            "name": "model", "versions": ["1"], "platform": "edgeship",
            **{way: [{"name": spec.name, "datatype": NAMES[spec.dtype],
                      "shape": [-1 if size is None else size for size in spec.shape]} for spec in specs]
               for way, specs in (("inputs", self.session.inputs), ("outputs", self.session.outputs))},
        }  # fmt: skip

    def infer(self, body: bytes, length: int) -> tuple[bytes, int | None]:
        """The body of an answer, and how much of it is JSON where the rest is bytes."""
        question, rest = json.loads(body[:length]), body[length:]
        if rest and not self.as_bytes:
            raise ValueError("binary tensor data is not supported")
        feeds = {}
        for item in question["inputs"]:
            dtype, size = np.dtype(DATATYPES[item["datatype"]]), item.get("parameters", {}).get("binary_data_size", 0)
            values = np.frombuffer(rest[:size], dtype) if size else np.array(item["data"], dtype)
            feeds[item["name"]], rest = values.reshape(item["shape"]), rest[size:]
        with self.lock:
            time.sleep(self.delay_s)
            outputs = self.session.run(feeds, raw=True)
        items, parts = [], []
        wanted = question.get("parameters", {}).get("binary_data_output")
        for name, array in outputs.items():
            item = {"name": name, "datatype": NAMES[str(array.dtype)], "shape": list(array.shape)}
            if wanted:
                parts.append(array.tobytes())
                items.append({**item, "parameters": {"binary_data_size": len(parts[-1])}})
            else:
                items.append({**item, "data": array.ravel().tolist()})
        head = json.dumps({"model_name": "model", "outputs": items}).encode()
        return b"".join((head, *parts)), len(head) if wanted else None


@contextmanager
def serve(path: Path, runtime: str, **behaviour: Any) -> Iterator[OipServer]:
    """The artifact behind a server on this machine, under the name `model`."""
    with open_session(runtime, path) as session:
        server = OipServer(session, **behaviour)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if length is not None:
                    self.send_header(HEADER_LENGTH, str(length))
                self.end_headers()
                self.wfile.write(body)

            def _is_refused(self) -> bool:
                refused = bool(server.key) and self.headers["Authorization"] != f"Bearer {server.key}"
                if refused:
                    self._answer(401, b'{"error": "this server needs a key"}')
                return refused

            def do_GET(self) -> None:
                server.paths.append(self.path)
                if self._is_refused():
                    return
                known = self.path == "/v2/models/model"
                self._answer(
                    200 if known else 404, json.dumps(server.metadata() if known else {"error": "none"}).encode()
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self._is_refused():
                    return
                if server.broken:
                    self._answer(503, b'{"error": "no memory left"}')
                    return
                try:
                    self._answer(200, *server.infer(body, int(self.headers.get(HEADER_LENGTH, len(body)))))
                except (ValueError, KeyError) as error:
                    self._answer(400, json.dumps({"error": str(error)}).encode())

            def log_message(self, *_: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            http.server_close()

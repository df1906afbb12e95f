"""A client of an inference server: Open Inference Protocol v2 over REST, with tensors as bytes where the server takes them so.

What is timed is what a client waits for; memory is the client's.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from edgeship.light_dataclass import dataclass
from edgeship.runtimes.runtime import Launch, Runtime, python_launch
from edgeship.runtimes.worker.interface import Spec, tensor_spec

if TYPE_CHECKING:
    import http.client

    from edgeship.processes.wire import Arrays

NAME, VERSION = "server-rest", "OIP 2"
DEVICE = "server-local"
# The protocol's names of element types (https://github.com/kserve/open-inference-protocol, Tensor Data Types).
DATATYPES = {
    "BOOL": "bool", **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}, "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DATATYPES.items()}
HEADER_LENGTH = "Inference-Header-Content-Length"  # of the binary tensor data extension: how much of the body is JSON
SECONDS = 120.0  # for an answer
LARGEST = 1 << 30  # bytes of an answer
SHOWN = 300
PROXIES: list[subprocess.Popen[bytes]] = []


def _find_launch() -> Launch:
    return python_launch(NAME)


RUNTIMES = (
    Runtime(
        NAME,
        ("tflite", "onnx"),
        "an inference server over REST (Open Inference Protocol)",
        f"run it with: --device {DEVICE}",
        find_version=lambda: VERSION,
        find_launch=_find_launch,
        find_reason=lambda: None,
        on_devices=DEVICE,
    ),
)


def open_backend() -> ServerClient:
    """Nothing is imported: a client needs the standard library."""
    return ServerClient()


class ServerClient:
    """Opens models of a server; `options`: see `load`."""

    VERSION = VERSION

    def load(self, path: str, threads: int, options: dict[str, Any]) -> ServerModel:
        """Ask for the model's tensors, and what an inference sends and receives.

        `options`: `url` and `model` of the server; `network`: conditions between (`edgeship.devices.network`), if any;
        `api_key`: what the server asks for, if anything.
        """
        place, name, key = urlsplit(options["url"]), options["model"], options.get("api_key", "")
        address = (str(place.hostname), place.port or 80)
        model = open_model(Endpoint(address, name, key))
        if options.get("network"):
            address = start_proxy(address, options["network"], options.get("python", ""))
        return model.over(Endpoint(address, name, key))


def start_proxy(address: tuple[str, int], network: dict[str, float], python: str = "") -> tuple[str, int]:
    """Where the server is to be had over a network; the proxy ends with this process, which holds the only end of its input.

    `python`: an interpreter that has all of edgeship, where this one has not.
    """
    env = {name: value for name, value in os.environ.items() if not python or name != "PYTHONPATH"}
    command = [
        python or sys.executable,
        "-P",
        "-m",
        "edgeship.runtimes.launchers.servers.delay_proxy",
        *map(str, address),
    ]
    proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=env)
    PROXIES.append(proxy)
    if proxy.stdin is None or proxy.stdout is None:
        raise RuntimeError("the proxy was started without pipes")
    proxy.stdin.write(json.dumps(network).encode() + b"\n")
    return "127.0.0.1", int(proxy.stdout.readline())


def _connect(address: tuple[str, int]) -> Any:
    """A connection that counts the bytes that it has `sent`; http.client is not imported where runtimes are only listed."""
    import http.client

    class CountingConnection(http.client.HTTPConnection):
        sent = 0

        def send(self, data: Any) -> None:
            self.sent += len(data)
            super().send(data)

    return CountingConnection(*address, timeout=SECONDS)


@dataclass
class Endpoint:
    """One connection to a model, opened by its first question; `sent` and `received` are bytes of the last one (HTTP, no TCP)."""

    address: tuple[str, int]
    model: str
    api_key: str = field(default="", repr=False)
    sent: int = 0
    received: int = 0
    _connection: Any = field(default=None, repr=False)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[Any, bytes]:
        """Headers and body of an answer. Raises RuntimeError with what the server says where it is none of success."""
        import http.client

        try:
            response, content = self._exchange(method, path, body, {**authorization(self.api_key), **(headers or {})})
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise RuntimeError(f"the server at {self.address[0]}:{self.address[1]} does not answer: {error}") from error
        if len(content) > LARGEST:
            self.close()
            raise RuntimeError(f"the server answers with more than {LARGEST:,} bytes")
        head = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
        self.received = len(f"HTTP/1.1 {response.status} {response.reason}\r\n") + head + 2 + len(content)
        if response.status >= 300:
            text = content[:SHOWN].decode("utf-8", "replace")
            raise RuntimeError(f"{method} {path}: the server answers {response.status}: {text}")
        return response.headers, content

    def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask once; again on a new connection where the server has closed the idle one, as HTTP lets it (RFC 9112, 9.3.1)."""
        import http.client

        kept = self._connection
        connection = self._connection = kept or _connect(self.address)
        connection.sent = 0
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
        except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
            self.close()
            if kept is None:
                raise
            return self._exchange(method, path, body, headers)
        self.sent = connection.sent
        return response, response.read(LARGEST + 1)

    def close(self) -> None:
        """End the connection; the next question opens another one."""
        if self._connection:
            self._connection.close()
        self._connection = None

    @property
    def place(self) -> str:
        """The model's path."""
        return f"/v2/models/{quote(self.model, safe='')}"


class ServerModel:
    """A model of a server, asked over one connection."""

    def __init__(self, endpoint: Endpoint, inputs: list[Spec], outputs: list[Spec], *, as_bytes: bool) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.engine: dict[str, Any] = {}
        self._endpoint, self._as_bytes = endpoint, as_bytes

    def over(self, endpoint: Endpoint) -> ServerModel:
        """The same model, asked over another connection."""
        other = ServerModel(endpoint, self.inputs, self.outputs, as_bytes=self._as_bytes)
        other.engine = self.engine
        return other

    def open_client(self) -> ServerModel:
        """The same model by a connection of its own: what another user has."""
        return self.over(Endpoint(self._endpoint.address, self._endpoint.model, self._endpoint.api_key))

    def run(self, feeds: Arrays) -> Arrays:
        """One question and its answer. Raises RuntimeError where that is no answer."""
        head, content = self._endpoint.ask("POST", f"{self._endpoint.place}/infer", *self._pack(feeds))
        length = int(head.get(HEADER_LENGTH, len(content)))
        answer, rest = json.loads(content[:length]), memoryview(content)[length:]
        outputs = {}
        for item in answer["outputs"]:
            size = (item.get("parameters") or {}).get("binary_data_size")
            outputs[item["name"]] = read_tensor(item, None if size is None else rest[:size])
            rest = rest[size or 0 :]
        return {spec["name"]: outputs[spec["name"]] for spec in self.outputs}

    def _pack(self, feeds: Arrays) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a question."""
        inputs: list[dict[str, Any]] = []
        parts = []
        for spec in self.inputs:
            array = feeds[spec["name"]]
            item = {"name": spec["name"], "shape": list(array.shape), "datatype": NAMES[str(array.dtype)]}
            if self._as_bytes:
                parts.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
                inputs.append({**item, "parameters": {"binary_data_size": len(parts[-1])}})
            else:
                inputs.append({**item, "data": array.ravel().tolist()})
        question: dict[str, Any] = {"inputs": inputs}
        if not self._as_bytes:
            return json.dumps(question).encode(), {"Content-Type": "application/json"}
        question["parameters"] = {"binary_data_output": True}
        head = json.dumps(question, separators=(",", ":")).encode()
        return b"".join((head, *parts)), {
            "Content-Type": "application/octet-stream",
            HEADER_LENGTH: str(len(head)),
        }


def authorization(api_key: str) -> dict[str, str]:
    """The header of a request to a server that asks for a key, none for another one."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def open_model(endpoint: Endpoint) -> ServerModel:
    """A model as its server describes it; `engine` says what one inference sends and receives, by a trial of zeros."""
    described = json.loads(endpoint.ask("GET", endpoint.place)[1])
    inputs, outputs = ([describe_tensor(item) for item in described[way]] for way in ("inputs", "outputs"))
    model = ServerModel(endpoint, inputs, outputs, as_bytes=True)
    zeros = zeros_of(inputs)
    try:
        model.run(zeros)
    except (RuntimeError, ValueError, KeyError):  # few servers say whether they take bytes; others refuse the question
        model = ServerModel(endpoint, inputs, outputs, as_bytes=False)
        model.run(zeros)
    model.engine = {
        "server": f"http://{endpoint.address[0]}:{endpoint.address[1]}{endpoint.place}",
        "tensors": "bytes" if model._as_bytes else "JSON",
        "bytes_up": endpoint.sent,
        "bytes_down": endpoint.received,
    }
    endpoint.close()
    return model


def zeros_of(specs: list[Spec]) -> Arrays:
    """One sample of zeros, which any input takes."""
    import numpy as np

    return {spec["name"]: np.zeros([size or 1 for size in spec["shape"]], spec["dtype"]) for spec in specs}


def read_tensor(item: dict[str, Any], content: memoryview | None) -> Any:
    """The array of an output as the protocol describes it, from bytes or from its `data`."""
    import numpy as np

    dtype = np.dtype(DATATYPES[item["datatype"]])
    if content is None:
        return np.array(item["data"], dtype).reshape(item["shape"])
    if len(content) != dtype.itemsize * math.prod(item["shape"]):
        raise RuntimeError(
            f"output '{item['name']}': {len(content)} bytes are no {item['datatype']} of {item['shape']}"
        )
    return np.frombuffer(content, dtype.newbyteorder("<")).reshape(item["shape"]).astype(dtype, copy=False)


def describe_tensor(item: dict[str, Any]) -> Spec:
    """As the protocol describes a tensor: -1 for an axis without a size."""
    if item["datatype"] not in DATATYPES:
        raise RuntimeError(f"tensor '{item['name']}' is {item['datatype']}: only numbers are measured")
    return tensor_spec(
        item["name"], [size if size >= 0 else None for size in item["shape"]], DATATYPES[item["datatype"]]
    )

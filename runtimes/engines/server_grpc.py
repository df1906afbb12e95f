"""A client of an inference server: Open Inference Protocol v2 over gRPC, in the environment of edgeship's own server.

What is timed is what a client waits for; bytes are those of the messages, without what HTTP/2 adds.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgeship.light_dataclass import dataclass
from edgeship.runtimes.engines import server_rest
from edgeship.runtimes.engines.server_rest import DATATYPES, DEVICE, LARGEST, NAMES, SECONDS
from edgeship.runtimes.runtime import Launch, Runtime, python_launch

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays
    from edgeship.runtimes.own_environment import OwnEnvironment
    from edgeship.runtimes.worker.interface import Spec

NAME = "server-grpc"
Metadata = list[tuple[str, str]]
FRAME = 5  # bytes before each message: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
STUBS = "kserve.protocol.grpc.grpc_predict_v2_pb2"


def _environment() -> OwnEnvironment:
    import edgeship
    from edgeship.runtimes.own_environment import OwnEnvironment

    return OwnEnvironment("kserve", place=Path(edgeship.__file__).parent / "serving" / "rest", installed_by="server")


def _find_launch() -> Launch:
    return python_launch(NAME, os.fspath(_environment().python()))


RUNTIMES = (
    Runtime(
        NAME,
        ("tflite", "onnx"),
        "an inference server over gRPC (Open Inference Protocol)",
        "install it with: edgeship runtimes install server",
        find_version=lambda: _environment().version(),
        find_launch=_find_launch,
        find_reason=lambda: _environment().unavailable_reason(),
        on_devices=DEVICE,
    ),
)


def open_backend() -> GrpcClient:
    """Import gRPC and the protocol's messages."""
    return GrpcClient()


class GrpcClient:
    """Opens models of a server; `options`: see `load`."""

    def __init__(self) -> None:
        self._grpc: Any = importlib.import_module("grpc")
        self._messages: Any = importlib.import_module(STUBS)
        self._stubs: Any = importlib.import_module(f"{STUBS}_grpc")
        self.VERSION = f"{server_rest.VERSION}, grpc {self._grpc.__version__}"

    def load(self, path: str, threads: int, options: dict[str, Any]) -> GrpcModel:
        """Ask for the model's tensors, and what an inference sends and receives; `options` as of `server-rest`."""
        place, name = urlsplit(options["url"]), options["model"]
        address = (str(place.hostname), place.port or 80)
        key = [(header.lower(), text) for header, text in server_rest.authorization(options.get("api_key", "")).items()]
        model = self._open_model(self._connect(address), name, key)
        model.engine = {"server": f"grpc://{address[0]}:{address[1]}/{name}", "tensors": "bytes", **model.trial()}
        if options.get("network"):
            address = server_rest.start_proxy(address, options["network"], options.get("python", ""))
        return model.over(lambda: self._connect(address))

    def _connect(self, address: tuple[str, int]) -> Any:
        settings = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
        settings += [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own for each client
        return self._stubs.GRPCInferenceServiceStub(
            self._grpc.insecure_channel(f"{address[0]}:{address[1]}", options=settings)
        )

    def _open_model(self, stub: Any, name: str, key: Metadata) -> GrpcModel:
        try:
            question = self._messages.ModelMetadataRequest(name=name)
            described = stub.ModelMetadata(question, timeout=SECONDS, metadata=key)
        except self._grpc.RpcError as error:
            raise RuntimeError(f"model {name}: the server answers {error.code().name}: {error.details()}") from error
        inputs, outputs = (
            [
                server_rest.describe_tensor({"name": item.name, "datatype": item.datatype, "shape": list(item.shape)})
                for item in items
            ]
            for items in (described.inputs, described.outputs)
        )
        target = Target(self._messages, self._grpc.RpcError, name, key)
        return GrpcModel(target, lambda: stub, inputs, outputs)


@dataclass(frozen=True)
class Target:
    """The protocol's modules, the model's name, and the `key` that goes with each question."""

    messages: Any
    error: Any
    name: str
    key: Metadata


class GrpcModel:
    """A model of a server; `connect` gives the connection it is asked over, opened by the first question."""

    def __init__(self, target: Target, connect: Any, inputs: list[Spec], outputs: list[Spec]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.engine: dict[str, Any] = {}
        self._target, self._connect = target, connect
        self._stub: Any = None

    def over(self, connect: Any) -> GrpcModel:
        """The same model, asked over another connection."""
        other = GrpcModel(self._target, connect, self.inputs, self.outputs)
        other.engine = self.engine
        return other

    def open_client(self) -> GrpcModel:
        """The same model by a connection of its own: what another user has."""
        return self.over(self._connect)

    def run(self, feeds: Arrays) -> Arrays:
        """One question and its answer. Raises RuntimeError where that is no answer."""
        return self._read(self._ask(self._pack(feeds)))

    def trial(self) -> dict[str, int]:
        """The bytes of a question of zeros and of its answer."""
        question = self._pack(server_rest.zeros_of(self.inputs))
        answer = self._ask(question)
        return {"bytes_up": question.ByteSize() + FRAME, "bytes_down": answer.ByteSize() + FRAME}

    def _pack(self, feeds: Arrays) -> Any:
        messages = self._target.messages
        arrays = {spec["name"]: feeds[spec["name"]] for spec in self.inputs}
        inputs = [
            messages.ModelInferRequest.InferInputTensor(name=name, datatype=NAMES[str(array.dtype)], shape=array.shape)
            for name, array in arrays.items()
        ]
        contents = [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays.values()]
        return messages.ModelInferRequest(model_name=self._target.name, inputs=inputs, raw_input_contents=contents)

    def _ask(self, question: Any) -> Any:
        self._stub = self._stub or self._connect()
        try:
            return self._stub.ModelInfer(question, timeout=SECONDS, metadata=self._target.key)
        except self._target.error as error:
            raise RuntimeError(f"the server answers {error.code().name}: {error.details()}") from error

    def _read(self, answer: Any) -> Arrays:
        import numpy as np

        outputs = {}
        for place, item in enumerate(answer.outputs):
            described = {"name": item.name, "datatype": item.datatype, "shape": list(item.shape)}
            if answer.raw_output_contents:
                outputs[item.name] = server_rest.read_tensor(described, memoryview(answer.raw_output_contents[place]))
            else:
                ((_, values), *_) = item.contents.ListFields()
                outputs[item.name] = np.array(values, DATATYPES[item.datatype]).reshape(described["shape"])
        return {spec["name"]: outputs[spec["name"]] for spec in self.outputs}

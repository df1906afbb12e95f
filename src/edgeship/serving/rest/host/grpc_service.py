"""The gRPC side: KServe's servicer with versions, keys and our errors; nobody loads or unloads models by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from kserve import InferRequest
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as stubs
from kserve.protocol.grpc.servicer import InferenceServicer

from edgeship.errors import InputError
from edgeship.serving.rest.host.app import SERVER, describe_error
from edgeship.serving.rest.host.inference.models import Models
from edgeship.serving.rest.host.limits import check_key
from edgeship.serving.rest.host.metrics import REFUSED
from edgeship.serving.rest.host.protocol.payload import DTYPES
from edgeship.serving.rest.plan import ServerSettings

STATUSES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
OPEN_METHODS = ("ServerLive", "ServerReady")


class Service(InferenceServicer):  # type: ignore[misc]  # KServe is not typed
    """The protocol's calls."""

    def __init__(self, plane: DataPlane, models: Models) -> None:
        super().__init__(plane, None)
        self._plane, self._models = plane, models

    async def ServerMetadata(self, request: Any, context: Any) -> Any:
        """Who answers."""
        return messages.ServerMetadataResponse(**SERVER)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # the protocol's names
        """Whether a version answers."""
        self._models.find(request.name, request.version or None)
        return messages.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        """A version's tensors."""
        model = self._models.find(request.name, request.version or None)
        tensor = messages.ModelMetadataResponse.TensorMetadata
        return messages.ModelMetadataResponse(
            name=model.plan.name,
            versions=self._models.versions(model.plan.name),
            platform=f"{model.plan.runtime}_{model.plan.artifact.partition('/')[0]}",
            inputs=[_describe(tensor, item) for item in model.get_input_types()],
            outputs=[_describe(tensor, item) for item in model.get_output_types()],
        )

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        """A version's answer."""
        model = self._models.find(request.model_name, request.model_version or None)
        for item in request.inputs:
            if item.datatype not in DTYPES and item.datatype != "BYTES":
                raise InputError(f"input '{item.name[:100]}': unknown datatype {item.datatype[:20]!r}")
        self.validate_grpc_request(request)
        response, _ = await self._plane.infer(model.plan.key, InferRequest.from_grpc(request), {})
        return response.to_grpc()

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        """Refused: the server's owner says what it serves."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "models are loaded by the server's owner")

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:
        """Refused, too."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "models are unloaded by the server's owner")


def _describe(tensor: Any, item: dict[str, Any]) -> Any:
    return tensor(name=item["name"], datatype=item["datatype"], shape=item["shape"])


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Asks for the key, and answers errors as statuses."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys

    async def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of a call, with both."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = details.method.rpartition("/")[2]
        sent = {item.key: item.value for item in details.invocation_metadata or ()}
        inner = handler.unary_unary

        async def call(request: Any, context: Any) -> Any:
            try:
                if method not in OPEN_METHODS:
                    check_key(_sent_key(sent), self._keys)
                return await inner(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # each is told as its status
                status, text = describe_error(error)
                REFUSED.labels(str(status)).inc()
            await context.abort(STATUSES.get(status, grpc.StatusCode.INTERNAL), text)

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


def _sent_key(metadata: dict[str, Any]) -> str:
    value = str(metadata.get("authorization", ""))
    return value[7:].strip() if value[:7].lower() == "bearer " else str(metadata.get("x-api-key", ""))


async def start_grpc(models: Models, settings: ServerSettings) -> tuple[Any, int]:
    """Listen; the server and its port. Raises InputError where that port cannot be had."""
    most = settings.max_body_bytes
    options = [
        ("grpc.max_receive_message_length", most),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # else a second server would take half of the calls, in silence
    ]
    server = grpc.aio.server(interceptors=(Guard(settings.api_keys),), options=options)
    stubs.add_GRPCInferenceServiceServicer_to_server(Service(DataPlane(model_registry=models), models), server)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise InputError(
            f"--grpc-port {settings.grpc_port}: cannot listen on {settings.host} there; is it in use? 0 takes any that is free"
        ) from error
    await server.start()
    return server, port

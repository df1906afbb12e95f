"""The REST side: KServe's own endpoints for the server, ours for models, since KServe knows no versions and no limits."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from kserve.errors import InvalidInput
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.v2_datamodels import (
    InferenceRequest,
    InferenceResponse,
    ListModelsResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from edgeship import __version__
from edgeship.errors import EdgeshipError
from edgeship.serving.rest.host.failures import Refused
from edgeship.serving.rest.host.inference.model import ServedModel
from edgeship.serving.rest.host.inference.models import Models
from edgeship.serving.rest.host.jobs.jobs import Jobs, add_jobs
from edgeship.serving.rest.host.metrics import REFUSED
from edgeship.serving.rest.host.protocol.payload import BINARY, LENGTH, read_request, write_response

SERVER = {"name": "edgeship", "version": __version__, "extensions": ["binary_tensor_data"]}
Handler = Callable[..., Awaitable[Any]]


class ErrorBody(BaseModel):  # type: ignore[misc]  # pydantic is not here when types are checked
    """The protocol's form of an error."""

    error: str


class ReloadBody(BaseModel):  # type: ignore[misc]
    """The versions that are served after a reload, as NAME/VERSION."""

    models: list[str]


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 404, 405, 408, 409, 413, 500, 503, 504)
}


class DirectRoute(APIRoute):  # type: ignore[misc]  # FastAPI is not here when types are checked
    """Calls its handler without what FastAPI does for others: all it takes are texts of the path, and it gives a response."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request that the path fits."""
        if scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        response = await self.endpoint(**scope["path_params"], request=Request(scope, receive))
        await response(scope, receive, send)


class ModelEndpoints:
    """What is asked of one model, or of one version of it."""

    def __init__(self, models: Models, plane: DataPlane) -> None:
        self._models, self._plane = models, plane

    async def describe_server(self) -> Any:
        """Who answers, and which parts of the protocol beyond the required ones."""
        return SERVER

    async def list_models(self) -> Any:
        """All models by name."""
        return {"models": self._models.names()}

    async def describe_model(self, model_name: str) -> Any:
        """The default version."""
        return self._metadata(self._models.find(model_name))

    async def describe_version(self, model_name: str, model_version: str) -> Any:
        """One version."""
        return self._metadata(self._models.find(model_name, model_version))

    def _metadata(self, model: ServedModel) -> Response:
        plan = model.plan
        content = {
            "name": plan.name,
            "versions": self._models.versions(plan.name),
            "platform": f"{plan.runtime}_{plan.artifact.partition('/')[0]}",
            "inputs": model.get_input_types(),
            "outputs": model.get_output_types(),
        }
        return JSONResponse(content)

    async def is_model_ready(self, model_name: str) -> Any:
        """Whether the default version answers."""
        return {"name": self._models.find(model_name).plan.name, "ready": True}

    async def is_version_ready(self, model_name: str, model_version: str) -> Any:
        """Whether a version answers."""
        return {"name": self._models.find(model_name, model_version).plan.name, "ready": True}

    async def infer(self, model_name: str, request: Request) -> Response:
        """The default version's answer."""
        return await self._answer(self._models.find(model_name), request)

    async def infer_version(self, model_name: str, model_version: str, request: Request) -> Response:
        """A version's answer."""
        return await self._answer(self._models.find(model_name, model_version), request)

    async def _answer(self, model: ServedModel, request: Request) -> Response:
        headers = request.headers
        asked = read_request(await request.body(), headers.get(LENGTH), model.plan.name)
        response, _ = await self._plane.infer(model.plan.key, asked, {})
        body, length = write_response(response, asked)
        if length is None:
            return Response(body, media_type="application/json")
        return Response(body, media_type=BINARY, headers={LENGTH: str(length)})


def build_app(models: Models, reload: Callable[[], Awaitable[list[str]]] | None, jobs: Jobs | None) -> FastAPI:
    """The application. `reload` reads the models again; None where nobody has a key for it. `jobs`: None where there are none."""
    app = FastAPI(title="edgeship serve", docs_url=None, redoc_url=None)
    plane = DataPlane(model_registry=models)
    server, ours = V2Endpoints(plane), ModelEndpoints(models, plane)

    def get(path: str, handler: Handler, answer: Any, *statuses: int) -> None:
        app.add_api_route(path, handler, response_model=answer, responses=_errors(*statuses))

    for path, handler in (("", ours.infer), ("/versions/{model_version}", ours.infer_version)):
        app.router.add_api_route(
            f"/v2/models/{{model_name}}{path}/infer",
            handler,
            methods=["POST"],
            response_model=None,
            route_class_override=DirectRoute,
            responses={200: {"model": InferenceResponse}, **_errors(400, 404, 408, 413, 500, 503, 504)},
            openapi_extra={"requestBody": _request_body()},
        )
    get("/v2", ours.describe_server, ServerMetadataResponse)
    get("/v2/health/live", server.live, ServerLiveResponse)
    get("/v2/health/ready", server.ready, ServerReadyResponse)
    get("/v2/models", ours.list_models, ListModelsResponse)
    get("/v2/models/{model_name}", ours.describe_model, ModelMetadataResponse, 404)
    get("/v2/models/{model_name}/versions/{model_version}", ours.describe_version, ModelMetadataResponse, 404)
    get("/v2/models/{model_name}/ready", ours.is_model_ready, ModelReadyResponse, 404)
    get("/v2/models/{model_name}/versions/{model_version}/ready", ours.is_version_ready, ModelReadyResponse, 404)
    app.add_api_route("/metrics", _show_metrics, response_model=None, responses={200: {"content": {"text/plain": {}}}})
    if reload is not None:
        _add_reload(app, reload)
    if jobs is not None:
        add_jobs(app, jobs, _errors, _request_body())
    _add_error_handlers(app)
    return app


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: ERRORS[status] for status in (401, *statuses)}


def _request_body() -> dict[str, Any]:
    schema = InferenceRequest.model_json_schema()
    definitions = schema.pop("$defs", {})
    content: dict[str, Any] = {"application/json": {"schema": _inline(schema, definitions)}}
    content[BINARY] = {"schema": {"type": "string", "format": "binary"}}
    return {"required": True, "content": content}


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """A JSON schema with what it refers to in its place."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(item, definitions) for name, item in schema.items()}


def _add_reload(app: FastAPI, reload: Callable[[], Awaitable[list[str]]]) -> None:
    async def read_again() -> Any:
        return {"models": await reload()}

    app.add_api_route(
        "/admin/reload", read_again, methods=["POST"], response_model=ReloadBody, responses=_errors(400, 500)
    )


async def _show_metrics() -> Response:
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})


def _add_error_handlers(app: FastAPI) -> None:
    async def tell(request: Request, error: Exception) -> Response:
        status, text = describe_error(error)
        REFUSED.labels(str(status)).inc()
        headers = dict(getattr(error, "headers", None) or {})
        if status == 405:  # of all that the path knows, and not of the first route alone
            headers = {"allow": ", ".join(sorted(_methods(app, request.url.path)))}
        return JSONResponse({"error": text}, status, headers=headers)

    for kind in (EdgeshipError, InvalidInput, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, tell)


def _methods(app: FastAPI, path: str) -> set[str]:
    return {method for route in app.routes if route.path_regex.match(path) for method in route.methods}


def describe_error(error: Exception) -> tuple[int, str]:
    """HTTP's status of an error, and what is said of it; what nobody foresaw goes to the log, and not to the client."""
    if isinstance(error, Refused):
        return error.status, str(error)
    if isinstance(error, EdgeshipError):
        return (400 if error.exit_code == 2 else 500), str(error)
    if isinstance(error, InvalidInput):
        return 400, str(error)
    if isinstance(error, RequestValidationError):
        return 400, "the request is none of this server's (/openapi.json has them)"
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    traceback.print_exception(error, file=sys.stderr)
    return 500, "internal error; the server's log says more"

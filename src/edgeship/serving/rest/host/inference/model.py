"""A version of a model as KServe serves it: protocol in, artifact's own answer out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model

from edgeship.data import Array, Batch
from edgeship.deploy.contract.contract import Contract, read_contract
from edgeship.errors import EdgeshipError, InputError, brief_message
from edgeship.serving.rest.host.failures import ModelFailed, TimeIsUp
from edgeship.serving.rest.host.inference.answer_cache import AnswerCache
from edgeship.serving.rest.host.inference.batching import Batcher
from edgeship.serving.rest.host.inference.engine import Engine
from edgeship.serving.rest.host.metrics import CACHE
from edgeship.serving.rest.host.protocol.labels import label_answers
from edgeship.serving.rest.host.protocol.payload import DATATYPES, read_array
from edgeship.serving.rest.host.protocol.raw_inputs import is_raw, read_raw
from edgeship.serving.rest.plan import ModelPlan, ServerSettings
from edgeship.types import TensorSpec

UNHURRIED = {"edgeship-unhurried": "yes"}  # in place of a request's headers: nobody waits for the answer
PREPROCESSING = ThreadPoolExecutor(2, thread_name_prefix="preprocessing")


class ServedModel(Model):  # type: ignore[misc]  # KServe is not typed
    """A loaded version: `infer` answers a request of either protocol."""

    def __init__(self, plan: ModelPlan, settings: ServerSettings, cache: AnswerCache | None) -> None:
        super().__init__(plan.key)
        self.plan = plan
        self.loaded = Engine(plan, settings.threads, settings.batch)
        self._contract: Contract | None = read_contract(Path(plan.bundle))
        self._timeout_s, self._cache = settings.timeout_s, cache
        self._classes = {item.name: item for item in self._contract.outputs if item.labels} if self._contract else {}
        self._names = [spec.name for spec in self.loaded.inputs]
        self._parameters = {"artifact": plan.artifact, "runtime": plan.runtime}
        self._batcher: Batcher | None = None
        self.in_flight = 0
        self.ready = True

    def start_answering(self, wait_s: float, arriving: Callable[[], int]) -> None:
        """Open the queue; `arriving` tells how many requests are on their way."""
        self._batcher = Batcher(self.loaded, wait_s, arriving)

    def get_input_types(self) -> list[dict[str, Any]]:
        """The inputs as the protocol describes tensors."""
        return [_describe(spec) for spec in self.loaded.inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        """The outputs; those with classes name them in their parameters."""
        described = [_describe(spec) for spec in self.loaded.outputs]
        for item in described:
            if known := self._classes.get(item["name"]):
                item["parameters"] = {"labels": json.dumps(known.labels, ensure_ascii=False)}
        return described

    async def predict(
        self, payload: InferRequest, headers: Mapping[str, str] | None = None, response_headers: Any = None
    ) -> InferResponse:
        """The answer. Raises InputError for a request that does not fit the model, TimeIsUp where it takes too long."""
        self.in_flight += 1
        try:
            async with asyncio.timeout(None if headers is UNHURRIED else self._timeout_s):
                return self._respond(payload, await self._answer(await self._read_feeds(payload)))
        except TimeoutError as error:
            raise TimeIsUp(f"{self.plan.name}: no answer within {self._timeout_s:g} s") from error
        finally:
            self.in_flight -= 1

    async def _read_feeds(self, payload: InferRequest) -> dict[str, Array]:
        names = [tensor.name for tensor in payload.inputs]
        if len(set(names)) < len(names):
            raise InputError(f"{self.plan.name}: an input is given twice")
        feeds = {}
        for tensor in payload.inputs:
            if not is_raw(tensor):
                feeds[tensor.name] = read_array(tensor)
                continue
            if tensor.name not in self._names:
                raise InputError(f"{self.plan.name} takes inputs {', '.join(self._names)}, got {tensor.name!r}")
            item = self._contract.input(tensor.name) if self._contract else None
            loop = asyncio.get_running_loop()
            feeds[tensor.name] = await loop.run_in_executor(PREPROCESSING, read_raw, tensor, item)
        return feeds

    async def _answer(self, feeds: Mapping[str, Array]) -> Batch:
        assert self._batcher is not None  # noqa: S101  # `start_answering` comes before the first request
        prepared = self.loaded.prepare(feeds)
        key = None
        if self._cache is not None:
            key = self._cache.key(f"{self.plan.content}/{self.plan.artifact}", prepared)
            found = self._cache.find(key)
            CACHE.labels(self.plan.key, "miss" if found is None else "hit").inc()
            if found is not None:
                return found
        try:
            answer = await self._batcher.run(prepared)
        except EdgeshipError:
            raise
        except Exception as error:  # whatever the runtime raises over its inputs
            raise ModelFailed(f"{self.plan.name}: the model failed on this input ({brief_message(error)})") from error
        if self._cache is not None and key is not None:
            self._cache.keep(key, answer)
        return answer

    def _respond(self, request: InferRequest, answer: Batch) -> InferResponse:
        wanted = {item.name for item in request.request_outputs or []}
        if unknown := wanted - answer.keys():
            raise InputError(f"{self.plan.name} gives outputs {', '.join(answer)}, not {min(unknown)!r}")
        outputs = []
        for name, array in answer.items():
            if wanted and name not in wanted:
                continue
            output = InferOutput(
                name, list(array.shape), DATATYPES[array.dtype.name], array, self._output_parameters(name, array)
            )
            outputs.append(output)
        parameters = dict(self._parameters)
        return InferResponse(
            request.id or "", self.plan.name, outputs, model_version=self.plan.version, parameters=parameters
        )

    def _output_parameters(self, name: str, scores: Array) -> dict[str, str] | None:
        item = self._classes.get(name)
        labels = label_answers(item, scores) if item else None
        return {"labels": labels} if labels else None

    def close(self) -> None:
        """Let the model go."""
        if self._batcher is not None:
            self._batcher.close()
        self.loaded.close()


def _describe(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as clients see it: real numbers in place of quantized ones, -1 for an axis of any size."""
    dtype = "float32" if spec.quantization is not None and np.dtype(spec.dtype).kind in "iu" else spec.dtype
    return {
        "name": spec.name,
        "datatype": DATATYPES[dtype],
        "shape": [-1 if size is None else size for size in spec.shape],
    }

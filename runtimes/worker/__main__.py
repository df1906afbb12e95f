"""`python -m edgeship.runtimes.worker --runtime NAME`: answer requests until the parent closes the stream."""

from __future__ import annotations

import argparse
import functools
import importlib
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeship.processes import wire
from edgeship.runtimes.worker import batching, instruction_marks, latency
from edgeship.runtimes.worker.interface import Backend, Model, open_clients, prepare_inference, profile_operators
from edgeship.runtimes.worker.memory import Memory
from edgeship.runtimes.worker.request_loop import Answer, serve_requests


def open_backend(runtime: str) -> Backend:
    """Import a runtime, by the file of its name."""
    file = importlib.import_module(f"edgeship.runtimes.engines.{runtime.replace('-', '_')}")
    backend: Backend = file.open_backend()
    return backend


class Worker:
    """One runtime and, once loaded, one model."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._memory = Memory()
        self._model: Model | None = None
        self.requests: dict[str, Callable[[dict[str, Any], wire.Arrays], Answer]] = {
            "load": self._load_model,
            "run": self._run_model,
            "first": self._run_first,
            "memory": self._read_memory,
            "latency": self._time_latency,
            "block": self._time_block,
            "server": self._find_highest_rate,
            "count": self._count_inferences,
            "profile": self._profile_operators,
        }

    @property
    def model(self) -> Model:
        """The loaded model."""
        if self._model is None:
            raise RuntimeError("no model is loaded")
        return self._model

    def _load_model(self, header: dict[str, Any], _: wire.Arrays) -> Answer:
        backend = open_backend(self._runtime)
        self._memory.start()
        start = time.perf_counter_ns()
        self._model = backend.load(header["path"], header["threads"], header["options"])
        load_ms = (time.perf_counter_ns() - start) / 1e6
        model = self._model
        described = {"inputs": model.inputs, "outputs": model.outputs, "engine": model.engine}
        return {"load_ms": load_ms, "version": backend.VERSION, **described}, {}

    def _run_model(self, _: dict[str, Any], feeds: wire.Arrays) -> Answer:
        return {}, batching.run_batch(self.model, feeds)

    def _run_first(self, _: dict[str, Any], feeds: wire.Arrays) -> Answer:
        start = time.perf_counter_ns()
        outputs = self.model.run(feeds)
        return {"first_ms": (time.perf_counter_ns() - start) / 1e6}, outputs

    def _read_memory(self, _: dict[str, Any], __: wire.Arrays) -> Answer:
        memory = self._memory
        return {"peak_bytes": memory.peak(), "baseline_bytes": memory.baseline, "method": memory.method}, {}

    def _time_latency(self, header: dict[str, Any], feeds: wire.Arrays) -> Answer:
        run = self.model.run
        seconds = header["min_seconds"]
        fastest = latency.warm_up(lambda: run(feeds), seconds)
        self._memory.freeze()
        answer, samples = latency.measure_steady(lambda: run(feeds), seconds, header["min_queries"], fastest)
        return answer, _sample_arrays(samples)

    def _time_block(self, header: dict[str, Any], feeds: wire.Arrays) -> Answer:
        run = self.model.run
        return {}, _sample_arrays(latency.time_queries(lambda: run(feeds), header["seconds"], 1))

    def _find_highest_rate(self, header: dict[str, Any], feeds: wire.Arrays) -> Answer:
        from edgeship.runtimes.worker import server_scenario

        clients = [functools.partial(client.run, feeds) for client in open_clients(self.model, header["clients"])]
        one_ms = latency.warm_up(clients[0], header["seconds"])
        return server_scenario.find_highest_rate(clients, header["limit_ms"], header["seconds"], one_ms), {}

    def _count_inferences(self, header: dict[str, Any], feeds: wire.Arrays) -> Answer:
        instruction_marks.mark_each(prepare_inference(self.model, feeds), header["inferences"])
        return {}, {}

    def _profile_operators(self, _: dict[str, Any], feeds: wire.Arrays) -> Answer:
        return profile_operators(self.model, feeds), {}


def _sample_arrays(samples: array[float]) -> wire.Arrays:
    return {"samples_ms": np.frombuffer(samples, np.float64)}


def main() -> None:
    """Answer each request, failures included, until the parent closes the stream."""
    parser = argparse.ArgumentParser(prog="python -m edgeship.runtimes.worker")
    parser.add_argument("--runtime", required=True)
    worker = Worker(parser.parse_args().runtime)
    serve_requests(worker.requests)


if __name__ == "__main__":
    main()

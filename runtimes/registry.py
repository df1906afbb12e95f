"""The runtimes that edgeship knows: what each takes, whether it is here, and how to get it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from edgeship import errors
from edgeship.runtimes import tfjs_node, tflite_runtime
from edgeship.runtimes.browser import requirements as browser
from edgeship.types import Artifact


@dataclass(frozen=True)
class Launch:
    """How a worker of a runtime is started; `upload` brings a model to a worker that does not see this machine's files."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    upload: Callable[[Path], str] | None = None


@dataclass(frozen=True)
class Runtime:
    """A runtime; `version` is None and `unavailable` gives the reason where it cannot be used here."""

    name: str
    formats: tuple[str, ...]
    title: str
    install: str
    find_version: Callable[[], str | None]
    find_launch: Callable[[], Launch]
    find_reason: Callable[[], str]
    prepare: Callable[[], Path] | None = None
    in_browser: bool = False
    find_refusal: Callable[[Artifact], str] = lambda _: ""
    kernels: tuple[str, ...] = ()  # other sets than the default that its worker takes, all of them right

    def version(self) -> str | None:
        """Its installed version, found without importing or starting it."""
        return self.find_version()

    def identity(self) -> list[str | None]:
        """What decides its results, for cache keys: name, version and, of an engine in a browser, the built page."""
        return [self.name, self.version(), *([browser.page_digest()] if self.in_browser else [])]

    def unavailable(self) -> str:
        """Why it cannot be used here, or an empty text."""
        return self.find_reason()

    def refuses(self, artifact: Artifact) -> str:
        """Why it cannot run an artifact of a format that it takes otherwise, with what to do; or an empty text."""
        return self.find_refusal(artifact)

    def launch(self) -> Launch:
        """The command and environment of its worker. Raises MissingDependencyError where it is not available."""
        reason = self.unavailable()
        if reason:
            raise errors.MissingDependencyError(f"runtime {self.name} is not available: {reason}; {self.install}")
        return self.find_launch()


# OpenBLAS would start a thread per core on importing numpy, which is neither used nor part of the runtime.
LEAN = {"OPENBLAS_NUM_THREADS": "1"}


def python_launch(runtime: str, python: str = "", extra: Mapping[str, str] | None = None) -> Launch:
    """A Python worker in this environment, or in that of another interpreter, which need not have edgeship.

    Nothing is imported from the working folder (-P), custom layers of a server model apart (`server_model.keras.custom`).
    """
    command = (python or sys.executable, "-P", "-m", "edgeship.runtimes.worker", "--runtime", runtime)
    if not python:
        return Launch(command, {**LEAN, **(extra or {})})
    own = {
        "PYTHONPATH": os.fspath(tflite_runtime.worker_files()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # it stays as it was installed
    return Launch(command, {**LEAN, **(extra or {}), **own})


def _installed(distribution: str, *others: str) -> Callable[[], str | None]:
    def version() -> str | None:
        for name in (distribution, *others):
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return None

    return version


def _missing(version: Callable[[], str | None], distribution: str) -> Callable[[], str]:
    return lambda: "" if version() else f"{distribution} is not installed"


TENSORFLOW = ("tensorflow", "tensorflow-cpu")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}


def _own(
    name: str,
    artifact_format: str,
    title: str,
    extra: str,
    distributions: tuple[str, ...],
    kernels: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> Runtime:
    """A runtime in edgeship's own environment."""
    version = _installed(*distributions)
    package = f"edgeship[{extra}]" if extra else "edgeship"
    return Runtime(
        name,
        (artifact_format,),
        title,
        f"install it with: pip install '{package}'",
        version,
        lambda: python_launch(name, extra=env),
        _missing(version, distributions[0]),
        kernels=kernels,
    )


def _not_for_pages(artifact: Artifact) -> str:
    """Why LiteRT.js does not take a `.tflite`: it knows fixed shapes only, and three dtypes at the edges."""
    tensors = (*artifact.inputs, *artifact.outputs)
    wrong = [f"'{item.name}' has a free axis" for item in tensors if None in item.shape]
    wrong += [f"'{item.name}' is {item.dtype}" for item in tensors if item.dtype not in ("float32", "int32", "uint8")]
    need = (
        'LiteRT.js needs a variant with static_batch = true and io = "float32" (`edgeship init` writes one, commented)'
    )
    return f"{wrong[0]}: {need}" if wrong else ""


def _page(name: str, artifact_format: str, title: str, engine: str, backend: str = "wasm") -> Runtime:
    """An engine in a page of a real Chromium."""
    command = (sys.executable, "-P", "-m", "edgeship.runtimes.browser", "--engine", engine, "--backend", backend)
    return Runtime(
        name,
        (artifact_format,),
        title,
        "see: edgeship runtimes install browser",
        lambda: browser.version(engine),
        lambda: Launch(command, LEAN),
        browser.unavailable,
        browser.install,
        in_browser=True,
        find_refusal=_not_for_pages if engine == "litert" else lambda _: "",
    )


RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        _own("keras", "keras", "TensorFlow with Keras (server models)", "tensorflow", TENSORFLOW, env=QUIET),
        _own("litert", "tflite", "LiteRT", "", ("ai-edge-litert",), ("without-delegates", "reference")),
        _own("onnxruntime", "onnx", "ONNX Runtime", "onnx", ("onnxruntime",), ("unoptimized",)),
        Runtime(
            "tfjs-node",
            ("tfjs",),
            "TF.js, wasm backend under Node",
            "install it with: edgeship runtimes install tfjs-node",
            tfjs_node.version,
            lambda: Launch(tfjs_node.command()),
            tfjs_node.unavailable,
            tfjs_node.install,
        ),
        Runtime(
            "tflite-runtime",
            ("tflite",),
            "tflite-runtime 2.14, frozen in 2023",
            "install it with: edgeship runtimes install tflite-runtime",
            tflite_runtime.version,
            lambda: python_launch("tflite-runtime", os.fspath(tflite_runtime.python())),
            tflite_runtime.unavailable,
            tflite_runtime.install,
        ),
        _page("tfjs-web", "tfjs", "TF.js, wasm backend in Chromium", "tfjs"),
        _page("tfjs-webgl", "tfjs", "TF.js, WebGL backend in Chromium", "tfjs", "webgl"),
        _page("tfjs-webgpu", "tfjs", "TF.js, WebGPU backend in Chromium", "tfjs", "webgpu"),
        _page("tfjs-cpu", "tfjs", "TF.js, plain JavaScript backend in Chromium", "tfjs", "cpu"),
        _page("litert-web", "tflite", "LiteRT.js in Chromium (batch fixed, float in and out)", "litert"),
        _page("ort-web", "onnx", "ONNX Runtime Web in Chromium", "ort"),
    )
}


def _on_device(name: str, artifact_format: str, title: str, device: str) -> Runtime:
    """A runtime that only a device has: the device says how it is started."""
    reason, install = f"it belongs to a device ({device})", f"run it with: --device {device}"
    return Runtime(name, (artifact_format,), title, install, lambda: None, lambda: Launch(()), lambda: reason)


ON_DEVICES = {
    runtime.name: runtime
    for runtime in (
        _on_device("tflite-micro", "tflite", "TensorFlow Lite Micro", "cortex-m"),
        _on_device("vela", "tflite", "Arm Vela, a compiler", "ethos-u55-128"),
    )
}


def find(name: str, where: str = "") -> Runtime:
    """The runtime of that name. Raises InputError for an unknown one, listing the known; `where` is the place that names it."""
    known = {**RUNTIMES, **ON_DEVICES}
    if name not in known:
        raise errors.unknown("runtime", name, known, where)
    return known[name]


def for_format(artifact_format: str) -> tuple[Runtime, ...]:
    """The runtimes that run artifacts of a format (`tflite`, `onnx`, `tfjs`)."""
    return tuple(runtime for runtime in RUNTIMES.values() if artifact_format in runtime.formats)

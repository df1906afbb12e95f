"""The engines in a page of a real Chromium; their worker is `edgeship.runtimes.browser`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edgeship.runtimes.browser import requirements
from edgeship.runtimes.engines import mediapipe
from edgeship.runtimes.runtime import LEAN, Launch, Runtime

if TYPE_CHECKING:
    from edgeship.types import Artifact


def _litert_refusal(artifact: Artifact) -> str | None:
    """Why LiteRT.js does not take a `.tflite`: it knows fixed shapes only, and three dtypes at the edges."""
    tensors = (*artifact.inputs, *artifact.outputs)
    wrong = [f"'{item.name}' has a free axis" for item in tensors if None in item.shape]
    wrong += [f"'{item.name}' is {item.dtype}" for item in tensors if item.dtype not in ("float32", "int32", "uint8")]
    need = (
        'LiteRT.js needs a variant with static_batch = true and io = "float32" (`edgeship init` writes one, commented)'
    )
    return f"{wrong[0]}: {need}" if wrong else None


def _mediapipe_refusal(artifact: Artifact) -> str | None:
    """Why MediaPipe does not take an artifact: in the page it reads the contract, which edgeship alone writes into a file."""
    if not artifact.steps:
        return (
            "the page reads how a picture is scaled from a contract of edgeship, which a stranger's file does not hold"
        )
    return mediapipe.find_refusal(artifact)


REFUSALS: Mapping[str, Callable[[Artifact], str | None]] = {"litert": _litert_refusal, "mediapipe": _mediapipe_refusal}


def _page_runtime(name: str, artifact_format: str, title: str, engine: str, backend: str = "wasm") -> Runtime:
    command = (sys.executable, "-P", "-m", "edgeship.runtimes.browser", "--engine", engine, "--backend", backend)
    return Runtime(
        name,
        (artifact_format,),
        title,
        "see: edgeship runtimes install browser",
        find_version=lambda: requirements.engine_version(engine),
        find_launch=lambda: Launch(command, LEAN),
        find_reason=requirements.unavailable_reason,
        prepare=requirements.install_page,
        in_browser=True,
        find_refusal=REFUSALS.get(engine, lambda _: None),
    )


RUNTIMES = (
    _page_runtime("tfjs-web", "tfjs", "TF.js, wasm backend in Chromium", "tfjs"),
    _page_runtime("tfjs-webgl", "tfjs", "TF.js, WebGL backend in Chromium", "tfjs", "webgl"),
    _page_runtime("tfjs-webgpu", "tfjs", "TF.js, WebGPU backend in Chromium", "tfjs", "webgpu"),
    _page_runtime("tfjs-cpu", "tfjs", "TF.js, plain JavaScript backend in Chromium", "tfjs", "cpu"),
    _page_runtime("litert-web", "tflite", "LiteRT.js in Chromium (batch fixed, float in and out)", "litert"),
    _page_runtime("ort-web", "onnx", "ONNX Runtime Web in Chromium", "ort"),
    _page_runtime("mediapipe-web", "tflite", "MediaPipe Tasks in Chromium, ImageClassifier", "mediapipe"),
)

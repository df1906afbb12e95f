"""A server as somebody writes it in ten minutes: FastAPI and ONNX Runtime or LiteRT, no batches, no limits, one model.

`python by_hand.py MODEL PORT` in the environment of edgeship's server.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Tensor(BaseModel):  # type: ignore[misc]  # pydantic is not here when types are checked
    """An input."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Body(BaseModel):  # type: ignore[misc]
    """What is asked."""

    inputs: list[Tensor]


def open_model(path: str) -> Any:
    """What runs a batch of one."""
    if path.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda array: session.run(None, {name: array})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    (name,), (output,) = runner.get_input_details(), runner.get_output_details()
    return lambda array: runner(**{name: array})[output]


def main() -> None:
    """Serve until somebody ends it."""
    model, app = open_model(sys.argv[1]), FastAPI()

    async def infer(body: Body) -> Any:
        tensor = body.inputs[0]
        answer = model(np.array(tensor.data, np.float32).reshape(tensor.shape))
        return {"outputs": [{"shape": list(answer.shape), "datatype": "FP32", "data": answer.ravel().tolist()}]}

    infer.__annotations__["body"] = Body  # of this function, and no text
    app.add_api_route("/infer", infer, methods=["POST"])
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

"""From start to first prediction with a client that finds nothing new, against loading the model alone and one request.

`python -m scripts.bench.deploy.client_start CHANNEL_DIR --name garments/stable --artifact tflite/int8`: serves the folder here,
brings a device to its version, takes both in turn, each in a fresh process, and prints the ratio with a 95 % interval (pairs
resampled), of wall-clock and of processor time.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from edgeship.client import Client

PREDICT = {
    "tflite": """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=str(model))
interpreter.allocate_tensors()
for item in interpreter.get_input_details():
    interpreter.set_tensor(item["index"], np.zeros(item["shape"], item["dtype"]))
interpreter.invoke()
""",
    "onnx": """
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(str(model))
shapes = {item.name: [size if isinstance(size, int) else 1 for size in item.shape] for item in session.get_inputs()}
session.run(None, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
""",
}
ALONE = """
import urllib.request
urllib.request.urlopen("{url}/metadata/timestamp.json").read()
model = "{model}"
"""
WITH_CLIENT = """
from edgeship.client import Client
client = Client("{url}", name="{name}", artifact="{artifact}", state="{state}", root="{root}")
assert client.update().status == "current"
model = client.model
"""


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def run(code: str) -> tuple[float, float]:
    """Seconds of wall-clock and of processor that a fresh process takes for it."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    seconds, after = time.perf_counter() - begun, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("channel", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--pairs", type=int, default=30)
    told = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(told.channel)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, root = f"http://127.0.0.1:{server.server_address[1]}", told.channel.absolute() / "metadata/1.root.json"
    with tempfile.TemporaryDirectory() as state:
        client = Client(url, name=told.name, artifact=told.artifact, state=state, root=root)
        print(client.update())
        given = {
            "url": url,
            "name": told.name,
            "artifact": told.artifact,
            "state": state,
            "root": root,
            "model": client.model,
        }
        predict = PREDICT[told.artifact.partition("/")[0]]
        codes = [ALONE.format(**given) + predict, WITH_CLIENT.format(**given) + predict]
        for code in codes:
            run(code)
        times = np.array([[run(code) for code in codes] for _ in range(told.pairs)])  # (pairs, 2, 2)
    random = np.random.default_rng(0)
    for place, kind in enumerate(("wall-clock", "processor")):
        logs = np.log(times[:, 1, place] / times[:, 0, place])
        means = np.exp(np.median(random.choice(logs, (10_000, len(logs))), axis=1))
        low, high = np.quantile(means, (0.025, 0.975))
        alone, both = np.median(times[:, :, place], axis=0)
        print(
            f"{kind}: {np.exp(np.median(logs)):.2f} times (95 % interval {low:.2f} to {high:.2f}); "
            f"medians {alone:.2f} s alone, {both:.2f} s with the client"
        )


if __name__ == "__main__":
    main()

"""cases.py CLIENT FILE: the tensors of the pictures in FILE (pictures.py) one after the other on standard output."""

from __future__ import annotations

import importlib
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
core = importlib.import_module("edgeship_client.core")
content, at = Path(sys.argv[2]).read_bytes(), 0
while at < len(content):
    n = struct.unpack_from("<18i", content, at)
    factors = struct.unpack_from(f"<{2 * n[13]}f", content, at + 72)
    at += 72 + 8 * n[13]
    given = core.Input(
        "image",
        "image",
        core.Edge(0, "float32", (1, *n[:3]), 0.0, 0),
        channels=n[2],
        height=n[0],
        width=n[1],
        orient=bool(n[3]),
        flatten=n[4],
        grey=n[5:8],
        invert=("", "dark", "light")[n[8]],
        resampler=("area", "pil-bilinear", "tf-bilinear")[n[9]],
        fit=("stretch", "contain", "cover")[n[10]],
        border=n[11],
        swap=bool(n[12]),
        multiply=factors[: n[13]],
        add=factors[n[13] :],
    )
    pixels = np.frombuffer(content, np.uint8, n[14] * n[15] * n[16], at).reshape(n[14:17])
    at += pixels.size
    sys.stdout.buffer.write(core.preprocess(given, pixels, orientation=n[17]).tobytes())

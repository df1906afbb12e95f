"""TF.js under Node; its worker is `runtimes/tfjs/worker.mjs`."""

from __future__ import annotations

from edgeship.runtimes import tfjs_node
from edgeship.runtimes.runtime import Launch, Runtime

RUNTIMES = (
    Runtime(
        "tfjs-node",
        ("tfjs",),
        "TF.js, wasm backend under Node",
        "install it with: edgeship runtimes install tfjs-node",
        tfjs_node.version,
        lambda: Launch(tfjs_node.command()),
        tfjs_node.unavailable_reason,
        tfjs_node.install,
    ),
)

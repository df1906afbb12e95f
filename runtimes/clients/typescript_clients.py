"""Generated TypeScript clients under Node: on TensorFlow Lite's C library, on LiteRT.js and on TF.js."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.processes.environment import find_program
from edgeship.runtimes import tfjs_node
from edgeship.runtimes.clients.tools import LITERT_JS, TYPESCRIPT, run_command, tflite_library

if TYPE_CHECKING:
    from edgeship.deploy.codegen.client import Client

OLDEST_NODE = 20
TAKEN_BY_LITERT_JS = ("float32", "int32", "uint8")


def find_problem() -> str | None:
    """What is missing on this machine."""
    node = find_program("node")
    if node is None:
        return f"node not on the path (Node {OLDEST_NODE} or later is needed)"
    found = re.match(r"v(\d+)", run_command([node, "--version"], "asking node"))
    return None if found and int(found[1]) >= OLDEST_NODE else f"Node {OLDEST_NODE} or later is needed"


def find_tfjs_problem() -> str | None:
    """What is missing on this machine for TF.js, whose packages are those of the runtime tfjs-node."""
    reason = tfjs_node.unavailable_reason()
    return f"it runs on tfjs-node, and {reason}; edgeship runtimes install tfjs-node" if reason else None


def find_litert_js_misfit(client: Client) -> str:
    """Why LiteRT.js does not run the client's model; empty where it does."""
    if client.dynamic:
        return "LiteRT.js takes fixed shapes only: a variant with static_batch or mobile = true"
    edges = [*(item.edge for item in client.inputs), *(item.edge for item in client.outputs)]
    dtypes = [edge.dtype for edge in (*edges, *(client.learning.inputs if client.learning else ()))]
    other = next((dtype for dtype in dtypes if dtype not in TAKEN_BY_LITERT_JS), None)
    return f"LiteRT.js takes {', '.join(TAKEN_BY_LITERT_JS)} and no {other}" if other else ""


def build(client: Path, work: Path) -> list[str]:
    """Compile a client; the command of its self-test on TensorFlow Lite's C library."""
    return [*_compile(client, work), os.fspath(tflite_library()), "model.tflite", "goldens"]


def build_on_litert_js(client: Path, work: Path) -> list[str]:
    """The same on LiteRT.js."""
    return [*_compile(client, work, LITERT_JS.folder), "litert", "model.tflite", "goldens"]


def build_on_tfjs(client: Path, work: Path) -> list[str]:
    """The same on TF.js."""
    return [*_compile(client, work, Path(tfjs_node.command()[-1])), "tfjs", "model", "goldens"]


def _compile(client: Path, work: Path, *others: Path) -> list[str]:
    """The program; packages of `others` are found by it beside those that compile it."""
    modules = TYPESCRIPT.folder / "node_modules"
    if not (client / "node_modules").exists():
        (client / "node_modules").symlink_to(modules)
    compiler = os.fspath(modules / "typescript" / "bin" / "tsc")
    node = find_program("node") or "node"
    out = work / "build"
    run_command(
        [node, compiler, "-p", os.fspath(client), "--outDir", os.fspath(out)], "compiling the TypeScript client"
    )
    (work / "node_modules").mkdir(exist_ok=True)
    for folder in (modules, *(other / "node_modules" for other in others)):
        for package in folder.iterdir():
            place = work / "node_modules" / package.name
            if not place.exists():
                place.symlink_to(package)
    return [node, os.fspath(out / "nodeSelftest.js")]

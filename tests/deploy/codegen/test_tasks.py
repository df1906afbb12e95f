"""The default task, motion, one audio, one table and MobileNetV2: goldens in every client lane that is here, and all pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeship.processes.child import FunctionProcess
from edgeship.runtimes.clients.lanes import LANES
from tests.deploy.codegen.conftest import HERE, edgeship

TASKS = ("fashion-mnist", "motion", "audio", "table", "mobilenetv2")
OPTIONS = ("--to", "tflite,tfjs", "--variant", "float32,int8,mobile")


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundles by task."""
    root = tmp_path_factory.mktemp("tasks")
    with FunctionProcess(env={"PYTHONPATH": str(HERE / "made_up")}) as process:
        process.call("task_models:build", folder=str(root))
    for task in TASKS[:2]:
        edgeship("train", task, "--out", root / task, "--epochs", "1")
        edgeship("init", root / task / "server.keras", "--force")
    for task in TASKS:
        edgeship("convert", root / task / "server.keras", "--out", root / task / "bundle", *OPTIONS)
    return root


@pytest.mark.more
@pytest.mark.parametrize("artifact", ["", "tflite/int8"])
@pytest.mark.parametrize("task", TASKS)
def test_every_lane_passes(task, artifact, bundle_of, tmp_path):
    """Without a name each lane takes `tflite/mobile` or its own format's; integers are equal to the byte on the same engine."""
    named = ("--artifact", artifact) if artifact else ()
    done = edgeship("deploy", "selftest", bundle_of / task / "bundle", "--out", tmp_path, *named)
    results = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    here = {name for name, lane in LANES.items() if not lane.unavailable_reason()}
    assert set(results) == here - {name for name in here if f"{name} is left out" in done.stderr}
    assert artifact or here == set(results)
    assert all(result["passed"] and not result["failures"] for result in results.values())
    for name in {"client-python", "client-c-litert"} & set(results):
        assert all(output["maxAbsError"] == 0 for output in results[name]["outputs"].values())

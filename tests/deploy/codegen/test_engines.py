"""The further engines of clients on their real runtimes: LiteRT in C, LiteRT.js and TF.js under Node, arm64 under QEMU."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.deploy.codegen.client import describe_client
from edgeship.runtimes import tfjs_node
from edgeship.runtimes.clients.lanes import LANES, Lane
from edgeship.runtimes.clients.tools import LITERT_JS, TYPESCRIPT
from tests.deploy.codegen.conftest import edgeship, run
from tests.deploy.codegen.test_selftest import forget_checksum, run_client, shuffle_weights

ENGINES = {"client-c-litert": "LiteRT C", "client-ts-litert": "LiteRT.js", "client-ts-tfjs": "TF.js"}


@pytest.fixture
def usable(missing):
    def find(name: str) -> Lane:
        if reason := LANES[name].unavailable_reason():
            missing(f"{name}: {reason} (make clients)")
        return LANES[name]

    return find


@pytest.mark.parametrize("name", ENGINES)
def test_inputs_of_every_other_kind(name, bundles, tmp_path, usable):
    """Four inputs and two outputs, in an order that only their names tell."""
    lane = usable(name)
    bundle = bundles / "mixed" / "bundle"
    artifact = describe_client(open_bundle(bundle), None, [lane.format]).artifact
    edgeship("deploy", "codegen", bundle, "--for", lane.language, "--artifact", artifact, "--out", tmp_path)
    client = tmp_path / lane.language
    result = run_client(lane, client, tmp_path)
    assert result["passed"] is True and result["samples"] >= 16 and result["engine"] == ENGINES[name]
    assert {output: found["maxAbsError"] for output, found in result["outputs"].items()} == {"wide": 0, "narrow": 0}
    (client / "goldens" / f"3.wide.{artifact.replace('/', '-')}").write_bytes(bytes(20))
    shutil.rmtree(tmp_path / "work")
    failures = run_client(lane, client, tmp_path)["failures"]
    # What is counted of the goldens is no longer what the report of the goldens says.
    assert [(failure["case"], failure["what"]) for failure in failures] == [("3", "output"), ("report", "counts")]


def test_stale_tfjs_weights_fail(bundles, tmp_path, usable):
    lane = usable("client-ts-tfjs")
    bundle = bundles / "mixed" / "bundle"
    edgeship("deploy", "codegen", bundle, "--for", "typescript", "--artifact", "tfjs/float32", "--out", tmp_path)
    (shard,) = (tmp_path / "typescript" / "model").glob("*.bin")
    shard.write_bytes(shard.read_bytes()[::-1])
    failures = run_client(lane, tmp_path / "typescript", tmp_path)["failures"]
    assert {"model", "output"} <= {failure["what"] for failure in failures}


@pytest.mark.parametrize("fault", ["none", "stale", "cut"])
def test_int8_on_litert(fault, clients, tmp_path, usable):
    """A dynamic batch, integers at the edges: the same engine as the goldens', so the same bytes."""
    lane, client = usable("client-c-litert"), shutil.copytree(clients / "c", tmp_path / "c")
    model = client / "model.tflite"
    if fault == "stale":
        shuffle_weights(model)
        forget_checksum(client, "c")
    if fault == "cut":
        model.write_bytes(model.read_bytes()[:400])
    result = run_client(lane, client, tmp_path)
    assert result["passed"] is (fault == "none")
    if fault == "none":
        assert result["outputs"]["probs"]["maxAbsError"] == 0
    else:
        assert ("output" if fault == "stale" else "model") in {failure["what"] for failure in result["failures"]}


def test_pages_take_the_engines(clients, tmp_path, usable):
    """The engines accept LiteRT.js's and TF.js's own types."""
    usable("client-ts-litert"), usable("client-ts-tfjs")
    folder = shutil.copytree(clients / "typescript", tmp_path / "typescript")
    (folder / "node_modules").mkdir()
    for modules in (TYPESCRIPT.folder, LITERT_JS.folder, Path(tfjs_node.command()[-1])):
        for package in (modules / "node_modules").iterdir():
            if (
                package.name.startswith(("@", "koffi", "typescript"))
                and not (folder / "node_modules" / package.name).exists()
            ):
                (folder / "node_modules" / package.name).symlink_to(package)
    lines = [
        "import type {CompiledModel, Tensor} from '@litertjs/core' with {'resolution-mode': 'import'};",
        "import type {GraphModel} from '@tensorflow/tfjs-converter';",
        "import {tensor} from '@tensorflow/tfjs-core';",
        "import {liteRtEngine} from './engineLiteRtJs';",
        "import {tfjsEngine} from './engineTfjs';",
        "export const openLiteRt = (model: CompiledModel, kind: typeof Tensor) => liteRtEngine(model, kind);",
        "export const openTfjs = (model: GraphModel) => tfjsEngine(model, tensor);",
    ]
    (folder / "src" / "page.ts").write_text("\n".join(lines))
    compiler = TYPESCRIPT.folder / "node_modules" / "typescript" / "bin" / "tsc"
    run("node", compiler, "-p", ".", "--noEmit", "--skipLibCheck", cwd=folder)


def test_lanes_that_do_not_run_a_model_are_left_out_with_a_sentence(bundle, tmp_path, usable):
    usable("client-ts"), usable("client-ts-litert")
    done = edgeship("deploy", "selftest", bundle, "--for", "typescript", "--artifact", "tflite/int8", "--out", tmp_path)
    assert "client-ts-litert is left out: tflite/int8: LiteRT.js takes fixed shapes only" in done.stderr
    assert "client-ts-tfjs is left out: " in done.stderr and "has no tfjs, which these clients run" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["client-ts.json"]
    done = edgeship("deploy", "codegen", bundle, "--for", "c", "--artifact", "tfjs/float32", "--out", tmp_path, check=2)
    assert "unknown artifact 'tfjs/float32'" in done.stderr


def test_other_languages_do_not_run_tfjs(bundles, tmp_path):
    bundle, options = bundles / "mixed" / "bundle", ("--artifact", "tfjs/float32", "--out", tmp_path)
    done = edgeship("deploy", "codegen", bundle, "--for", "typescript,c", *options, check=2)
    assert "tfjs/float32: clients of this language run tflite; choose another of tflite/" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.more
@pytest.mark.parametrize("model", ["colour-squares", "mixed"])
def test_arm64(model, bundles, tmp_path):
    """Emulated on this machine; without a Debian tree, which has its own test."""
    if reason := LANES["client-c-arm64"].unavailable_reason():
        pytest.skip(reason)
    edgeship("deploy", "codegen", bundles / model / "bundle", "--for", "c", "--out", tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    result = LANES["client-c-arm64"].run_selftest(tmp_path / "c", work)
    assert result["passed"] is True and result["device"] == "arm64 emulated by QEMU"

"""A newcomer follows the generated README, and nothing else: from the folder to a first prediction, without edgeship."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from edgeship.runtimes.clients.lanes import LANES
from edgeship.runtimes.clients.tools import TYPESCRIPT, tflite_library
from tests.deploy.codegen.conftest import edgeship, run


def code_block(readme: Path, language: str, mark: str) -> str:
    """The block of that language which holds `mark`, without its indentation."""
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", readme.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if mark in block]
    return re.sub("^   ", "", block, flags=re.MULTILINE)


@pytest.fixture
def folder_of(bundles, clients, tmp_path, missing):
    def copy(lane: str, language: str, model: str) -> Path:
        if reason := LANES[lane].unavailable_reason():
            missing(f"{lane}: {reason} (make clients)")
        if model == "mixed":
            edgeship("deploy", "codegen", bundles / model / "bundle", "--for", language, "--out", tmp_path)
            return tmp_path / language
        return Path(shutil.copytree(clients / language, tmp_path / language))

    return copy


@pytest.mark.parametrize("model", ["colour-squares", "mixed"])
def test_c(model, folder_of):
    folder, library = folder_of("client-c", "c", model), tflite_library().parent
    done = run("make", "check", f"TFLITE={library}", cwd=folder)
    assert '"passed": true}' in done.stdout
    (folder / "predict.c").write_text(code_block(folder / "README.md", "c", "int main"))
    run("make", "predict", f"TFLITE={library}", cwd=folder)
    first = run("./predict", cwd=folder).stdout.split()
    if model == "colour-squares":
        contract = json.loads((folder / "contract.json").read_text())
        assert first[1] == contract["goldens"]["cases"][0]["label"]
    assert 0 <= float(first[-1]) <= 100


def test_typescript(folder_of):
    folder = folder_of("client-ts", "typescript", "colour-squares")
    (folder / "node_modules").symlink_to(TYPESCRIPT.folder / "node_modules")  # what `npm install` would bring
    program = code_block(folder / "README.md", "ts", "nodeEngine").replace(
        "/path/to/libtensorflowlite_c.so", str(tflite_library())
    )
    (folder / "src" / "predict.ts").write_text(program)
    run("npm", "run", "build", cwd=folder)
    done = run("npm", "run", "selftest", "--", tflite_library(), "model.tflite", "goldens", cwd=folder)
    assert '"passed": true' in done.stdout
    contract = json.loads((folder / "contract.json").read_text())
    assert f"label: '{contract['goldens']['cases'][0]['label']}'" in run("node", "build/predict.js", cwd=folder).stdout


def test_react_native_takes_the_engine(folder_of):
    """The engine accepts the model of react-native-fast-tflite's own types."""
    folder = folder_of("client-ts", "typescript", "colour-squares")
    (folder / "node_modules").symlink_to(TYPESCRIPT.folder / "node_modules")
    lines = [
        "import type {TfliteModel} from 'react-native-fast-tflite';",
        "import {fastTfliteEngine} from './engineFastTflite';",
    ]
    lines.append("export const open = (model: TfliteModel) => fastTfliteEngine(model);")
    (folder / "src" / "native.ts").write_text("\n".join(lines))
    run("node", "node_modules/typescript/bin/tsc", "-p", ".", "--noEmit", "--skipLibCheck", cwd=folder)

"""The same raw picture files through the server model, the `.tflite`, the `.onnx` and TF.js give the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from edgeship.runtimes.clients.lanes import LANES
from edgeship.train.own_data.sources.source import Source, read_source
from tests.train.own_data.test_end_to_end import run

PICTURES = 48
ORIENTATION = 0x0112  # the tag of EXIF
FAR_APART = 0.02  # deviation of the answers: where all are alike, nothing is compared
ENGINES_DIFFER = 1e-5

# In a process of its own: TensorFlow.
ASK_SERVER = """
import sys
import numpy as np
import keras
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]).astype(np.float32), verbose=0).reshape(-1))
"""
# An app's part: it has decoded pixels in hand, and asks the generated client.
ASK_CLIENT = """
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
const [build, model, pictures, out] = process.argv.slice(2);
const load = createRequire(import.meta.url);
const {Client} = load(`${build}/client.js`);
const client = new Client(await load(`${build}/nodeRuntimes.js`).openTfjs(model));
const answers = {};
for (const {name, file, ...picture} of JSON.parse(readFileSync(pictures))) {
  const [scores] = await client.predict({...picture, data: new Uint8Array(readFileSync(file))});
  answers[name] = scores[0];
}
writeFileSync(out, JSON.stringify(answers));
"""


def write_pictures(folder: Path) -> None:
    """Light and dark pictures of many sizes: grey, coloured, half transparent, from a palette, turned as cameras do."""
    random = np.random.default_rng(3)
    for number in range(PICTURES):
        (place := folder / ("dark", "light")[number % 2]).mkdir(parents=True, exist_ok=True)
        height, width = random.integers(9, 70, 2)
        low = 110 * (number % 2)
        picture = Image.fromarray(random.integers(low, low + 146, (height, width, 4), dtype=np.uint8))
        mode, suffix = (("RGB", "png"), ("L", "png"), ("RGBA", "png"), ("P", "png"), ("RGB", "jpg"))[number % 5]
        exif = Image.Exif()
        exif[ORIENTATION] = number % 8 + 1
        made = picture if mode == "RGBA" else picture.convert("RGB").convert(mode)
        made.save(place / f"{number}.{suffix}", exif=exif)


def read_as_training(folder: Path, work: Path) -> tuple[list[str], Any]:
    """The names of the files, and what training makes of them, uint8 (n, height, width, channels)."""
    work.mkdir()
    data = read_source(Source(folder), work)
    count = len(data.targets)
    return list(map(data.describe_row, range(count))), np.asarray(data.prepare(np.arange(count)).inputs["image"])


def ask_server(folder: Path) -> dict[str, float]:
    names, pixels = read_as_training(folder / "data", folder / "work")
    np.save(folder / "pixels.npy", pixels)
    command = [sys.executable, "-c", ASK_SERVER, "out/server.keras", "pixels.npy", "server.npy"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return dict(zip(names, np.load(folder / "server.npy").tolist(), strict=True))


def ask_artifact(folder: Path, artifact: str) -> dict[str, float]:
    """`edgeship predict` on the files."""
    out = f"{artifact.partition('/')[0]}.parquet"
    done = run(folder, f"edgeship predict bundle --from data --to {out} --artifact {artifact}")
    assert done.returncode == 0, done.stderr
    table = pq.read_table(folder / out)
    return dict(zip(table["row_key"].to_pylist(), table["probability_score"].to_pylist(), strict=True))


def ask_page(folder: Path) -> dict[str, float]:
    """The generated TypeScript client on TF.js."""
    lane = LANES["client-ts-tfjs"]
    done = run(folder, "edgeship deploy codegen bundle --for typescript --artifact tfjs/float32 --out clients")
    assert done.returncode == 0, done.stderr
    (built := folder / "built").mkdir()
    lane.build(folder / "clients" / "typescript", built)
    pictures = []
    for number, path in enumerate(sorted((folder / "data").rglob("*.*"))):
        with Image.open(path) as picture:
            orientation = picture.getexif().get(ORIENTATION, 1)
            mode = picture.mode if picture.mode in ("L", "RGBA") else "RGB"
            pixels = np.asarray(picture.convert(mode))
        (built / f"{number}.raw").write_bytes(pixels.tobytes())
        height, width = pixels.shape[:2]
        name = path.relative_to(folder / "data").as_posix()
        raw = {"height": height, "width": width, "channels": pixels.size // height // width, "orientation": orientation}
        pictures.append({"name": name, "file": str(built / f"{number}.raw"), **raw})
    (built / "pictures.json").write_text(json.dumps(pictures))
    (built / "ask.mjs").write_text(ASK_CLIENT)
    done = run(built, "node ask.mjs ./build ../clients/typescript/model pictures.json answers.json")
    assert done.returncode == 0, done.stderr
    answers: dict[str, float] = json.loads((built / "answers.json").read_text())
    return answers


@pytest.mark.more
def test_raw_picture_files_are_answered_alike_in_every_format(tmp_path: Path) -> None:
    if reason := LANES["client-ts-tfjs"].unavailable_reason():
        pytest.skip(reason)
    write_pictures(tmp_path / "data")
    for command in (
        "edgeship train --data data --folds 3 --epochs 4 --allow-worse --out out",
        "edgeship init out/server.keras",
        "edgeship convert out/server.keras --out bundle --variant float32",
    ):
        done = run(tmp_path, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    server = ask_server(tmp_path)
    assert len(server) == PICTURES and np.std(list(server.values())) > FAR_APART
    for answers in (
        ask_artifact(tmp_path, "tflite/float32"),
        ask_artifact(tmp_path, "onnx/float32"),
        ask_page(tmp_path),
    ):
        assert answers.keys() == server.keys()
        found, wanted = (np.array([item[name] for name in server]) for item in (answers, server))
        np.testing.assert_allclose(found, wanted, atol=ENGINES_DIFFER)

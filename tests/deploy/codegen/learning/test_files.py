"""What code generation makes of a bundle that learns: files, goldens, what is refused, and self-tests that can fail."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle, seal_bundle
from edgeship.bundle.head_learning import HeadLearning
from edgeship.bundle.manifest import Manifest
from edgeship.client.learning.engines import NamedModel
from edgeship.client.learning.package import open_package
from edgeship.deploy.codegen.client import describe_client
from edgeship.deploy.codegen.generate import write_clients
from edgeship.errors import InputError
from edgeship.runtimes.clients.lanes import LANES
from edgeship.storage import digest
from edgeship.types import to_json
from tests.deploy.codegen.conftest import edgeship, run
from tests.deploy.codegen.learning.conftest import ACTIVATIONS
from tests.deploy.codegen.test_preprocessing import STRICT
from tests.deploy.codegen.test_readme import code_block
from tests.learning.head.head_models import draw

ARTIFACT = "tflite/int8"
LANE_OF = {"c": "client-c", "python": "client-python"}


def test_head_holds_what_the_bundle_does(bundle_of, learning_clients):
    package = open_package(bundle_of("softmax") / "learning")
    folder = learning_clients / "c" / "head"
    assert sorted(path.name for path in folder.iterdir()) == ["base.tflite", "replay.bin", "shipped.bin"]
    shipped = np.fromfile(folder / "shipped.bin", "<f4")
    np.testing.assert_array_equal(shipped, np.concatenate([package.head.weights.ravel(), package.head.bias]))
    image = draw(1, 3)["image"].astype(np.float32)
    given, wanted = (
        NamedModel("tflite", path).run({"image": image})
        for path in (folder / "base.tflite", package.folder / "base-int8.tflite")
    )
    assert [value.tobytes() for value in given.values()] == [value.tobytes() for value in wanted.values()]
    content, at = (folder / "replay.bin").read_bytes(), 0
    scale, offset = (np.float32(package.content["samples"][name]) for name in ("scale", "offset"))
    for part in (package.replay, package.guard):
        stored = np.frombuffer(content, np.uint8, part.features.size, at).reshape(part.features.shape)
        np.testing.assert_array_equal(stored.astype(np.float32) * scale + offset, part.features)
        at += stored.size
        target = np.frombuffer(content, "<f4", part.target.size, at).reshape(part.target.shape)
        np.testing.assert_array_equal(target, part.target)
        at += target.nbytes
    assert at == len(content)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_lessons_are_one_that_is_kept_and_one_that_is_not(activation, bundle_of):
    client = describe_client(open_bundle(bundle_of(activation)), ARTIFACT)
    assert client.learning
    lesson, bad = client.learning.lesson, client.learning.bad
    assert lesson.kept and not bad.kept and bad.reason in ("loss", "guard", "held_out")
    assert lesson.samples == lesson.added and bad.samples == lesson.added + bad.added
    size = client.learning.features + client.learning.outputs
    assert len(client.goldens["learning.samples"]) == 4 * lesson.added * size
    assert len(client.goldens["learning.bad"]) == 4 * bad.added * size
    heads = np.frombuffer(client.goldens["learning.heads"], "<f4")
    shipped = np.frombuffer(client.learning.files["shipped.bin"], "<f4")
    assert heads.size == shipped.size and abs(heads - shipped).max() > 0.01  # something was learned
    assert client.learning.answers == ("softmax" if activation == "softmax" else client.learning.answers)


def test_a_bundle_that_does_not_learn_has_clients_that_do_not(bundle_of, tmp_path):
    copy = shutil.copytree(bundle_of("softmax"), tmp_path / "bundle")
    manifest = open_bundle(copy).manifest
    shutil.rmtree(copy / "learning")
    seal_bundle(copy, replace(manifest, learning=None))
    write_clients(open_bundle(copy), ["c", "python"], tmp_path)
    for language in ("c", "python"):
        folder = tmp_path / language
        assert not list(folder.rglob("learning")) and not (folder / "head").exists()
        assert (
            not list((folder / "goldens").glob("learning.*")) and "Teach it" not in (folder / "README.md").read_text()
        )


def test_the_same_bundle_gives_the_same_files(bundle_of, learning_clients, tmp_path):
    bundle = bundle_of("softmax")
    for _ in range(2):  # the second takes the place of the first
        write_clients(open_bundle(bundle), ["c"], tmp_path, ARTIFACT)
    for path in sorted(item for item in (tmp_path / "c").rglob("*") if item.is_file()):
        assert path.read_bytes() == (learning_clients / "c" / path.relative_to(tmp_path / "c")).read_bytes()


def change_learning(bundle: Path, manifest: Manifest, **change: Any) -> None:
    learning = replace(learning_of(manifest), **change)
    (bundle / "learning" / "learning.json").write_text(json.dumps(to_json(learning)))
    seal_bundle(bundle, replace(manifest, learning=learning))


def learning_of(manifest: Manifest) -> HeadLearning:
    assert manifest.learning
    return manifest.learning


@pytest.mark.parametrize("file", ["learning.json", "head.npz", "replay.npz", "base-int8.tflite"])
def test_a_learning_that_was_changed_is_refused(file, bundle_of, tmp_path):
    copy = shutil.copytree(bundle_of("softmax"), tmp_path / "bundle")
    path, manifest = copy / "learning" / file, open_bundle(copy).manifest
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"rate": 0', b'"rate": 1') if file.endswith("json") else content[:-1] + b"x")
    if file == "learning.json":
        done = edgeship("deploy", "codegen", copy, "--for", "c", "--out", tmp_path / "out", check=2)
        assert "does not match its manifest" in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()
    seal_bundle(copy, manifest)  # as a stranger does, who makes the manifest fit
    with pytest.raises(InputError, match="otherwise than the manifest" if file == "learning.json" else "was changed"):
        describe_client(open_bundle(copy), ARTIFACT)


def test_a_learning_json_that_is_none_is_refused(bundle_of, tmp_path):
    copy = shutil.copytree(bundle_of("softmax"), tmp_path / "bundle")
    manifest = open_bundle(copy).manifest
    for content in ("{", "[]", '{"schema": 2}', "[" * 5000):
        (copy / "learning" / "learning.json").write_text(content)
        seal_bundle(copy, manifest)
        with pytest.raises(InputError):
            describe_client(open_bundle(copy), ARTIFACT)
    shutil.rmtree(copy / "learning")
    seal_bundle(copy, manifest)
    with pytest.raises(InputError, match="nothing is learned here"):
        describe_client(open_bundle(copy), ARTIFACT)


@pytest.mark.parametrize("what", ["features", "head", "replay"])
def test_numbers_that_do_not_fit_are_refused(what, bundle_of, tmp_path):
    copy = shutil.copytree(bundle_of("softmax"), tmp_path / "bundle")
    manifest, path = open_bundle(copy).manifest, copy / "learning" / "head.npz"
    learning = learning_of(manifest)
    with np.load(path) as arrays:
        stored = dict(arrays)
    if what == "head":
        np.savez(path, **{**stored, "bias": np.array([1, 2, np.nan, 3], np.float32)})
    changes: dict[str, Any] = {
        "features": {"features": learning.features + 1},
        "head": {"files": {**learning.files, "head.npz": digest.of_path(path)}},
        "replay": {"samples": replace(learning.samples, replay=255)},
    }
    change_learning(copy, manifest, **changes[what])
    with pytest.raises(InputError, match="other numbers"):
        describe_client(open_bundle(copy), ARTIFACT)


def test_a_head_without_a_base_for_clients_is_left_out(bundle_of, tmp_path):
    copy = shutil.copytree(bundle_of("softmax"), tmp_path / "bundle")
    manifest = open_bundle(copy).manifest
    change_learning(copy, manifest, bases=tuple(base for base in learning_of(manifest).bases if base.format == "onnx"))
    done = edgeship("deploy", "codegen", copy, "--for", "c,python", "--out", tmp_path / "out")
    assert "the clients do not learn: learning/ has no base for TensorFlow Lite" in done.stdout + done.stderr
    for language in ("c", "python"):
        assert "This client does not learn: learning/" in (tmp_path / "out" / language / "README.md").read_text()
        assert not (tmp_path / "out" / language / "head").exists()


@pytest.mark.more
def test_python_clients_are_strictly_typed(learning_clients, tmp_path):
    client = shutil.copytree(learning_clients / "python", tmp_path / "python")
    run(sys.executable, "-m", "mypy", "--strict", "--no-incremental", "-p", "edgeship_client", cwd=client)
    run(sys.executable, "-m", "ruff", "check", "--isolated", client)


def test_what_the_readme_of_python_says_teaches(learning_clients, tmp_path):
    """By its own modules alone: pictures of another camera, the right class said of 64."""
    client = shutil.copytree(learning_clients / "python", tmp_path / "python")
    corrected, asked = draw(64, 7, moved=True), draw(100, 8, moved=True)
    np.savez(
        tmp_path / "data.npz",
        **{
            f"{name}_{key}": value
            for name, data in (("given", corrected), ("asked", asked))
            for key, value in data.items()
        },
    )
    code = code_block(client / "README.md", "python", "Learner")
    start, _, end = code.partition("learner.collect(picture, label=right)")
    program = f"""
import json, numpy as np
data = np.load({str(tmp_path / "data.npz")!r})
picture = data["asked_image"][0]
{start}
right_of = lambda: float(np.mean([learner.predict(one).argmax() == y for one, y in zip(data["asked_image"], data["asked_y"])]))
before = right_of()
for picture, right in zip(data["given_image"], data["given_y"].tolist()): learner.collect(picture, label=right)
{end.replace("learner.forget()", "after, learned = right_of(), learner.has_learned; learner.forget()")}
print(json.dumps([before, after, learned, right_of(), learner.samples]))
"""
    said = run(sys.executable, "-B", "-c", program, cwd=client).stdout.splitlines()
    before, after, learned, again, samples = json.loads(said[-1])
    assert after > before + 0.1 and learned and again == before and samples == 0
    assert said[-2].startswith("True")


def test_what_the_readme_of_c_says_compiles(learning_clients, tmp_path, missing):
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        missing("a C compiler is not installed")
    include, *lines = code_block(learning_clients / "c" / "README.md", "c", "es_learner_open").splitlines()
    given = [
        "const float *tensors[1] = {0};",
        "float scores[9];",
        "void *base = 0, *shipped = 0, *replay = 0;",
        "size_t base_size = 0, shipped_size = 0, replay_size = 0, right_class = 0;",
        "const char *problem;",
    ]
    program = [
        "#include <stdio.h>",
        "#include <stdlib.h>",
        include,
        "int main(void) {",
        *given,
        *lines,
        "return problem != NULL;",
        "}",
    ]
    (tmp_path / "learning.c").write_text("\n".join(program))
    run(compiler, *STRICT, "-fsyntax-only", f"-I{learning_clients / 'c'}", tmp_path / "learning.c")


# What would learn something else, or not forget it: the file, what is there, what would be in its place.
ARITHMETIC, LEARN, STATE = (f"learning/{name}.c" for name in ("arithmetic", "learn", "state"))
LEARNER = "edgeship_client/learning/learner.py"
FAULTS = {
    ("c", "a bias that does not learn"): (ARITHMETIC, "f <= features; f++", "f < features; f++"),
    ("c", "a gate that lets all through"): (LEARN, "return !(before - after", "return 0 && !(before - after"),
    ("c", "samples that are all trained with"): (LEARN, "HELD_OUT_EVERY = 4", "HELD_OUT_EVERY = 400"),
    ("c", "one replayed sample for all"): (ARITHMETIC, "% head->replay", "% 1"),
    ("c", "a damaged head that answers"): (STATE, "sum == s->sum && ", ""),
    ("c", "samples that stay"): (STATE, "if (samples && name_path", "if (0 && samples && name_path"),
    ("python", "a step that is too long"): (LEARNER, "target, rate, head)", "target, 2 * rate, head)"),
    ("python", "a gate that lets all through"): (LEARNER, "    return not before", "    return False and not before"),
    ("python", "samples that stay"): (
        LEARNER,
        "self._state.forget(samples=samples)",
        "self._state.forget(samples=False)",
    ),
}


@pytest.fixture
def run_client(learning_clients, tmp_path, missing) -> Callable[..., dict[str, Any]]:
    """The self-test of a client in which something was changed."""

    def test(language: str, change: Callable[[Path], None]) -> dict[str, Any]:
        lane = LANES[LANE_OF[language]]
        if reason := lane.unavailable_reason():
            missing(f"{lane.name}: {reason} (make clients)")
        client = shutil.copytree(learning_clients / language, tmp_path / language)
        change(client)
        (tmp_path / "work").mkdir()
        return lane.run_selftest(client, tmp_path / "work")

    return test


@pytest.mark.parametrize("language", LANE_OF)
def test_a_right_client_passes(language, run_client):
    result = run_client(language, lambda client: None)
    assert result["passed"] is True and result["failures"] == []


QUICK = [("c", "a bias that does not learn"), ("c", "a gate that lets all through")]


@pytest.mark.parametrize(
    ("language", "fault"),
    [pytest.param(*key, marks=[] if key in QUICK or key[0] == "python" else pytest.mark.more) for key in FAULTS],
)
def test_a_client_that_learns_otherwise_fails(language, fault, run_client):
    name, old, new = FAULTS[language, fault]

    def change(client: Path) -> None:
        text = (client / name).read_text()
        assert text.count(old) == 1
        (client / name).write_text(text.replace(old, new))

    failures = run_client(language, change)["failures"]
    assert failures and {failure["what"] for failure in failures} == {"learning"}


@pytest.mark.parametrize("language", LANE_OF)
def test_a_client_with_another_head_or_none_fails(language, run_client):
    def change(client: Path) -> None:
        for path in (client / "head").iterdir():
            if path.suffix in (".npz", ".bin"):
                path.write_bytes(path.read_bytes()[:-1] + b"x")

    failures = run_client(language, change)["failures"]
    assert failures and {failure["what"] for failure in failures} == {"learning"}

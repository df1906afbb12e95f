"""Kotlin and Swift clients that teach their head: as the reference does, and a client with a fault fails its own self-test."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.bundle.head_learning import HeadLearning
from edgeship.client.learning import HeadLearner, LearnResult
from edgeship.client.learning.arithmetic import Head, safe_rate, take_step
from edgeship.client.learning.package import open_package
from edgeship.deploy.codegen.client import Client, describe_client
from edgeship.deploy.codegen.generate import write_client
from edgeship.deploy.codegen.learning import GoldenTensors, Learning, describe_learning
from edgeship.deploy.contract.contract import read_contract
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.runtimes.clients import kotlin_jvm
from edgeship.runtimes.clients.lanes import LANES
from edgeship.storage import digest
from edgeship.typed_json import convert
from tests.deploy.codegen.conftest import DRIVERS
from tests.deploy.codegen.made_up.mutants import Change
from tests.learning.head.conftest import Made, made  # noqa: F401  # a fixture
from tests.learning.head.head_models import SIDE, draw

ARTIFACT = "tflite/float32"
PACKAGE = "edgeship.pictures"
KOTLIN = "src/learning"
ACTIVATIONS = ("sigmoid", "linear")
CORRECTED, TESTED = 64, 200
FAULTS: Mapping[str, Change] = {
    "another rate": Change(f"{KOTLIN}/Learning.kt", "RATE = ", "RATE = 1.1 * "),
    "another scale": Change(f"{KOTLIN}/Learning.kt", "SCALE = ", "SCALE = 0.9f * "),
    "no replay": Change(f"{KOTLIN}/Head.kt", "val kept = batch - fresh", "val kept = 0 * (batch - fresh)"),
    "fewer passes": Change(f"{KOTLIN}/Gate.kt", "val passes: Int = 40", "val passes: Int = 2"),
    "a bias that is not learned": Change(f"{KOTLIN}/Head.kt", "rate * bias[at]", "0 * bias[at]"),
    "shares that do not add up": Change(f"{KOTLIN}/Head.kt", "powers[it] / total", "powers[it] / (total + 1)"),
    "trained with what is held out": Change(f"{KOTLIN}/HeadLearner.kt", "% HELD_OUT == HELD_OUT - 1", "% HELD_OUT == HELD_OUT"),
    "a gate that lets all pass": Change(f"{KOTLIN}/Gate.kt", "!(before - after <= ", "!(before - after <= 9 + "),
    "a refused head that answers": Change(f"{KOTLIN}/HeadLearner.kt", "if (result.kept) keep(whole)", "keep(whole)"),
    "damage that is not noticed": Change(f"{KOTLIN}/LearningState.kt", "content.getInt(end) != checksum", "checksum == 1"),
    "samples that are not forgotten": Change(f"{KOTLIN}/HeadLearner.kt", "state.forget(samples)", "state.forget(false)"),
    "a head that is not forgotten": Change(f"{KOTLIN}/LearningState.kt", "listOf(HEAD, SAMPLES)", "listOf(SAMPLES)"),
    "features of nothing": Change(f"{KOTLIN}/HeadLearner.kt", "port.edge, tensor)", "port.edge, FloatArray(tensor.size))"),
}  # fmt: skip
# With sigmoid and linear, too; what is not learned from is of the activation that has it.
FAULTS_OF = {
    "sigmoid": Change(f"{KOTLIN}/Head.kt", "1 / (1 + exp(-scores[it]))", "1 / (1 + exp(-2 * scores[it]))"),
    "linear": Change(f"{KOTLIN}/Head.kt", "LINEAR -> scores\n", "LINEAR -> DoubleArray(scores.size) { 1.1 * scores[it] }\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def client(made: Made) -> Client:  # noqa: F811
    """The client of a model that learns."""
    described = describe_client(open_bundle(made.bundle), ARTIFACT)
    assert described.learning, described.not_learning
    return described


def write(client: Client, root: Path, language: str, folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_client(client, root, language, folder)
    return folder


@pytest.mark.parametrize(
    ("language", "file", "constant"),
    [("kotlin", f"{KOTLIN}/Learning.kt", "{} = {}"), ("swift", "Sources/Client/learning/Learning.swift", "{}: Float = {}")],
)  # fmt: skip
def test_the_constants_are_those_of_the_bundle(language, file, constant, client: Client, made: Made, tmp_path):  # noqa: F811
    folder = write(client, made.bundle, language, tmp_path / "client")
    text, head = (folder / file).read_text(), folder / "head"
    content = json.loads((made.bundle / "learning" / "learning.json").read_text())
    assert digest.of_path(made.bundle / "learning" / "learning.json") in text
    (scale,) = re.findall(constant.format("(?:SCALE|scale)", r"([-\d.e]+)f?\n"), text)
    assert np.float32(float(scale)) == np.float32(content["samples"]["scale"])
    assert re.search(rf"(?i)\bfeatures = {content['features']}\n", text)
    for name in ("base.tflite", "shipped.bin", "replay.bin"):
        stored = (head / name).read_bytes()
        assert re.search(rf"\b{len(stored)}, (checksum: )?{zlib.crc32(stored)}L?\b", text), name
    weights = np.frombuffer((head / "shipped.bin").read_bytes(), "<f4")
    shipped = open_package(made.bundle / "learning").head
    np.testing.assert_array_equal(weights, np.concatenate([shipped.weights.ravel(), shipped.bias]))


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_a_client_of_a_model_that_does_not_learn_has_nothing_of_it(language, clients):
    folder = clients / language
    assert not list(folder.rglob("learning")) and not (folder / "head").exists()
    for path in folder.rglob("*"):
        if path.suffix in (".kt", ".swift", ".md"):
            assert not re.search("HeadFolder|HeadLearner|LearningGoldens", path.read_text()), path


def vary_learning(client: Client, root: Path, activation: str, out: Path) -> Learning:
    """What is taught of the same features where the scores go through something else: a head made by gradient descent."""
    folder = shutil.copytree(root / "learning", out / "learning")
    content: dict[str, Any] = json.loads((folder / "learning.json").read_text())
    package = open_package(folder)
    rate = safe_rate(package.replay.features, activation)
    head = Head(*(np.zeros_like(item, np.float64) for item in package.head))
    for _ in range(3000):
        head, _ = take_step(package.replay.features, package.replay.target, rate, head, activation)
    np.savez(folder / "head.npz", **{name: item.astype(np.float32) for name, item in head._asdict().items()})
    files = {**content["files"], "head.npz": digest.of_path(folder / "head.npz")}
    content |= {"activation": activation, "rate": float(f"{rate:.3g}"), "files": files}
    (folder / "learning.json").write_text(json.dumps(content))
    cases = [case.name for case in client.cases]
    sizes = {item.name: item.edge.size for item in client.inputs}
    tensors = [{name: client.goldens[f"{case}.{name}.tensor"] for name in sizes} for case in cases]
    (output,) = client.outputs
    answers = [{output.name: client.goldens[f"{case}.{output.name}.{client.golden_suffix}"]} for case in cases]
    described = describe_learning(
        out, convert(HeadLearning, content), client.outputs, GoldenTensors(sizes, tensors), answers
    )
    assert isinstance(described, Learning)
    return described


@dataclass(frozen=True)
class Taught:
    """The client's folder, those of other activations, and all of them compiled, with mutants in packages `fault0` and so on."""

    client: Path
    others: Mapping[str, Path]
    classes: Path
    stand_in: tuple[Path, Mapping[str, Path]]

    def run(self, main: str, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [*kotlin_jvm.java_command(self.classes, *self.stand_in, main), *map(str, arguments)]
        return subprocess.run(command, cwd=folder or self.client, capture_output=True, text=True, check=False)

    def list_failures(self, package: str, folder: Path | None = None) -> list[dict[str, str]]:
        done = self.run(f"{package}.MainKt", "model.tflite", "goldens", "JVM", folder=folder)
        assert done.returncode in (0, 1), done.stderr
        failures: list[dict[str, str]] = json.loads(done.stdout)["failures"]
        assert (done.returncode == 0) is (not failures)
        return failures


@pytest.fixture(scope="module")
def taught(client: Client, made: Made, tmp_path_factory, missing) -> Taught:  # noqa: F811
    if reason := LANES["client-kotlin-jvm"].unavailable_reason():
        missing(f"client-kotlin-jvm: {reason} (make clients)")
    work = tmp_path_factory.mktemp("taught")
    plain = write(client, made.bundle, "kotlin", work / "client")
    shutil.copy(DRIVERS / "Taught.kt", plain / "src")
    folders, others = {PACKAGE: plain}, {}
    for activation in ACTIVATIONS:
        learning = vary_learning(client, made.bundle, activation, work / f"root-{activation}")
        varied = replace(client, learning=learning, goldens={**client.goldens, **learning.goldens})
        others[activation] = folders[activation] = write(varied, made.bundle, "kotlin", work / activation)
        folders[f"{activation}0"] = mutate(others[activation], FAULTS_OF[activation], work / f"{activation}0")
    for number, fault in enumerate(FAULTS.values()):
        folders[f"fault{number}"] = mutate(plain, fault, work / f"fault{number}")
    for package, folder in folders.items():
        for path in (folder / "src").rglob("*.kt"):
            path.write_text(path.read_text().replace(f"package {PACKAGE}", f"package {package}"))
    stand_in = kotlin_jvm.build_stand_in(work)
    kotlin_jvm.compile_sources([folder / "src" for folder in folders.values()], stand_in[0], work / "classes")
    return Taught(plain, others, work / "classes", stand_in)


def mutate(client: Path, fault: Change, out: Path) -> Path:
    mutant = shutil.copytree(client, out)
    fault.apply(mutant)
    (mutant / "src" / "Taught.kt").unlink(missing_ok=True)
    return mutant


@pytest.mark.more
def test_a_right_kotlin_client_learns_as_the_reference(taught: Taught):
    assert taught.list_failures(PACKAGE) == []


@pytest.mark.more
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_heads_of_every_kind_in_kotlin(activation, taught: Taught):
    assert taught.list_failures(activation, taught.others[activation]) == []
    failures = taught.list_failures(f"{activation}0", taught.others[activation])
    assert {failure["what"] for failure in failures} == {"learning"}


@pytest.mark.more
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=FAULTS)
def test_a_kotlin_client_that_learns_otherwise_fails(number, taught: Taught):
    failures = taught.list_failures(f"fault{number}")
    assert {(failure["case"], failure["what"]) for failure in failures} == {("head", "learning")}


@pytest.mark.more
@pytest.mark.parametrize(
    "name", ["head/base.tflite", "head/shipped.bin", "head/replay.bin", "goldens/learning.heads", "goldens/learning.features"]
)  # fmt: skip
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_file_fails_the_self_test(name, damage, taught: Taught, tmp_path):
    folder = shutil.copytree(taught.client, tmp_path / "client")
    content = (folder / name).read_bytes()
    place = len(content) // 2 | 3  # of a float32 the byte with its sign
    flipped = content[:place] + bytes([content[place] ^ 0xC0]) + content[place + 1 :]
    (folder / name).write_bytes(flipped if damage == "flipped" else content[: len(content) // 2])
    if damage == "gone":
        (folder / name).unlink()
    failures = taught.list_failures(PACKAGE, folder)
    assert {(failure["case"], failure["what"]) for failure in failures} == {("head", "learning")}


def encode_pictures(data: Mapping[str, Any]) -> bytes:
    return b"".join(
        image.tobytes() + bytes([label]) for image, label in zip(data["image"], data["y"].tolist(), strict=True)
    )


@pytest.mark.more
def test_a_device_is_taught_as_by_the_reference(taught: Taught, made: Made, tmp_path):  # noqa: F811
    """Pictures as they are in hand, through preprocessing, base and head: the same result, the same answers."""
    data = draw(CORRECTED + TESTED, 7, moved=True)
    (tmp_path / "pictures").write_bytes(encode_pictures(data))
    done = taught.run(f"{PACKAGE}.TaughtKt", tmp_path / "state", tmp_path / "pictures", SIDE, SIDE, CORRECTED)
    assert not done.returncode, done.stderr
    assert_taught(done.stdout, data, made.bundle, tmp_path / "reference")


def assert_taught(told_lines: str, data: Mapping[str, Any], bundle: Path, state: Path) -> None:
    """What a driver said is what the reference does with the same pictures."""
    told = dict(line.split(" ", 1) for line in told_lines.splitlines())
    contract = read_contract(bundle)
    assert contract
    tensors = np.stack([preprocess_input(contract.inputs[0], image) for image in data["image"]]).reshape(
        -1, SIDE, SIDE, 1
    )
    learner = HeadLearner(bundle / "learning", state, "tflite/int8")
    before, result, after = teach(learner, tensors, data["y"])
    assert result.kept and after > before + 0.1
    near = pytest.approx
    assert float(told["before"]) == near(before, abs=1.5 / TESTED)
    assert float(told["after"]) == near(after, abs=1.5 / TESTED)
    assert told["reopened"] == f"{told['after']} {CORRECTED}"
    assert told["refused"] == told["after"]
    assert told["forgotten"] == f"{told['before']} 1024"
    fields = dict(field.split("=", 1) for field in told["result"].split(", "))
    assert (fields["kept"], fields["samples"], fields["heldOut"]) == ("true", "64", "16")
    assert (int(fields["steps"]), float(fields["share"])) == (result.steps, result.share)
    for name, wanted in (("lossBefore", result.loss_before), ("lossAfter", result.loss_after)):
        assert float(fields[name]) == near(wanted, rel=1e-3)
    assert float(fields["heldOutAfter"]) == near(result.held_out_after, abs=1.5 / 16)
    assert (told["kept"], told["files"]) == ("1024", "0")
    assert told["nothing"].startswith("nothing was corrected yet")
    assert told["strange"] == "a label must be from 0 to 3" and "no finite numbers" in told["numbers"]
    assert told["single"].startswith("all 1 corrected samples are of one class")
    assert told["diverged"].startswith("the loss rose from")


def teach(learner: HeadLearner, tensors: Any, labels: Any) -> tuple[float, LearnResult, float]:
    """The share of right answers of the others before and after learning from the first."""

    def rate() -> float:
        return float((learner.predict({"image": tensors[CORRECTED:]}).argmax(1) == labels[CORRECTED:]).mean())

    before = rate()
    learner.collect({"image": tensors[:CORRECTED]}, labels[:CORRECTED])
    return before, learner.learn(), rate()

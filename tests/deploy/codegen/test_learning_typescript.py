"""A generated TypeScript client teaches its head as `edgeship.client.learning` does: under Node, with the bundle's own base."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.client.learning import HeadLearner, LearnResult, LearnSettings
from edgeship.client.learning.arithmetic import apply_activation, compute_scores
from edgeship.client.learning.package import Package, Samples, open_package
from edgeship.deploy.codegen.lessons import ExactLearner
from edgeship.runtimes.clients import typescript_clients
from edgeship.runtimes.clients.lanes import LANES
from edgeship.runtimes.clients.tools import tflite_library
from tests.deploy.codegen.conftest import DRIVERS, edgeship
from tests.deploy.codegen.learning.conftest import change_head
from tests.deploy.codegen.made_up.mutants import Change
from tests.learning.head.conftest import Made, made  # noqa: F401  # a fixture

FEATURES, UNSEEN, OUTPUTS = 40, 12, 3
CLOUDS = np.random.default_rng(3).uniform(0, 2, (OUTPUTS, FEATURES)) * (
    np.random.default_rng(4).random((OUTPUTS, FEATURES)) < 0.5
)
ANSWERS = {"softmax": "softmax", "sigmoid": "linear", "linear": "linear"}  # `linear`: a model that gives logits


@dataclass(frozen=True)
class Built:
    """A client, what it was compiled to, and the command of its self-test on TensorFlow Lite's C library."""

    client: Path
    build: Path
    command: list[str]


@pytest.fixture(scope="module")
def built(made: Made, tmp_path_factory: pytest.TempPathFactory, missing) -> Built:  # noqa: F811
    if reason := LANES["client-ts"].unavailable_reason():
        missing(f"client-ts: {reason} (make clients)")
    out, work = tmp_path_factory.mktemp("client"), tmp_path_factory.mktemp("work")
    edgeship("deploy", "codegen", made.bundle, "--for", "typescript", "--artifact", "tflite/int8", "--out", out)
    command = typescript_clients.build(out / "typescript", work)
    return Built(out / "typescript", work / "build", command)


def selftest(command: list[str], client: Path) -> dict[str, Any]:
    done = subprocess.run(command, cwd=client, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_right_client_learns_what_edgeship_learns(built):
    result = selftest(built.command, built.client)
    assert result["passed"] is True and result["failures"] == []


@pytest.mark.more
@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
@pytest.mark.parametrize("lane", ["client-ts", "client-ts-litert"])
def test_other_heads_learn_too(activation, lane, made, tmp_path, missing):  # noqa: F811
    if reason := LANES[lane].unavailable_reason():
        missing(f"{lane}: {reason} (make clients)")
    bundle = change_head(shutil.copytree(made.bundle, tmp_path / "bundle"), activation)
    edgeship("deploy", "codegen", bundle, "--for", "typescript", "--artifact", "tflite/int8", "--out", tmp_path)
    (tmp_path / "work").mkdir()
    failures = LANES[lane].run_selftest(tmp_path / "typescript", tmp_path / "work")["failures"]
    # LiteRT.js takes no open batch, which the model has here; what is taught is the base.
    assert {failure["what"] for failure in failures} == (set() if lane == "client-ts" else {"output"})


@dataclass(frozen=True)
class Case:
    """Corrected samples of a head; `moved`: how far from what it knows, `wrong`: which share of the labels are wrong."""

    activation: str
    moved: float
    wrong: float = 0.0
    counts: tuple[int, ...] = (48,)
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "classes": Case("softmax", 0.8),
    "yes or no": Case("sigmoid", 0.8),
    "numbers": Case("linear", 0.8),
    "one sample after the other": Case("softmax", 0.8, counts=(3, 2, 9)),
    "more than are kept": Case("softmax", 0.8, counts=(700, 700), settings={"passes": 5}),
    "beyond all numbers": Case("linear", 0.8, settings={"rate": 1e30}),
    "part of the way": Case("softmax", 0.1, wrong=1.0, counts=(240,)),
    "the opposite of what it knows": Case("linear", 0.1, wrong=1.0, counts=(240,)),
    "wrong ones held out": Case("softmax", 0.8, wrong=0.5, counts=(20,), settings={"limit": 0.0}),
}


def draw(count: int, moved: float, seed: int) -> Samples:
    """Samples of three classes, each a cloud; the more it is `moved`, the more along features that are 0 elsewhere."""
    random = np.random.default_rng(seed)
    classes = np.arange(count) % OUTPUTS
    places = CLOUDS[classes] * np.where(np.arange(FEATURES) < UNSEEN, moved, 1 - moved)
    features = np.maximum(places + random.normal(0, 0.4, places.shape) * (places > 0), 0)
    return Samples(features.astype(np.float32), np.eye(OUTPUTS, dtype=np.float32)[classes])


def spoil(samples: Samples, share: float) -> Samples:
    """That share of the samples as another class."""
    target = samples.target.copy()
    rows = np.arange(len(target)) % 10 < round(10 * share)
    target[rows] = np.roll(target[rows], 1, axis=1)
    return Samples(samples.features, target)


def write_package(folder: Path, activation: str) -> Package:
    """A `learning/` without models: what a device needs to learn from features."""
    known = draw(300, 0.0, 5)
    weights = np.linalg.lstsq(known.features, known.target, rcond=None)[0]
    head = (weights.astype(np.float32), np.zeros(OUTPUTS, np.float32))
    scale, offset = 0.02, -0.1
    arrays: dict[str, Any] = {}
    for seed, (part, count) in enumerate({"replay": 96, "guard": 128}.items()):
        drawn = draw(count, 0.0, seed)
        stored = np.round((drawn.features - offset) / scale).clip(0, 255).astype(np.uint8)
        arrays |= {f"{part}_features": stored, f"{part}_target": drawn.target}
    folder.mkdir(parents=True)
    np.savez(folder / "head.npz", weights=head[0], bias=head[1])
    np.savez(folder / "replay.npz", **arrays)
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("head.npz", "replay.npz")}
    content = {"schema": 1, "activation": activation, "features": FEATURES, "outputs": OUTPUTS, "batch": 32, "rate": 0.05,
               "samples": {"scale": scale, "offset": offset}, "head": "head.npz", "files": files,
               "replay": "replay.npz"}  # fmt: skip
    (folder / "learning.json").write_text(json.dumps(content))
    return open_package(folder)


def encode(*arrays: Any) -> str:
    return base64.b64encode(b"".join(np.ascontiguousarray(item).tobytes() for item in arrays)).decode()


def describe(package: Package, case: Case, samples: list[Samples], asked: Any) -> dict[str, Any]:
    """A case as the driver reads it."""
    stored = np.load(package.folder / "replay.npz")
    files = {
        "shipped.bin": encode(*package.head),
        "replay.bin": encode(
            *(stored[f"{part}_{kind}"] for part in ("replay", "guard") for kind in ("features", "target"))
        ),
    }
    sizes = {name: base64.b64decode(content) for name, content in files.items()}
    checks = {name: {"size": len(content), "checksum": zlib.crc32(content)} for name, content in sizes.items()}
    content, names = package.content, {"fewest_steps": "fewestSteps"}
    described = {"digest": package.digest, "answers": ANSWERS[case.activation], "labels": [], "files": checks,
                 "replay": len(package.replay), "guard": len(package.guard), **content["samples"]}  # fmt: skip
    described |= {name: content[name] for name in ("activation", "features", "outputs", "batch", "rate")}
    collected = [
        {"count": len(item), "features": encode(item.features), "target": encode(item.target)} for item in samples
    ]
    settings = {names.get(name, name): value for name, value in case.settings.items()}
    return {
        "description": described,
        "files": files,
        "samples": collected,
        "asked": encode(asked),
        "settings": settings,
    }


def assert_same_result(found: dict[str, Any], wanted: LearnResult, what: str) -> None:
    """`reason` is a text of the language's own."""
    cause = found.pop("cause")
    assert found.pop("reason").partition(" from ")[0] == wanted.reason.partition(" from ")[0], what
    assert (cause is None) is wanted.kept, what
    fields = {to_camel(name): value for name, value in asdict(wanted).items() if name != "reason"}
    assert found.keys() == fields.keys()
    for name, value in fields.items():
        if name.endswith("After") and cause == "loss":
            continue  # the steps swing further and further, and float32 ends before float64
        assert found[name] == (value if not isinstance(value, float) else pytest.approx(value, rel=1e-3, abs=1e-4)), (
            what,
            name,
        )


def to_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def test_every_head_learns_as_in_python(built, tmp_path):
    """Classes, yes or no and numbers; kept, refused for each reason, and half of the way."""
    described, wanted = [], []
    for number, case in enumerate(CASES.values()):
        package = write_package(tmp_path / str(number), case.activation)
        drawn = spoil(draw(sum(case.counts), case.moved, 7), case.wrong)
        parts = np.split(np.arange(len(drawn)), np.cumsum(case.counts)[:-1])
        samples = [Samples(drawn.features[rows], drawn.target[rows]) for rows in parts]
        learner = ExactLearner(package.folder, str(tmp_path / f"{number}-state"), {})
        results = []
        for item in samples:
            collect(learner, item)
            results.append(learner.learn(LearnSettings(**case.settings)))
        described.append(describe(package, case, samples, drawn.features[0]))
        wanted.append((learner, results, drawn.features[0]))
    done = subprocess.run(
        ["node", DRIVERS / "learn.mjs", built.build],
        input=json.dumps(described),
        capture_output=True,
        text=True,
        check=True,
    )
    for name, case, found, (learner, results, asked) in zip(
        CASES, CASES.values(), json.loads(done.stdout), wanted, strict=True
    ):
        for one, other in zip(found["results"], results, strict=True):
            assert_same_result(one, other, name)
        head = learner.head
        assert (found["hasLearned"], found["count"]) == (learner.has_learned, min(sum(case.counts), 1024)), name
        largest = max(abs(item).max() for item in head)
        np.testing.assert_allclose(found["weights"], head.weights.ravel(), atol=1e-4 * largest, rtol=0, err_msg=name)
        np.testing.assert_allclose(found["bias"], head.bias, atol=1e-4 * largest, rtol=0, err_msg=name)
        answer = apply_activation(compute_scores(asked[None], head), ANSWERS[case.activation])[0]
        np.testing.assert_allclose(found["answer"], answer, atol=1e-3, err_msg=name)
    ends = {
        (item.reason.partition(" it fell")[0].partition(" from")[0], item.share)
        for _, results, _ in wanted
        for item in results
    }
    reasons = ("", "the loss rose", "on the guard samples", "on the held-out samples")
    assert ends == {*((reason, 1.0) for reason in reasons), ("", 0.5)}


def collect(learner: ExactLearner, samples: Samples) -> None:
    """As `HeadLearner.collect`, of features."""
    known, number = learner._state.read_samples()
    numbers = np.concatenate([number, np.arange(len(samples)) + (number[-1] + 1 if len(number) else 0)])
    joined = Samples(
        np.concatenate([known.features, samples.features])[-1024:],
        np.concatenate([known.target, samples.target])[-1024:],
    )
    learner._state.write_samples(joined, numbers[-1024:])


def teach(built: Built, what: str, *folders: Path) -> list[dict[str, Any]]:
    command = ["node", DRIVERS / "teach.mjs", built.build, built.client, tflite_library(), what, *folders]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def sign(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def test_a_folder_keeps_what_was_learned(built, made, tmp_path):  # noqa: F811
    """As the format says, whole or absent; and predicted are the answers of the head in it."""
    state = tmp_path / "state"
    (learned,) = teach(built, "learn", state)
    assert learned["hasLearned"] and learned["samples"] == 24
    package = open_package(made.bundle / "learning")
    head, samples = ((state / f"{name}.bin").read_bytes() for name in ("head", "samples"))
    features, outputs = package.head.weights.shape
    assert head == sign(head[:-4]) and samples == sign(samples[:-4])
    assert head[:64] == samples[:64] == package.digest.encode()
    assert len(head) == 64 + 4 * (features + 1) * outputs + 4
    assert struct.unpack("<26I", samples[64:168]) == (24, 24, *range(24))
    assert len(samples) == 168 + 24 * 4 * (features + outputs) + 4
    wanted = (built.client / "goldens" / "learning.heads").read_bytes()
    np.testing.assert_allclose(np.frombuffer(head[64:-4], "<f4"), np.frombuffer(wanted, "<f4"), atol=1e-3)
    damaged = {
        "flip": bytes([*head[:200], head[200] ^ 4, *head[201:]]),
        "cut": head[:-7],
        "empty": b"",
        "long": sign(head[:-4] + bytes(4)),
        "of another version": sign(b"0" * 64 + head[64:-4]),
        "no number": sign(head[:64] + np.float32(np.nan).tobytes() + head[68:-4]),
    }
    folders = [shutil.copytree(state, tmp_path / name) for name in damaged]
    for folder, content in zip(folders, damaged.values(), strict=True):
        (folder / "head.bin").write_bytes(content)
        (folder / ".head.bin.12345678").write_bytes(b"half")
    again, *others, fresh = teach(built, "open", state, *folders, tmp_path / "fresh")
    assert again == learned
    for found in others:
        assert not found["hasLearned"] and found["samples"] == 24 and found["answers"] == fresh["answers"]
    assert fresh["samples"] == 0 and not (tmp_path / "fresh").exists()
    reference = HeadLearner(package.folder, tmp_path / "python", "tflite/int8")
    name, contract = reference.inputs[0]["name"], json.loads((built.client / "contract.json").read_text())
    for case, answer in zip(contract["goldens"]["cases"], fresh["answers"], strict=True):
        tensor = np.fromfile(built.client / "goldens" / f"{case['name']}.{name}.tensor", "<f4").reshape(1, 8, 8, 1)
        np.testing.assert_allclose(answer, reference.predict({name: tensor})[0], atol=0.02)
    assert fresh["best"]["index"] == int(np.argmax(fresh["answers"][0]))
    assert sorted(path.name for path in state.iterdir()) == ["head.bin", "samples.bin"]


def test_what_teaches_nothing_is_refused(built, tmp_path):
    (told,) = teach(built, "refused", tmp_path)
    reasons = ["nothing was corrected yet", "whole number from 0 to 3", "whole number from 0 to 3", "4 numbers from 0 to 1",
               "the model takes 1 inputs", "all 3 corrected samples are of one class, "]  # fmt: skip
    assert [reason in said for reason, said in zip(reasons, told["refused"], strict=True)] == [True] * 6, told[
        "refused"
    ]
    assert not told["hasLearned"] and told["samples"] == 3


MUTANTS = {
    "the bias stays": ("arithmetic.js", "value - rate * slopeOfBias[at]", "value", "the learned head is off"),
    "all is kept": ("outcome.js", "kept: !cause", "kept: true", "the bad lesson ends with kept"),
    "damage is not seen": ("state.js", "!== sum", "=== -1", "a damaged head answers"),
    "nothing is forgotten": ("state.js", "await this.store.remove(exports.HEAD_FILE);", "", "after forget"),
    "nothing is kept": ("state.js", "await this.store.write(name, content);", "", "is gone when it is opened again"),
    "held-out samples are trained with": ("learner.js", "=== HELD_OUT - 1", "=== HELD_OUT", "ends with heldOut 0, not 6"),
    "features of another scale": ("package.js", "byte * factor", "byte", "the learned head is off"),
    "half of the rate": ("learner.js", "rate = description_1.DESCRIPTION.rate", "rate = 0.001", "the learned head is off"),
    "shares are scores": ("arithmetic.js", "if (activation === 'linear')", "if (activation)", "the learned head is off"),
}  # fmt: skip
FAST = ("all is kept", "damage is not seen")


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[] if name in FAST else pytest.mark.more) for name in MUTANTS]
)
def test_a_client_that_learns_otherwise_fails_its_self_test(fault, built, tmp_path):
    module, old, new, said = MUTANTS[fault]
    build = shutil.copytree(built.build, tmp_path / "build")
    (tmp_path / "node_modules").symlink_to(built.build.parent / "node_modules")
    Change(f"learning/{module}", old, new).apply(build)
    node, program, *others = built.command
    failures = selftest([node, str(build / Path(program).name), *others], built.client)["failures"]
    assert {(failure["case"], failure["what"]) for failure in failures} == {("head", "learning")}
    assert any(said in failure["detail"] for failure in failures), failures


@pytest.mark.parametrize("name", ["base.tflite", pytest.param("shipped.bin", marks=pytest.mark.more)])
def test_another_file_in_head_fails_the_self_test(name, built, tmp_path):
    client = shutil.copytree(built.client, tmp_path / "client", symlinks=True)
    content = (client / "head" / name).read_bytes()
    (client / "head" / name).write_bytes(content[:-300] + bytes([content[-300] ^ 1]) + content[-299:])
    (failure,) = selftest(built.command, client)["failures"]
    assert failure["detail"] == f"Error: head/{name}: another file than this client was generated for"


def test_the_base_takes_one_sample_at_a_time(built, made):  # noqa: F811
    """What LiteRT.js asks for; the numbers are those of the bundle's base."""
    from ai_edge_litert.interpreter import Interpreter

    answers = []
    for path in (built.client / "head" / "base.tflite", made.bundle / "learning" / "base-int8.tflite"):
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
        answers.append([[-1 in item["shape_signature"] for item in details]])
        image = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
        (features,) = interpreter.get_signature_runner()(image=image).values()
        answers[-1].append(features.tolist())
    assert answers[0] == [[False, False], answers[1][1]] and answers[1][0] == [True, True]

"""Swift clients and C clients for arm64, in a Debian 13 tree with their compilers (half a gigabyte, root): make test-more."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.deploy.codegen.client import describe_client
from edgeship.deploy.codegen.generate import write_client, write_clients
from edgeship.runtimes.clients import c_clients, swift_clients
from edgeship.runtimes.clients.tools import LIBRARY, TFLITE_C, WHEELS, run_command
from edgeship.runtimes.interpreters import pip_command
from tests.deploy.codegen.conftest import DRIVERS
from tests.deploy.codegen.made_up.mutants import MUTANTS, Change
from tests.deploy.codegen.made_up.pictures import Picture
from tests.deploy.codegen.test_counting import CASES, assert_counted, describe_case, encode_samples, tensor_sizes
from tests.deploy.codegen.test_learning_kotlin_swift import CORRECTED, TESTED, assert_taught, encode_pictures
from tests.deploy.codegen.test_preprocessing import STRICT, assert_same
from tests.deploy.codegen.test_selftest import shuffle_weights
from tests.learning.head.conftest import Made, made  # noqa: F401  # a fixture
from tests.learning.head.head_models import SIDE, draw
from tests.machines.trees import Tree, obstacle

SAMPLE = Path(__file__).parents[3] / "examples" / "ios" / "Sample"
SWIFT = ("swiftlang", "libc6-dev", "libstdc++-14-dev", "gcc")
ARM64 = ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "libstdc++6-arm64-cross", "qemu-user")
SWIFTC = (
    "swiftc -warnings-as-errors -I ../modules -L ../x86 -Xlinker -rpath -Xlinker /root/x86 "
    "$(find Sources/Client -name '*.swift') Sources/SelfTest/main.swift -o selftest"
)
GCC = f"aarch64-linux-gnu-gcc {' '.join(STRICT)}"
QEMU = "qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=/root/arm64"
MODULE = 'module TensorFlowLiteC { header "tflite_c_api.h" link "tensorflowlite_c" export * }\n'


@dataclass(frozen=True)
class Toolchains:
    """A tree whose home holds the clients, the C library for both processors, and the pictures."""

    tree: Tree

    @property
    def home(self) -> Path:
        return self.tree.folder / "root"

    def run(self, folder: str, command: str) -> str:
        return self.tree.run(f"cd {folder} && {command}").expect(0, 1).output

    def run_selftest(self, folder: str, command: str) -> dict[str, Any]:
        text = self.run(folder, f"{{ {command}; }} > result.json 2> log || true; cat log")
        assert (self.home / folder / "result.json").stat().st_size, text
        result: dict[str, Any] = json.loads((self.home / folder / "result.json").read_text())
        return result


@pytest.fixture(scope="module")
def toolchains(clients, pictures_file, tmp_path_factory) -> Iterator[Toolchains]:
    if problem := obstacle():
        pytest.skip(problem)
    if not TFLITE_C.folder.exists():
        pytest.skip("TensorFlow Lite's C library is not installed (make clients)")
    tree = Tree(tmp_path_factory.mktemp("trees") / "tree")
    try:
        tree.bootstrap("trixie", ["ca-certificates"])
        tree.install(*SWIFT, *ARM64)
        home = tree.folder / "root"
        shutil.copytree(TFLITE_C.folder / Path(LIBRARY).parent, home / "x86")
        if litert := c_clients.find_litert():
            shutil.copy(litert, home / "x86")
        platform = ["--python-platform", "aarch64-manylinux_2_35", "--python-version", "3.11"]
        pins = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(WHEELS)]
        wheel = tmp_path_factory.mktemp("wheel")
        run_command([*pip_command("--target", str(wheel)), *platform, *pins], "installing the library", network=True)
        shutil.copytree(wheel / Path(LIBRARY).parent, home / "arm64")
        (home / "modules").mkdir()
        shutil.copy(clients / "c" / "tflite_c_api.h", home / "modules")
        (home / "modules" / "module.modulemap").write_text(MODULE)
        shutil.copytree(DRIVERS, home / "drivers")
        shutil.copy(pictures_file, home / "pictures.bin")
        yield Toolchains(tree)
    finally:
        tree.remove()


@pytest.mark.more
def test_swift(toolchains, clients, pictures: list[Picture]):
    shutil.copytree(clients / "swift", toolchains.home / "swift")
    result = toolchains.run_selftest("swift", f"{SWIFTC} -O >&2 && ./selftest model.tflite goldens 'a \"device\"'")
    assert result["passed"] is True and result["failures"] == [] and result["device"] == 'a "device"'
    assert result["outputs"]["probs"]["passed"] is True and result["client"] == "swift"
    shutil.copy(toolchains.home / "swift" / "model.tflite", toolchains.home / "swift" / "stale.tflite")
    shuffle_weights(toolchains.home / "swift" / "stale.tflite")
    stale = toolchains.run_selftest("swift", "./selftest stale.tflite goldens")
    assert {"model", "output"} <= {failure["what"] for failure in stale["failures"]}
    (toolchains.home / "cases").mkdir()
    shutil.copy(DRIVERS / "cases.swift", toolchains.home / "cases" / "main.swift")
    sources = " ".join(f"../swift/Sources/Client/{name}.swift" for name in ("Core", "Client", "Contract"))
    command = f"swiftc -O -warnings-as-errors {sources} main.swift -o cases"
    print(toolchains.run("cases", f"{command} && ./cases ../pictures.bin tensors"))
    assert_same((toolchains.home / "cases" / "tensors").read_bytes(), pictures)


@pytest.mark.more
@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["name"] for case in CASES])
def test_swift_counts_as_numpy_does(number, toolchains, bundle, tmp_path):
    folder = toolchains.home / f"counter{number}"
    client = describe_client(open_bundle(bundle), "tflite/int8")
    folder.mkdir(), (tmp_path / "swift").mkdir()
    counting = describe_case(CASES[number], tmp_path / "root")
    write_client(replace(client, counting=counting), bundle, "swift", tmp_path / "swift")
    for name in ("Counter", "Profile"):
        shutil.copy(tmp_path / "swift" / "Sources" / "Client" / "counting" / f"{name}.swift", folder)
    shutil.copy(DRIVERS / "counts.swift", folder / "main.swift")
    (folder / "samples").write_bytes(encode_samples(CASES[number]))
    sizes = " ".join(map(str, tensor_sizes(CASES[number])))
    command = f"swiftc -warnings-as-errors -Onone *.swift -o counts && ./counts samples {sizes}"
    assert_counted(toolchains.run(folder.name, command), CASES[number])


@pytest.mark.more
def test_the_sample_app_says_the_label_and_that_the_self_test_passed(toolchains, clients):
    folder = shutil.copytree(clients / "swift", toolchains.home / "sample")
    shutil.copy(DRIVERS / "presented.swift", folder / "Sources" / "SelfTest" / "main.swift")
    shutil.copy(SAMPLE / "Presenter.swift", folder / "Sources" / "Client")
    label = json.loads((folder / "contract.json").read_text())["goldens"]["cases"][0]["label"]
    said = toolchains.run("sample", f"{SWIFTC} -Onone && ./selftest model.tflite goldens 20 16")
    assert f"{label}  " in said and said.endswith(" %\nself-test passed\n"), said


@pytest.mark.more
@pytest.mark.parametrize("fault", MUTANTS["swift"])
def test_a_mutated_swift_client_fails(fault, toolchains, clients):
    folder = f"swift-{fault.replace(' ', '-')}"
    client = shutil.copytree(clients / "swift", toolchains.home / folder)
    for change in MUTANTS["swift"][fault]:
        change.apply(client)
    result = toolchains.run_selftest(folder, f"{SWIFTC} -Onone >&2 && ./selftest model.tflite goldens")
    assert result["passed"] is False and result["failures"]


@pytest.mark.more
@pytest.mark.parametrize("module", ["TensorFlowLiteC", "CLiteRT"])
def test_swift_lanes(module, toolchains, bundles):
    """What the lanes compile: inputs of every other kind, two outputs."""
    folder = toolchains.home / f"mixed-{module}"
    write_clients(open_bundle(bundles / "mixed" / "bundle"), ["swift"], folder)
    work, client = folder / "work", folder / "swift"
    work.mkdir()
    swift_clients.write_module(module, work)
    commands = swift_clients.compile_commands(client, work, Path("/root/x86"), litert=module == "CLiteRT")
    compiled = " && ".join(f"swiftc {shlex.join(command)}" for command in commands).replace(
        str(toolchains.home), "/root"
    )
    result = toolchains.run_selftest(f"{folder.name}/swift", f"{compiled} >&2 && ../work/selftest model.tflite goldens")
    assert result["passed"] is True and result["samples"] >= 16
    assert {name for name, output in result["outputs"].items() if output["passed"]} == {"wide", "narrow"}


LEARNING = "Sources/Client/learning"
UNLEARNED: Mapping[str, Change | None] = {
    "right": None,
    "another rate": Change(f"{LEARNING}/Learning.swift", "static let rate = ", "static let rate = 1.1 * "),
    "no replay": Change(f"{LEARNING}/Head.swift", "let kept = batch - fresh", "let kept = 0 * (batch - fresh)"),
    "a gate that lets all pass": Change(f"{LEARNING}/Gate.swift", "!(before - after <= ", "!(before - after <= 9 + "),
    "damage that is not noticed": Change(f"{LEARNING}/LearningState.swift", "return readInteger(bytes, end) == ", "return 0 <= "),
    "a head that is not forgotten": Change(f"{LEARNING}/LearningState.swift", "samples ? [LearningState.head, ", "samples ? ["),
}  # fmt: skip


@pytest.mark.more
@pytest.mark.parametrize("fault", UNLEARNED)
def test_swift_learns(fault, toolchains, made: Made):  # noqa: F811
    folder = toolchains.home / f"learns-{fault.replace(' ', '-')}"
    client = describe_client(open_bundle(made.bundle), "tflite/float32")
    folder.mkdir()
    write_client(client, made.bundle, "swift", folder)
    if change := UNLEARNED[fault]:
        change.apply(folder)
    result = toolchains.run_selftest(folder.name, f"{SWIFTC} -Onone >&2 && ./selftest model.tflite goldens")
    wanted = {("head", "learning")} if change else set()
    assert {(failure["case"], failure["what"]) for failure in result["failures"]} == wanted


@pytest.mark.more
def test_a_device_with_swift_is_taught_as_by_the_reference(toolchains, made: Made, tmp_path):  # noqa: F811
    folder = toolchains.home / "taught"
    folder.mkdir()
    write_client(describe_client(open_bundle(made.bundle), "tflite/float32"), made.bundle, "swift", folder)
    shutil.copy(DRIVERS / "taught.swift", folder / "Sources" / "SelfTest" / "main.swift")
    data = draw(CORRECTED + TESTED, 7, moved=True)
    (folder / "pictures").write_bytes(encode_pictures(data))
    said = toolchains.run(folder.name, f"{SWIFTC} -O && ./selftest state pictures {SIDE} {SIDE} {CORRECTED} 2> log")
    assert_taught(said, data, made.bundle, tmp_path / "reference")


# Contraction into fused multiply-adds is what gcc does on arm64 unless it is told ISO C.
@pytest.mark.more
@pytest.mark.parametrize("flags", ["-O2", "-O3 -ffp-contract=fast"])
def test_c_on_arm64(flags, toolchains, clients, pictures: list[Picture]):
    shutil.copytree(clients / "c", toolchains.home / "c", dirs_exist_ok=True)
    sources = "main.c selftest.c edgeship.c table.c contract.c engine_tflite.c counting/*.c"
    compiled = f"{GCC} {flags} {sources} -o selftest -L ../arm64 -ltensorflowlite_c -lm"
    result = toolchains.run_selftest("c", f"{compiled} >&2 && {QEMU} ./selftest model.tflite goldens")
    assert result["passed"] is True and result["outputs"]["probs"]["passed"] is True
    command = f"{GCC} {flags} -I. edgeship.c table.c ../drivers/cases.c -o cases -lm"
    print(toolchains.run("c", f"{command} && {QEMU} ./cases ../pictures.bin > tensors"))
    assert_same((toolchains.home / "c" / "tensors").read_bytes(), pictures)

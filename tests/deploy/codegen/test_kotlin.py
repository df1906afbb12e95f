"""Kotlin clients on a JVM: to the byte, right ones pass, mutated ones fail. One compilation for all; half a minute of a core."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.deploy.codegen.client import describe_client
from edgeship.deploy.codegen.generate import write_client
from edgeship.runtimes.clients import kotlin_jvm
from edgeship.runtimes.clients.lanes import LANES
from tests.deploy.codegen.conftest import DRIVERS, edgeship
from tests.deploy.codegen.made_up.mutants import MUTANTS
from tests.deploy.codegen.made_up.pictures import Picture
from tests.deploy.codegen.test_counting import CASES, assert_counted, describe_case, encode_samples, tensor_sizes
from tests.deploy.codegen.test_preprocessing import assert_same
from tests.deploy.codegen.test_selftest import shuffle_weights

FAULTS = list(MUTANTS["kotlin"])
PACKAGE = "edgeship.colour_squares"
SAMPLE = Path(__file__).parents[3] / "examples" / "android" / "app" / "src" / "main" / "kotlin" / "sample"


@dataclass(frozen=True)
class Compiled:
    """The client, its mutants in packages `mutant0` and so on, counters of the vectors in `vectors0`, the pictures' driver."""

    client: Path
    classes: Path
    stand_in: tuple[Path, Mapping[str, Path]]
    mixed: Path

    def run(
        self, main: str, *arguments: object, client: Path | None = None, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        java, *rest = kotlin_jvm.java_command(self.classes, *self.stand_in, main)
        command = [java, *options, *rest, *map(str, arguments)]
        return subprocess.run(command, cwd=client or self.client, capture_output=True, text=True, check=False)

    def run_selftest(self, package: str, model: str = "model.tflite", **how: Any) -> dict[str, Any]:
        done = self.run(f"{package}.MainKt", model, "goldens", 'a "device"', **how)
        assert done.returncode in (0, 1), done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) is result["passed"]
        return result


@pytest.fixture(scope="session")
def compiled(clients, bundle, bundles, tmp_path_factory, missing) -> Compiled:
    if reason := LANES["client-kotlin-jvm"].unavailable_reason():
        missing(f"client-kotlin-jvm: {reason} (make clients)")
    work = tmp_path_factory.mktemp("kotlin")
    client = shutil.copytree(clients / "kotlin", work / "client")
    shutil.copy(DRIVERS / "Cases.kt", client / "src")
    edgeship("deploy", "codegen", bundles / "mixed" / "bundle", "--for", "kotlin", "--out", work / "mixed")
    folders = [client / "src", work / "sample", work / "mixed" / "kotlin" / "src"]
    folders[1].mkdir()
    shutil.copy(DRIVERS / "Presented.kt", folders[1])
    presenter = (SAMPLE / "Presenter.kt").read_text()
    (folders[1] / "Presenter.kt").write_text(presenter.replace("edgeship.fashion_mnist", PACKAGE))
    for number, fault in enumerate(FAULTS):
        mutant = shutil.copytree(clients / "kotlin", work / f"mutant{number}")
        for change in MUTANTS["kotlin"][fault]:
            change.apply(mutant)
        for path in (mutant / "src").rglob("*.kt"):
            path.write_text(path.read_text().replace(f"package {PACKAGE}", f"package mutant{number}"))
        folders.append(mutant / "src")
    folders += write_counters(bundle, work)
    stand_in = kotlin_jvm.build_stand_in(work)
    kotlin_jvm.compile_sources(folders, stand_in[0], work / "classes")
    return Compiled(client, work / "classes", stand_in, work / "mixed" / "kotlin")


def write_counters(bundle: Path, work: Path) -> list[Path]:
    """The counter with the profile of each case of the vectors, in a package of its own, and its driver."""
    client, folders = describe_client(open_bundle(bundle), "tflite/int8"), []
    for number, case in enumerate(CASES):
        folder, sources = work / f"written{number}", work / f"counter{number}"
        folder.mkdir(), sources.mkdir()
        write_client(replace(client, counting=describe_case(case, work / f"case{number}")), bundle, "kotlin", folder)
        texts = [(folder / "src" / "counting" / f"{name}.kt").read_text() for name in ("Counter", "Report", "Profile")]
        for name, text in zip(("Counter", "Report", "Profile"), texts, strict=True):
            (sources / f"{name}.kt").write_text(text.replace(f"package {PACKAGE}", f"package vectors{number}"))
        driver = (DRIVERS / "Counts.kt").read_text().replace("package edgeship.vectors", f"package vectors{number}")
        (sources / "Counts.kt").write_text(driver)
        folders.append(sources)
    return folders


@pytest.mark.more
@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["name"] for case in CASES])
def test_it_counts_as_numpy_does(number, compiled, tmp_path):
    (tmp_path / "samples").write_bytes(encode_samples(CASES[number]))
    done = compiled.run(f"vectors{number}.CountsKt", tmp_path / "samples", *tensor_sizes(CASES[number]))
    assert not done.returncode, done.stderr
    told, windows = done.stdout.splitlines()
    assert_counted(told, CASES[number])
    report = json.loads(told)
    assert (report["window"], report["install"]) == ("2026-W48", "5ef1631ecbde17270a4d846b59b16730")
    assert windows == "2026-W48/2026-11 2026-W53/2026-12 2026-W53/2026-12 2027-W01/2027-01"


@pytest.mark.more
def test_pictures(compiled, pictures: list[Picture], pictures_file: Path, tmp_path):
    done = compiled.run(f"{PACKAGE}.CasesKt", pictures_file, tmp_path / "tensors")
    assert not done.returncode, done.stderr
    assert_same((tmp_path / "tensors").read_bytes(), pictures)


@pytest.mark.more
def test_a_right_client_passes(compiled):
    result = compiled.run_selftest(PACKAGE)
    assert result["passed"] is True and result["preprocessing"] is True and result["device"] == 'a "device"'
    assert result["outputs"]["probs"]["passed"] is True and result["outputs"]["probs"]["maxAbsError"] == 0


@pytest.mark.more
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=FAULTS)
def test_a_mutated_client_fails(number, compiled):
    result = compiled.run_selftest(f"mutant{number}")
    assert result["passed"] is False and result["failures"]


@pytest.mark.more
def test_a_stale_model_fails(compiled, tmp_path):
    stale = tmp_path / "stale.tflite"
    stale.write_bytes((compiled.client / "model.tflite").read_bytes())
    shuffle_weights(stale)
    failures = compiled.run_selftest(PACKAGE, str(stale))["failures"]
    assert {"model", "output"} <= {failure["what"] for failure in failures}


@pytest.mark.more
@pytest.mark.parametrize("options", [[], [kotlin_jvm.ON_LITERT]], ids=["Interpreter", "CompiledModel"])
def test_inputs_of_every_other_kind(options, compiled, tmp_path):
    """PCM of two channels, a window, a row with a category, a plain tensor; two outputs; then with a golden of another row."""
    how = {"client": shutil.copytree(compiled.mixed, tmp_path / "mixed"), "options": options}
    result = compiled.run_selftest("edgeship.mixed", **how)
    assert result["passed"] is True and result["samples"] >= 16
    assert {name for name, output in result["outputs"].items() if output["passed"]} == {"wide", "narrow"}
    with (tmp_path / "mixed" / "goldens" / "3.row.raw").open("ab") as golden:
        golden.write(b"1\n")
    failures = compiled.run_selftest("edgeship.mixed", **how)["failures"]
    assert [(failure["case"], failure["what"]) for failure in failures] == [("3", "tensor")]


@pytest.mark.more
def test_more_labels_than_a_method_of_the_jvm_can_list(bundle, tmp_path, missing):
    if reason := LANES["client-kotlin-jvm"].unavailable_reason():
        missing(f"client-kotlin-jvm: {reason} (make clients)")
    opened = open_bundle(bundle)
    client = describe_client(opened)
    labels = tuple(f"${{number}} \\ {number}" for number in range(21_843))
    folder, work = tmp_path / "client", tmp_path / "work"
    folder.mkdir(), work.mkdir()
    write_client(
        replace(client, outputs=tuple(replace(item, labels=labels) for item in client.outputs)),
        opened.root, "kotlin", folder,
    )  # fmt: skip
    main = f"package edgeship.{client.identifier}\n\nobject Labels {{\n    @JvmStatic\n    fun main(args: Array<String>) = "
    (folder / "src" / "Labels.kt").write_text(main + "Contract.outputs[0].labels.forEach(::println)\n}\n")
    java, *rest, _, _, _ = kotlin_jvm.build(folder, work)
    command = [java, *rest, f"edgeship.{client.identifier}.Labels"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tuple(done.stdout.splitlines()) == labels


@pytest.mark.more
def test_litert_refuses_another_model(compiled):
    """A dynamic batch and integers at the edges: not the tensors of that client."""
    how = {"client": compiled.mixed, "options": [kotlin_jvm.ON_LITERT]}
    failures = compiled.run_selftest("edgeship.mixed", str(compiled.client / "model.tflite"), **how)["failures"]
    assert {"model", "output"} <= {failure["what"] for failure in failures}
    assert "not the model that this client was generated for" in failures[-1]["detail"]


@pytest.mark.more
def test_the_sample_app_says_the_label_and_that_the_self_test_passed(compiled):
    label = json.loads((compiled.client / "contract.json").read_text())["goldens"]["cases"][0]["label"]
    done = compiled.run("sample.PresentedKt", "model.tflite", "goldens", 20, 16)
    assert done.stdout.startswith(f"{label}  ") and done.stdout.endswith(" %\nself-test passed\n"), done.stderr

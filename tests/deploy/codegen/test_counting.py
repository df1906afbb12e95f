"""What generated clients count is what NumPy counts of the same samples: every field, in every language."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle, seal_bundle
from edgeship.deploy.codegen.client import Client, describe_client
from edgeship.deploy.codegen.counting import Counting, describe_counting
from edgeship.deploy.codegen.generate import write_client
from edgeship.errors import InputError
from edgeship.monitoring.profile.classes import describe_answers
from edgeship.monitoring.profile.profile import Profile, read_profile
from edgeship.monitoring.reports.bins import check_bins
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import encode_report
from edgeship.storage import digest
from tests.deploy.codegen.conftest import DRIVERS, edgeship, run
from tests.deploy.codegen.test_preprocessing import STRICT
from tests.deploy.codegen.test_readme import code_block
from tests.monitoring.make_vectors import VECTORS
from tests.monitoring.recount import recount, to_array

CASES = json.loads(VECTORS.read_text())
ARTIFACT = "tflite/int8"
Samples = list[dict[str, Any]]


def read_samples(client: Client) -> Samples:
    """What a self-test counts, from the files of the goldens: docs/apps/clients.md."""

    def read(name: str) -> list[float]:
        return [float(value) for value in np.frombuffer(client.goldens[name], "<f4")]

    samples: Samples = [
        {
            "outputs": {item.name: read(f"{case.name}.{item.name}.{client.golden_suffix}") for item in client.outputs},
            "inputs": {item.name: read(f"{case.name}.{item.name}.tensor") for item in client.inputs},
            "ms": None if number % 3 == 2 else 0.75 * (number + 1),
        }
        for number, case in enumerate(client.cases)
    ]
    for part in ("outputs", "inputs"):
        spoiled = {name: [float("nan"), *values[1:]] for name, values in samples[0][part].items()}
        samples.append({**samples[0], part: spoiled, "ms": None})
    return samples


def recount_outcomes(profile: Profile, samples: Samples) -> Mapping[str, list[int]]:
    first = profile.first_classes
    assert first
    scores = np.stack([to_array(one["outputs"][first.name]) for one in samples[:-2]])
    predicted = describe_answers(scores, first).predicted
    found: dict[str, list[int]] = {}
    for event, classes in (("accepted", predicted[::2]), ("corrected", predicted[1::2])):
        found[event] = [
            int(number) for pair in zip(*np.unique(classes, return_counts=True), strict=True) for number in pair
        ]
    return found


@pytest.mark.parametrize(("model", "artifact"), [("colour-squares", "tflite/int8"), ("mixed", "tflite/float32")])
def test_the_report_of_the_goldens_is_a_recount_with_numpy(model, artifact, bundles):
    """The self-test of each language must make this report: tests of lanes."""
    folder = bundles / model / "bundle"
    client, profile = describe_client(open_bundle(folder), artifact), read_profile(folder)
    assert profile and client.counting
    sent = read_report(client.goldens["report.json"])
    report = json.loads(encode_report(sent))
    samples = read_samples(client)
    wanted = recount(profile, samples)
    errors = {**wanted.pop("errors"), "out_of_memory": 1}
    assert {name: report[name] for name in wanted} == wanted
    assert (report["errors"], report["fallbacks"]) == (errors, 1)
    assert report["outcomes"] == recount_outcomes(profile, samples)
    assert errors["not_finite"] == 1 and report["n"] == len(client.cases) + 1
    check_bins(sent, profile)


def test_a_client_of_a_bundle_without_a_profile_has_no_counter(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    manifest = open_bundle(copy).manifest
    (copy / "profile.json").unlink()
    seal_bundle(copy, manifest)
    done = edgeship("deploy", "codegen", copy, "--for", "python,c", "--out", tmp_path / "out")
    assert "the clients have no counter: the bundle has no profile.json" in done.stdout + done.stderr
    for language in ("python", "c"):
        folder = tmp_path / "out" / language
        assert not list(folder.rglob("counting")) and not (folder / "goldens" / "report.json").exists()
        assert "This client has no counter" in (folder / "README.md").read_text()
    assert "counting" not in (tmp_path / "out" / "python" / "edgeship_client" / "selftest.py").read_text()


GOLDEN_0 = """\
import pathlib, time
import numpy as np
from edgeship_client import contract
files = pathlib.Path("goldens")
read = lambda name: np.fromfile(files / f"0.{name}", "<f4")
outputs = {item.name: read(f"{item.name}.{contract.ARTIFACT.replace('/', '-')}") for item in contract.OUTPUTS}
inputs = {item.name: read(f"{item.name}.tensor") for item in contract.INPUTS}
secret, sequence = "ab" * 32, 7
"""


def test_what_the_readme_of_python_says_makes_a_report(bundle, clients):
    folder = clients / "python"
    code = code_block(folder / "README.md", "python", "InferenceCounter")
    told = run(sys.executable, "-B", "-c", f"{GOLDEN_0}{code}print(report)\nprint(key)", cwd=folder).stdout.splitlines()
    report = read_report(told[0].encode())
    profile = read_profile(bundle)
    assert profile and report.key == told[1] and (report.n, report.sequence) == (1, 7)
    assert report.bundle == digest.of_path(bundle / "manifest.json")
    check_bins(report, profile)


def test_what_the_readme_of_c_says_compiles(clients, tmp_path, missing):
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        missing("a C compiler is not installed")
    include, *lines = code_block(clients / "c" / "README.md", "c", "es_counter_open").splitlines()
    given = [
        "const float *outputs[1] = {0}, *inputs[1] = {0};",
        'const char *pseudonym = "";',
        "char text[9];",
        "double milliseconds = 1;",
    ]
    program = ["#include <stdlib.h>", include, "int main(void) {", *given, *lines, "return (int)length;", "}"]
    (tmp_path / "counting.c").write_text("\n".join(program))
    run(compiler, *STRICT, "-fsyntax-only", f"-I{clients / 'c'}", tmp_path / "counting.c")


def with_profile(folder: Path, change: Mapping[str, Any]) -> Path:
    manifest, content = open_bundle(folder).manifest, json.loads((folder / "profile.json").read_text())
    (folder / "profile.json").write_text(json.dumps({**content, **change}))
    seal_bundle(folder, manifest)
    return folder


def test_a_profile_of_other_tensors_is_not_counted_by(bundle, tmp_path):
    profile = json.loads((bundle / "profile.json").read_text())
    output = profile["outputs"][0]
    changes: dict[str, dict[str, Any]] = {
        "counts 'other'": {"outputs": [{**output, "name": "other"}]},
        "'probs' has 7 scores, and the artifact's 4": {"outputs": [{**output, "classes": 7}]},
        "does not know the artifact's content": {"artifacts": {}},
    }
    for number, (reason, change) in enumerate(changes.items()):
        copy = with_profile(shutil.copytree(bundle, tmp_path / str(number)), change)
        client = describe_client(open_bundle(copy), ARTIFACT)
        assert client.counting is None and reason in client.not_counted


def test_a_profile_that_is_none_is_refused(bundle, tmp_path):
    """Its numbers become code: nothing but numbers gets there."""
    profile = json.loads((bundle / "profile.json").read_text())
    first = profile["inputs"][0]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("latency", {"latency": ["0}; int x = 0"]}),
        ("ascend", {"latency": [2.0, 1.0]}),
        ("schema 1", {"schema": 2}),
        ("every", {"inputs": [{**first, "every": "1"}]}),
    ]
    for number, (reason, change) in enumerate(changes):
        copy = with_profile(shutil.copytree(bundle, tmp_path / str(number)), change)
        with pytest.raises(InputError, match=reason):
            describe_client(open_bundle(copy), ARTIFACT)


def describe_case(case: Any, root: Path) -> Counting:
    """How the samples of a case of the vectors are counted."""
    root.mkdir()
    (root / "profile.json").write_text(json.dumps(case["profile"]))
    (root / "manifest.json").write_text("{}")
    first = case["samples"][0]
    inputs, outputs = (
        {name: to_array(values).size for name, values in first[part].items()} for part in ("inputs", "outputs")
    )
    counting = describe_counting(root, ARTIFACT, inputs, outputs)
    assert isinstance(counting, Counting)
    return counting


def encode_samples(case: Any) -> bytes:
    """The numbers of each sample's outputs and inputs, as float32, and its milliseconds as float64: -1 where it has none."""
    parts = []
    for one in case["samples"]:
        tensors = [to_array(values).ravel() for part in ("outputs", "inputs") for values in one[part].values()]
        parts.append(np.concatenate(tensors).astype("<f4").tobytes())
        parts.append(struct.pack("<d", -1.0 if one["ms"] is None else one["ms"]))
    return b"".join(parts)


def tensor_sizes(case: Any) -> list[int]:
    """How many numbers each output, then each input of a case has."""
    first = case["samples"][0]
    return [to_array(values).size for part in ("outputs", "inputs") for values in first[part].values()]


def assert_counted(told: str, case: Any) -> None:
    report = json.loads(encode_report(read_report(told.encode())))
    assert {name: report[name] for name in case["counts"]} == case["counts"], case["name"]


@pytest.fixture(scope="module")
def c_objects(bundle, tmp_path_factory, missing) -> tuple[list[str], Path, Client]:
    """The compiler with its flags, the folder of the counter's objects, and a client to be given other profiles."""
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        missing("a C compiler is not installed")
    client = describe_client(open_bundle(bundle), ARTIFACT)
    folder = tmp_path_factory.mktemp("counter")
    (folder / "c").mkdir()
    write_client(client, bundle, "c", folder / "c")
    command = [str(compiler), *STRICT, "-O1", "-g", "-fsanitize=address,undefined", f"-I{folder / 'c' / 'counting'}"]
    sources = [folder / "c" / "counting" / f"{name}.c" for name in ("counter", "report")]
    run(*command, "-c", *sources, DRIVERS / "counts.c", cwd=folder)
    return command, folder, client


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_c_counts_as_numpy_does(case, c_objects, bundle, tmp_path):
    command, objects, client = c_objects
    counting = describe_case(case, tmp_path / "root")
    (tmp_path / "c").mkdir()
    write_client(replace(client, counting=counting), bundle, "c", tmp_path / "c")
    (tmp_path / "samples").write_bytes(encode_samples(case))
    program = tmp_path / "counts"
    parts = [objects / f"{name}.o" for name in ("counter", "report", "counts")]
    run(*command, tmp_path / "c" / "counting" / "profile.c", *parts, "-o", program, "-lm")
    assert_counted(run(program, tmp_path / "samples").stdout, case)

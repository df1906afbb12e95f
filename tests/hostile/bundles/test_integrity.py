"""What lies in a bundle, a model's folder or the cache is what it says, or is refused: links, replaced files, odd figures.

The stranger seals again after every change: digests alone tell nothing about one who may write them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.bundle.manifest import GoldenRun, Manifest
from edgeship.bundle.verdict import GateResult
from edgeship.cli import cli
from edgeship.errors import EdgeshipError
from edgeship.types import TensorSpec, Verdict
from tests.hostile.bundles import sealed_bundle

Edgeship = Callable[..., str]
SECONDS = 60  # for one command; what hangs fails
# Every command that opens a bundle, with what it needs beside.
COMMANDS = {
    "gate": (),
    "verify": (),
    "report": ("--out", "report.html"),
    "demo": ("--out", "site"),
    "benchmark": (),
    "debug": (),
    "bom": (),
    "lock": ("--out", "edgeship.lock"),
}


@pytest.fixture(scope="session")
def honest_once(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "hostile-bundle"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "manifest.json").exists():
            sealed_bundle.write(folder, tiny_models)
    return folder


@pytest.fixture
def bundle(honest_once: Path, tmp_path: Path) -> Path:
    """A copy that a stranger may change."""
    return shutil.copytree(honest_once, tmp_path / "bundle")


@pytest.fixture
def edgeship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edgeship:
    """The command line in an empty folder; `code` is the exit code that it must have, and `says` a part of what it says."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("EDGESHIP_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object, code: int, says: str = "") -> str:
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        failure, output = done.exception, done.output
        if isinstance(failure, EdgeshipError):
            output += str(failure)
        elif failure and not isinstance(failure, SystemExit):
            raise failure
        assert (failure.exit_code if isinstance(failure, EdgeshipError) else done.exit_code) == code, output
        assert says in " ".join(output.split()), output
        return output

    return run


@pytest.fixture
def started(tmp_path: Path) -> Edgeship:
    """The same in a process of its own, which is ended where it hangs."""

    def run(*arguments: object, code: int, says: str = "", **env: str) -> str:
        command = [sys.executable, "-m", "edgeship.cli", *map(str, arguments)]
        variables = {**os.environ, "EDGESHIP_CACHE": str(tmp_path / "cache"), **env}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, timeout=SECONDS)
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        assert "Traceback" not in output
        assert says in " ".join(output.split()), output
        return output

    return run


@pytest.fixture
def small(bundle: Path) -> Path:
    """One with a single artifact, whose goldens are replayed quickly."""
    for path in ("tflite/int8.tflite", "onnx/float32.onnx"):
        (bundle / path).unlink()
    shutil.rmtree(bundle / "tfjs")
    change(bundle, lambda manifest: without(manifest, "tflite/int8", "onnx/float32", "tfjs/float32"))
    return bundle


def change(bundle: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    sealed_bundle.change(bundle, edit)


def artifact(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in manifest["artifacts"] if item["id"] == name)


def test_honest_bundles_pass(bundle, small, edgeship):
    edgeship("gate", bundle, code=0)
    edgeship("verify", small, code=0)  # without TF.js, whose runtime need not be here


# Row 2: what a manifest names


def link_out(bundle: Path, name: str) -> None:
    """Move a part of the bundle outside and leave a link."""
    outside = bundle.parent / "outside"
    shutil.move(bundle / name, outside)
    (bundle / name).symlink_to(outside)


@pytest.mark.parametrize(
    "name", ["server/server.keras", "server", "tflite/int8.tflite", "tfjs/float32", "goldens", "goldens/inputs.npz"]
)
def test_a_link_in_a_bundle_is_refused(bundle, edgeship, name):
    link_out(bundle, name)
    change(bundle, lambda _: None)
    edgeship("gate", bundle, code=2, says="a link, not a regular file")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_linked_server_model(bundle, edgeship, command):
    link_out(bundle, "server/server.keras")
    change(bundle, lambda _: None)
    edgeship(command, bundle, *COMMANDS[command], code=2, says="a link, not a regular file")


def test_a_linked_manifest_is_refused(bundle, edgeship):
    link_out(bundle, "manifest.json")
    edgeship("gate", bundle, code=2, says="a link, not a regular file")


OUTSIDE = {
    "absolute": lambda bundle: str(bundle.parent / "outside"),
    "above": lambda bundle: "../outside",
    "around": lambda bundle: f"tflite/../../{bundle.parent.name}/../outside",
    "device": lambda bundle: "/dev/zero",
    "drive": lambda bundle: "C:outside",
    "backslash": lambda bundle: "..\\outside",
    "endless": lambda bundle: "9" * 900,
}


@pytest.mark.parametrize("kind", OUTSIDE)
@pytest.mark.parametrize("part", ["artifact", "server"])
def test_a_path_out_of_the_bundle_is_refused(bundle, edgeship, kind, part):
    shutil.copyfile(bundle / "tflite/float32.tflite", bundle.parent / "outside")
    path = OUTSIDE[kind](bundle)
    if part == "artifact":
        change(bundle, lambda manifest: artifact(manifest, "tflite/float32").update(path=path))
    else:
        change(bundle, lambda manifest: manifest["server_model"].update(path=path))
    edgeship("gate", bundle, code=2, says="the path")


def test_a_path_to_a_file_that_is_not_listed_is_refused(bundle, edgeship):
    change(bundle, lambda manifest: artifact(manifest, "tflite/float32").update(path="tflite/other.tflite"))
    edgeship("gate", bundle, code=2, says="tflite/other.tflite is not among the bundle's files")
    change(bundle, lambda manifest: artifact(manifest, "tflite/float32").update(path="tflite/int8.tflite"))
    edgeship("gate", bundle, code=2, says="two artifacts have the name or path tflite/int8.tflite")


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices with a place in a folder")
@pytest.mark.parametrize("name", ["tflite/int8.tflite", "server/server.keras", "manifest.json", "tfjs/float32/more"])
def test_a_pipe_is_refused_and_not_waited_for(bundle, started, name):
    change(bundle, lambda _: None)
    (bundle / name).unlink(missing_ok=True)
    os.mkfifo(bundle / name)
    if name != "manifest.json":
        change(bundle, lambda _: None)
    started("verify", bundle, code=2, says="a pipe, not a regular file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_refused(bundle, edgeship):
    (bundle / "tflite/int8.tflite").unlink()
    try:
        os.mknod(bundle / "tflite/int8.tflite", 0o020644, os.makedev(1, 5))  # endless zeros
    except OSError:
        pytest.skip("no devices in this container")
    change(bundle, lambda _: None)
    edgeship("gate", bundle, code=2, says="a device, not a regular file")


@pytest.mark.parametrize("path", ["../../../outside", "/etc/hostname", "missing.bin", "https://example.org/a.bin"])
def test_weights_of_a_page_outside_its_folder_are_refused(bundle, edgeship, path):
    shutil.copyfile(bundle / "tflite/float32.tflite", bundle.parent / "outside")
    model = bundle / "tfjs/float32/model.json"
    graph = json.loads(model.read_text())
    graph["weightsManifest"][0]["paths"] = [path]
    model.write_text(json.dumps(graph))
    change(bundle, lambda _: None)
    edgeship("gate", bundle, code=2, says="outside" if "outside" in path else path.split("/")[-1])


@pytest.mark.parametrize("path", ["../../outside", "/etc/hostname", "missing.bin", "weights.bin"])
@pytest.mark.parametrize("depth", ["graph", "constant", "branch"])
def test_external_data_of_an_onnx_is_refused(bundle, edgeship, path, depth):
    """Also where it lies in the bundle and is listed: the digests of what was measured do not cover it."""
    onnx = pytest.importorskip("onnx")
    shutil.copyfile(bundle / "tflite/float32.tflite", bundle.parent / "outside")
    shutil.copyfile(bundle / "tflite/float32.tflite", bundle / "onnx/weights.bin")
    file = bundle / "onnx/float32.onnx"
    model = onnx.load(file)
    graph = model.graph
    if depth == "branch":
        node = graph.node.add(op_type="If", input=["c"], output=["o"])
        graph = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
    if depth == "graph":
        tensor = graph.initializer.add()
    else:
        tensor = graph.node.add(op_type="Constant").attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t
    tensor.CopyFrom(onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL))
    tensor.external_data.add(key="length", value="4")
    tensor.external_data.add(key="location", value=path)
    file.write_bytes(model.SerializeToString())
    change(bundle, lambda _: None)
    edgeship("gate", bundle, code=2, says=f"onnx/float32.onnx keeps weights in another file ({path})")


# Digests


def test_a_linked_folder_of_a_saved_model_is_refused(tiny_models, tmp_path, edgeship):
    """Its weights could change behind the link, and `convert` would ship those that the cache has."""
    model = shutil.copytree(tiny_models / "cnn", tmp_path / "model")
    link_out(model, "variables")
    output = edgeship("convert", model, "--out", tmp_path / "out", "--to", "tflite", code=2)
    assert "variables: a link, not a regular file; copy what it points to" in output
    assert not (tmp_path / "out").exists()


def test_digests_of_folders_cover_empty_ones_and_are_no_file_s(tmp_path):
    from edgeship.storage import digest

    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x").write_text("x")
    before = digest.of_path(folder)
    (tmp_path / "file").write_text(json.dumps({"a/x": digest.of_path(folder / "a" / "x")}))
    assert digest.of_path(tmp_path / "file") != before, "the file that says what the folder holds"
    (folder / "empty").mkdir()
    assert digest.of_path(folder) != before
    (folder / "empty").rmdir()
    assert digest.of_path(folder) == before
    (tmp_path / "named").symlink_to(folder)
    assert digest.of_path(tmp_path / "named") == before, "what the user names may be a link"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_digests_refuse_what_lies_elsewhere(tmp_path, kind):
    from edgeship.errors import InputError
    from edgeship.storage import digest

    (tmp_path / "folder").mkdir()
    if kind == "link":
        (tmp_path / "folder" / "x").symlink_to(tmp_path)
    else:
        os.mkfifo(tmp_path / "folder" / "x")
    with pytest.raises(InputError, match=f"x: a {kind}, not a regular file"):
        digest.of_path(tmp_path / "folder")


# The gate and `verify`


@pytest.mark.parametrize("name", ["tflite/int8.tflite", "onnx/float32.onnx", "tfjs/float32/model.json"])
def test_the_gate_fails_an_artifact_that_is_not_what_was_measured(bundle, edgeship, name):
    """Its figures are those of the honest file, and pass."""
    if name.endswith(".json"):
        (bundle / name).write_text((bundle / name).read_text().replace("{", "{ ", 1))
    else:
        (bundle / name).write_text("not a model")
    change(bundle, lambda _: None)
    edgeship("gate", bundle, code=1, says="changed or replaced after it was measured")
    if not name.endswith(".json"):
        edgeship("verify", bundle, code=1, says="FAIL")


def test_the_gate_fails_figures_that_do_not_say_of_what(bundle, edgeship):
    def forget(manifest: dict[str, Any]) -> None:
        for item in manifest["measurements"]:
            del item["details"]["content"]

    change(bundle, forget)
    edgeship("gate", bundle, code=1, says="what was measured is not recorded: convert it again")


def test_the_gate_measures_sizes_itself(bundle, edgeship):
    def shrink(manifest: dict[str, Any]) -> None:
        for item in manifest["measurements"]:
            for metric in item["metrics"]:
                if metric["name"] == "size_disk_bytes":
                    metric["value"] = 1

    change(bundle, shrink)
    Path("small.toml").write_text("[budget]\nmax_size_disk = 100\n")
    edgeship("gate", bundle, "--config", "small.toml", code=1, says="bytes of 100 allowed")


def test_reports_and_pages_judge_again(bundle, edgeship):
    """What the manifest says of the verdict is edited, the figures are not."""
    (bundle / "tflite/int8.tflite").write_text("not a model")
    change(bundle, lambda manifest: manifest.update(gate={"verdict": "PASS", "checks": [], "not_judged": []}))
    edgeship("report", bundle, "--out", "report.html", code=0)
    assert "changed or replaced after it was measured" in Path("report.html").read_text()


def test_a_page_s_part_holds_the_verdict_of_the_figures(bundle, tmp_path):
    from edgeship.bundle.bundle import open_bundle
    from edgeship.demo import site

    def worsen(manifest: dict[str, Any]) -> None:
        del next(item for item in manifest["measurements"] if item["artifact"] == "tflite/int8")["details"]["content"]

    (tmp_path / "page").mkdir()
    change(bundle, lambda manifest: manifest.update(gate={"verdict": "PASS"}))
    honest = site.write_site(open_bundle(bundle), tmp_path / "honest", tmp_path / "page").gate
    change(bundle, worsen)
    assert honest == GateResult(Verdict.PASS)
    assert site.write_site(open_bundle(bundle), tmp_path / "site", tmp_path / "page").gate == GateResult(Verdict.FAIL)


def golden(manifest: dict[str, Any], name: str = "tflite/float32") -> dict[str, Any]:
    return manifest["goldens"]["artifacts"][name]


@pytest.mark.parametrize(
    "value", [1e300, 1e9, 0.3, 0, -1, None, True, "1", [1], {}], ids=lambda value: f"{type(value).__name__} {value}"
)
def test_verify_fails_a_tolerance_that_is_none(small, edgeship, value):
    change(small, lambda manifest: golden(manifest)["tolerance"].update(probs=value))
    edgeship("verify", small, code=1, says="output 'probs' has")


@pytest.mark.parametrize("scale", [1.0, 10.0, 1e30])
def test_verify_takes_no_scale_from_the_manifest(small, edgeship, scale):
    """Scores that lie on the steps of that scale, as those of a sure classifier nearly do; any others would match them."""
    own = np.zeros((7, 5), np.float32)
    own[:, 0] = scale
    np.savez(small / "goldens/tflite-float32.npz", probs=own)

    def claim(manifest: dict[str, Any]) -> None:
        quantization = {"scale": [scale], "zero_point": [0], "axis": None}
        artifact(manifest, "tflite/float32")["outputs"][0].update(quantization=quantization)
        golden(manifest)["tolerance"].update(probs=2 * scale)

    change(small, claim)
    edgeship("verify", small, code=1, says="output 'probs' has a tolerance of")


def test_verify_takes_no_step_that_is_larger_than_every_output():
    """Not from the artifact either: all outputs are 0 steps then, and anything would match."""
    from edgeship.bundle import goldens

    own = np.array([[0.2, 0.8], [0.6, 0.4]], np.float32)
    assert goldens.largest_tolerance(own, 1e30) == goldens.largest_tolerance(own) <= 0.25
    assert goldens.largest_tolerance(own, 0.2) == pytest.approx(0.4), "an honest step"


def test_complex_goldens_are_numbers(tmp_path):
    """TFLite's RFFT2D gives such."""
    from edgeship.bundle.bundle import Bundle
    from edgeship.pipeline import verify

    (tmp_path / "goldens").mkdir()
    np.savez(tmp_path / "goldens/tflite-float32.npz", y=np.ones((7, 3), np.complex64))
    own = verify.golden_arrays(Bundle(tmp_path, Manifest({}, (), ())), "tflite/float32")
    answers = verify.Answers(own, GoldenRun("litert", tolerance={"y": 1e-3}))
    spec = TensorSpec("y", (None, 3), "complex64")
    assert verify._compare_output(spec, own["y"] + np.complex64(1e-4j), answers)[1] == ""
    assert "is off by 1" in verify._compare_output(spec, own["y"] + np.complex64(1j), answers)[1]


TEXTS: dict[str, Any] = {"text": np.array(["a"] * 7), "bytes": np.array([b"a"] * 7), "times": np.zeros(7, "M8[s]")}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["tflite-float32", "inputs", "outputs"])
def test_verify_fails_goldens_that_are_no_numbers(small, edgeship, kind, name):
    np.savez(small / f"goldens/{name}.npz", **{"image" if name == "inputs" else "probs": TEXTS[kind]})
    change(small, lambda _: None)
    edgeship("verify", small, code=1, says=f"its goldens '{name.replace('-', '/')}' hold no numbers under")


def without(manifest: dict[str, Any], *names: str) -> None:
    manifest["artifacts"] = [item for item in manifest["artifacts"] if item["id"] not in names]
    manifest["measurements"] = [item for item in manifest["measurements"] if item["artifact"] not in names]


EMPTY_WAYS: dict[str, tuple[Callable[[Path, dict[str, Any]], Any], str]] = {
    "no artifact": (lambda _, m: without(m, *sealed_bundle.ARTIFACTS), "nothing was replayed"),
    "no golden of one": (
        lambda _, m: m["goldens"]["artifacts"].pop("tflite/float32"),
        "the bundle has no goldens of it",
    ),
    "no goldens": (lambda root, _: shutil.rmtree(root / "goldens"), "nothing was replayed"),
    "no file of one": (lambda root, _: (root / "goldens/tflite-float32.npz").unlink(), "nothing was replayed"),
    "all optional": (
        lambda _, m: (
            m["config"]["budget"].update(optional=["*"]),
            [item.update(runtime=None) for item in m["goldens"]["artifacts"].values()],
        ),
        "nothing was replayed, so nothing is known to match",
    ),
    "none run": (
        lambda _, m: [item.update(runtime=None) for item in m["goldens"]["artifacts"].values()],
        "not run when the bundle was made",
    ),
    "clear out of range": (lambda _, m: golden(m)["clear"].update(probs=[7]), "names samples that are not there"),
    "clear is no list": (lambda _, m: golden(m)["clear"].update(probs="0"), "names samples that are not there"),
    "other output": (
        lambda root, _: np.savez(root / "goldens/tflite-float32.npz", other=np.zeros((7, 5), np.float32)),
        "its outputs are not those of its goldens",
    ),
    "no output": (lambda root, _: np.savez(root / "goldens/tflite-float32.npz"), "nothing was replayed"),
    "no sample": (
        lambda root, m: (
            np.savez(root / "goldens/inputs.npz", image=np.zeros((0, 8, 8, 1), np.float32)),
            m["goldens"].update(samples=0),
        ),
        "its goldens hold 0 samples",
    ),
    "fewer samples": (
        lambda root, _: np.savez(root / "goldens/inputs.npz", image=np.zeros((1, 8, 8, 1), np.float32)),
        "its goldens hold 1 samples, and its manifest says 7",
    ),
}


@pytest.mark.parametrize("way", EMPTY_WAYS)
def test_verify_fails_where_nothing_was_compared(small, edgeship, way):
    spoil, says = EMPTY_WAYS[way]
    manifest = json.loads((small / "manifest.json").read_text())
    spoil(small, manifest)
    sealed_bundle.seal(small, manifest)
    edgeship("verify", small, code=1, says=says)


def test_a_model_that_never_ends_fails(small, started, tiny_models):
    """A loop of two billion steps."""
    shutil.copyfile(tiny_models / "power.tflite", small / "tflite/float32.tflite")
    np.savez(small / "goldens/inputs.npz", x=np.ones((7, 3), np.float32), times=np.int32(2_000_000_000))
    change(small, lambda _: None)
    started("verify", small, code=1, says="took longer than 3 s and was stopped", EDGESHIP_LIMITS="replay_seconds=3")

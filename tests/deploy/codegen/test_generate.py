"""What is generated, and what is refused in one sentence."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.deploy.codegen.client import describe_client
from edgeship.deploy.codegen.generate import LANGUAGES, quote_c, quote_kotlin, write_clients
from edgeship.errors import InputError
from edgeship.types import Bridge
from tests.deploy.codegen.conftest import edgeship, run


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_folder_needs_nothing_else(language, clients):
    folder = clients / language
    assert {"README.md", "LICENSE.txt", "contract.json", "goldens", "labels.txt", "model.tflite"} <= {
        path.name for path in folder.iterdir()
    }
    assert len(list((folder / "goldens").iterdir())) == 21 * 3 + 1  # and what a self-test must count
    readme = (folder / "README.md").read_text()
    assert "in three steps" in readme and "edgeship report" in readme


def test_the_same_bundle_gives_the_same_files(bundle, clients, tmp_path):
    edgeship("deploy", "codegen", bundle, "--for", "c", "--out", tmp_path, "--artifact", "tflite/int8")
    for path in sorted(item for item in (tmp_path / "c").rglob("*") if item.is_file()):
        assert path.read_bytes() == (clients / "c" / path.relative_to(tmp_path / "c")).read_bytes()
    edgeship(
        "deploy", "codegen", bundle, "--for", "c", "--out", tmp_path, "--artifact", "tflite/float32"
    )  # takes its place
    assert "ES_FLOAT32" in (tmp_path / "c" / "contract.c").read_text()


def test_python_clients_are_strictly_typed(clients, tmp_path):
    client = shutil.copytree(clients / "python", tmp_path / "python")
    run(sys.executable, "-m", "mypy", "--strict", "--no-incremental", "-p", "edgeship_client", cwd=client)
    run(sys.executable, "-m", "ruff", "check", "--isolated", client)


def test_bad_input_is_a_sentence(bundle, tmp_path):
    def refused(*arguments: object) -> str:
        done = edgeship("deploy", "codegen", *arguments, check=2)
        assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) <= 2
        return done.stderr

    known = ", ".join(sorted(LANGUAGES))
    assert f"unknown language 'cobol'; known: {known}" in refused(bundle, "--for", "c,cobol", "--out", tmp_path)
    assert "unknown artifact 'tflite/int4'" in refused(
        bundle, "--for", "c", "--artifact", "tflite/int4", "--out", tmp_path
    )
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("")
    assert "holds something else than generated code" in refused(bundle, "--for", "c,python", "--out", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]  # nothing of python
    assert "lies in the bundle" in refused(bundle, "--for", "c", "--out", bundle)
    (tmp_path / "file").touch()
    assert "no folder can be written there" in refused(bundle, "--for", "c", "--out", tmp_path / "file")
    assert "no language is named" in refused(bundle, "--for", ",", "--out", tmp_path)


def test_what_others_wrote_beside_generated_code_stays(bundle, clients, tmp_path):
    folder = shutil.copytree(clients / "c", tmp_path / "c")
    built = folder / "selftest"
    built.touch()
    opened = open_bundle(bundle)
    write_clients(opened, ["c"], tmp_path)
    assert not built.exists()
    for name in ("predict.c", "notes/predict.c"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
        with pytest.raises(InputError, match=r"something else than generated code \((predict\.c|notes)\)"):
            write_clients(opened, ["c"], tmp_path)
        assert (folder / name).read_text() == "mine"
        (folder / name).unlink()
    (folder / "notes").rmdir()
    (folder / "contract.json").write_text('{"kind": "of mine"}')
    with pytest.raises(InputError, match=r"\(contract\.json\)"):
        write_clients(opened, ["c"], tmp_path)


def test_a_package_is_not_called_by_a_keyword(bundle):
    client = describe_client(open_bundle(bundle))
    names = [replace(client, name=name).identifier for name in ("object", "3-ways", "new-object")]
    assert names == ["model_object", "model_3_ways", "new_object"]


def test_a_bundle_without_raw_goldens_says_which_key_gives_them(bundle, tmp_path):
    from edgeship.bundle import bundle as bundles

    copy = shutil.copytree(bundle, tmp_path / "bundle")
    contract = json.loads((copy / "contract.json").read_text())
    contract["goldens"] = {"samples": 0, "cases": [], "reason": "'image' is of unknown kind; state it in [input.image]"}
    (copy / "contract.json").write_text(json.dumps(contract))
    manifest = json.loads((copy / "manifest.json").read_text())
    bundles.seal_content(copy, manifest)
    done = edgeship("deploy", "codegen", copy, "--for", "c", "--out", tmp_path / "out", check=2)
    assert "has no raw goldens: 'image' is of unknown kind; state it in [input.image]" in done.stderr
    (copy / "contract.json").unlink()
    bundles.seal_content(copy, manifest)
    assert (
        "has no contract.json" in edgeship("deploy", "codegen", copy, "--for", "c", "--out", tmp_path, check=2).stderr
    )


def test_a_threshold_comes_from_the_configuration_or_from_what_one_score_is(bundles, tmp_path):
    from edgeship.bundle import bundle as bundles_of

    copy = shutil.copytree(bundles / "mixed" / "bundle", tmp_path / "bundle")
    contract = json.loads((copy / "contract.json").read_text())
    wide, narrow = sorted(contract["outputs"], key=lambda item: item["name"] == "narrow")
    assert (wide["threshold"], narrow["activation"]) == (0.25, "sigmoid") and "threshold" not in narrow
    narrow["labels"] = ["no", "yes"]

    def write(activation: str) -> None:
        narrow["activation"] = activation
        (copy / "contract.json").write_text(json.dumps(contract))
        bundles_of.seal_content(copy, json.loads((copy / "manifest.json").read_text()))

    write("sigmoid")
    outputs = {item.name: item for item in describe_client(open_bundle(copy)).outputs}
    assert (outputs["wide"].threshold, outputs["narrow"].threshold) == (0.25, 0.5)
    write("unknown")
    done = edgeship("deploy", "codegen", copy, "--for", "c", "--out", tmp_path / "out", check=2)
    assert (
        "from where on it is 'yes' is not known: state threshold under [output.narrow] of edgeship.toml" in done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_a_file_that_takes_another_size_than_the_tensor_is_not_fed(bundle, tmp_path):
    """A client in C would read behind its end."""
    from edgeship.bundle import bundle as bundles

    copy = shutil.copytree(bundle, tmp_path / "bundle")
    contract = json.loads((copy / "contract.json").read_text())
    contract["artifacts"][1]["inputs"][0]["shape"] = [1, 20, 16, 4]
    (copy / "contract.json").write_text(json.dumps(contract))
    bundles.seal_content(copy, json.loads((copy / "manifest.json").read_text()))
    edgeship("deploy", "codegen", copy, "--for", "c", "--out", tmp_path / "out")
    assert "(tflite/float32)" in (tmp_path / "out" / "c" / "contract.c").read_text()
    done = edgeship("deploy", "codegen", copy, "--for", "c", "--out", tmp_path, "--artifact", "tflite/int8", check=2)
    assert "takes 'image' as 1 x 20 x 16 x 4, and the tensor is 1 x 20 x 16 x 3; choose another of" in done.stderr


def test_texts_are_quoted_as_each_language_wants():
    assert quote_c('a"b\\ü??=7') == '"a\\042b\\134\\303\\274\\077\\077=7"'
    assert quote_kotlin("$x\n") == '"\\$x\\n"'


def test_an_artifact_with_other_tensors_is_none_that_clients_feed(bundle):
    opened = open_bundle(bundle)
    bridge = Bridge({}, three_channels=("image",))
    rgb = replace(opened.manifest.artifacts[0], id="tflite/rgb", variant="rgb", path="tflite/rgb.tflite", bridge=bridge)
    changed = replace(opened, manifest=replace(opened.manifest, artifacts=(*opened.manifest.artifacts, rgb)))
    with pytest.raises(InputError, match=r"tflite/rgb: takes three channels for one, .* mobile = true"):
        describe_client(changed, "tflite/rgb")

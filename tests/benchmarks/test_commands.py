import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeship.bundle import bundle as bundles
from edgeship.cli.bundles.gate import gate
from edgeship.cli.bundles.report import report
from edgeship.errors import InputError
from edgeship.storage import digest


@pytest.fixture
def bundle(manifest, tmp_path, write_files):
    """A sealed bundle that passes."""
    for key in ("artifacts", "measurements"):
        manifest[key] = [item for item in manifest[key] if "onnx/int8" not in (item.get("id"), item.get("artifact"))]
    root = tmp_path / "bundle"
    root.mkdir()
    write_files(root, manifest)
    bundles.seal_content(root, manifest)
    return root


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_good_bundle_exits_0(bundle):
    result = run(gate, bundle)
    assert result.exit_code == 0, result.output
    assert "gate: PASS" in result.output


def test_files_for_ci(bundle, tmp_path):
    names = [tmp_path / "ci" / name for name in ("gate.xml", "gate.md", "gate.json")]
    run(gate, bundle, "--junit", names[0], "--markdown", names[1], "--json", names[2])
    assert names[0].read_text().startswith("<?xml")
    assert names[1].read_text().startswith("## ✅ PASS")
    assert json.loads(names[2].read_text())["gate"]["verdict"] == "PASS"


@pytest.mark.parametrize("option", ["--junit", "--markdown", "--json"])
def test_a_file_that_cannot_be_written_is_bad_input(bundle, tmp_path, option):
    (tmp_path / "file").write_text("mine")
    result = run(gate, bundle, option, tmp_path / "file" / "below.txt")
    assert isinstance(result.exception, InputError) or result.exit_code == 2, result.exception
    assert (tmp_path / "file").read_text() == "mine"
    assert run(gate, bundle, "--json", tmp_path / "new" / "gate.json").exit_code == 0


def test_a_full_disk_leaves_the_old_file(bundle, tmp_path, monkeypatch):
    """Half of the text is written, then no more."""
    old = tmp_path / "report.html"
    old.write_text("old")
    whole = Path.write_text

    def half(path, text, encoding):
        whole(path, text[: len(text) // 2], encoding=encoding)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", half)
    for command, option in ((report, "--out"), (gate, "--junit"), (gate, "--json")):
        error = run(command, bundle, option, old).exception
        assert isinstance(error, InputError)
        assert "No space left" in str(error)
        assert old.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "report.html"]


def test_a_result_can_go_to_a_device(bundle):
    assert run(gate, bundle, "--json", "/dev/null").exit_code == 0
    assert not Path("/dev/null").is_file()


def test_sizes_over_budget_are_told_to_the_byte(bundle, tmp_path):
    config = tmp_path / "edgeship.toml"
    config.write_text("[budget]\nmax_peak_memory = '1.5 MB'\n")
    assert " bytes of 1,500,000 allowed" in run(gate, bundle, "--config", config).output


def test_json_on_standard_output_is_all_there_is(bundle):
    result = run(gate, bundle, "--json", "-")
    assert json.loads(result.stdout)["schema"] == 1


def of_server(manifest_file, source):
    """The bundle with the place that its server model was copied from."""
    manifest = json.loads((manifest_file / "manifest.json").read_text())
    manifest["server_model"].update(source=source)
    bundles.seal_content(manifest_file, manifest)


def test_a_newer_server_model_where_the_bundles_lay_is_noticed(bundle, tmp_path, monkeypatch):
    """From any folder; of the same size or of another."""
    of_server(bundle, "../server.keras")
    assert run(gate, bundle).exit_code == 0, "it is gone"
    own = (bundle / "server/server.keras").read_bytes()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for content, code in ((own, 0), (own[:-1] + b"x", 1), (own + b"x", 1)):
        (tmp_path / "server.keras").write_bytes(content)
        result = run(gate, bundle)
        assert result.exit_code == code, result.output
        assert ("server.keras is another model than the one" in " ".join(result.output.split())) == bool(code)
    assert run(gate, bundle, "--server", bundle / "server/server.keras").exit_code == 0, "what is named counts"


def test_a_server_model_can_be_named(bundle, tmp_path):
    for other in (bundle / "server/server.keras", tmp_path / "newer.keras", tmp_path):
        if not other.exists():
            other.write_bytes(b"newer")
        result = run(gate, bundle, "--server", other, "--json", "-")
        checks = [item for item in json.loads(result.stdout)["gate"]["checks"] if item["check"] == "server_model"]
        verdict = "PASS" if bundle in other.parents else "FAIL"
        assert ([item["verdict"] for item in checks], result.exit_code) == ([verdict], verdict == "FAIL")
    error = run(gate, bundle, "--server", tmp_path / "missing.keras").exception
    assert isinstance(error, InputError)
    assert "missing.keras" in str(error)


def test_a_saved_model_is_the_same_without_its_empty_folders(bundle, tmp_path):
    """As one that a repository brought, which holds no folder without files."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "server/server.keras").unlink()
    for folder in (bundle / "server/model", tmp_path / "model"):
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"graph")
        (folder / "variables/variables.index").write_bytes(b"weights")
    (bundle / "server/model/assets").mkdir()
    described = digest.of_path(bundle / "server/model")
    manifest = json.loads(json.dumps(manifest).replace(manifest["server_model"]["digest"], described))
    manifest["server_model"]["path"] = "server/model"
    bundles.seal_content(bundle, manifest)
    assert run(gate, bundle, "--server", tmp_path / "model").exit_code == 0
    (tmp_path / "model/variables/variables.index").write_bytes(b"WEIGHTS")
    assert run(gate, bundle, "--server", tmp_path / "model").exit_code == 1
    assert run(gate, bundle, "--server", tmp_path / "model/saved_model.pb").exit_code == 1


@pytest.mark.parametrize("kind", ["pipe", "device", "root"])
def test_a_strangers_bundle_has_nothing_read_where_it_says_that_its_model_lay(bundle, tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe.keras")
    of_server(bundle, {"pipe": "../pipe.keras", "device": "/dev/zero", "root": "/"}[kind])
    assert run(gate, bundle).exit_code == (1 if kind == "root" else 0)


@pytest.mark.parametrize(("budget", "verdict"), [("max_size_disk = 5", "FAIL"), ("max_drop = 0.3", "INCONCLUSIVE")])
def test_another_budget_can_fail_it_with_exit_1(bundle, tmp_path, budget, verdict):
    config = tmp_path / "edgeship.toml"
    config.write_text(f"[budget]\n{budget}\n")
    result = run(gate, bundle, "--config", config)
    assert result.exit_code == 1
    assert f"gate: {verdict}" in result.output


def test_bad_input_is_an_input_error(bundle, tmp_path):
    config = tmp_path / "edgeship.toml"
    config.write_text("[budget]\nmax_sise = 5\n")
    cases = {
        (tmp_path / "nothing",): "not a bundle",
        (bundle, "--config", config): "unknown budget key 'max_sise'",
        (bundle, "--config", tmp_path / "absent.toml"): "no such file",
    }
    for arguments, message in cases.items():
        error = run(gate, *arguments).exception
        assert isinstance(error, InputError), arguments
        assert message in str(error)
        assert error.exit_code == 2


def test_a_bundle_edited_by_hand_is_refused(bundle):
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"size_disk_bytes"', '"size_disk_byte5"', 1))
    for command in (gate, report):
        error = run(command, bundle).exception
        assert isinstance(error, InputError)
        assert "changed after it was written" in str(error)


def test_no_result_is_written_into_a_bundle(bundle):
    """It would no longer match its manifest."""
    for command, option in ((gate, "--junit"), (gate, "--json"), (gate, "--markdown"), (report, "--out")):
        error = run(command, bundle, option, bundle / "report" / "new.txt").exception
        assert isinstance(error, InputError), (command, option)
        assert "lies in the bundle" in str(error)
    assert run(gate, bundle).exit_code == 0


def test_report_leaves_the_bundle_as_it_is(bundle, tmp_path):
    result = run(report, bundle)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "bundle-report.html").read_text().startswith("<!doctype html>")
    assert run(gate, bundle).exit_code == 0
    assert run(report, bundle, "--out", tmp_path / "deep" / "r.html").exit_code == 0
    assert (tmp_path / "deep" / "r.html").is_file()

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeship import cli
from tests.model_registry import made_up


@pytest.fixture
def run(registry):
    """`run(command, ...)`: exit code and output of `edgeship registry` on an empty registry, in this process."""

    def call(*arguments, code=0):
        result = CliRunner().invoke(cli.cli, ["registry", *map(str, arguments), "--store", registry])
        error = result.exception if result.exception and not isinstance(result.exception, SystemExit) else None
        found = getattr(error, "exit_code", result.exit_code)
        assert found == code, (result.output, error)
        return result.output + str(error or "")

    return call


def test_the_way_of_a_version_through_the_commands(run, tmp_path):
    truth = made_up.truth_of()
    for name, right in (("one", 0.9), ("two", 0.97), ("three", 0.5)):
        made_up.write_bundle(tmp_path / name, truth, made_up.answers_of(truth, right, 1), name=name)
    assert "garments version 1: added (PASS" in run("add", tmp_path / "one", "--name", "garments")
    assert "the same bundle is there already" in run("add", tmp_path / "one", "--name", "garments")
    run("add", tmp_path / "two", "--name", "garments")
    run("add", tmp_path / "three", "--name", "garments")
    assert "champion: version none -> 1" in run("promote", 1, "--to", "champion", "--why", "first")
    assert "worse" in run("promote", 3, "--to", "champion", "--why", "x", code=1)
    refused = json.loads(
        run("promote", 3, "--to", "champion", "--why", "x", "--json", tmp_path / "x", code=1)
        and (tmp_path / "x").read_text()
    )
    assert refused["promoted"] is False and refused["version"] == "3" and "apps" in refused["reasons"][0]
    assert "better" in run("promote", 2, "--to", "champion", "--why", "x", "--claim", "better")
    listed = run("list")
    assert "champion" in listed and "3 versions" in listed
    assert json.loads(run("search", "accuracy > 0.95", "--json", "-"))["versions"][0]["number"] == 2
    shown = run("show", "champion")
    assert "garments version 2 (champion): PASS" in shown and "against version 1, top1: gain +7" in shown
    assert "the best of 2 with at most" in " ".join(shown.split())
    assert "evaluation data: garments/1, garments/3" in run("lineage", 2)
    assert "server model: another" in run("diff", 1, 2, "--markdown", tmp_path / "diff.md")
    assert (tmp_path / "diff.md").read_text().startswith("## garments: version 1 -> 2 (PASS -> PASS)")
    assert "champion: version 2 -> 1" in run("rollback", "--why", "complaints")
    assert "unknown version of garments '9'" in run("show", 9, code=2)
    assert "no version has 'accuracies'; known: accuracy" in run("search", "accuracies > 1", code=2)


def test_every_command_tells_json(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "edgeship.model_registry.pages.page_server.find_spec", lambda name: None
    )  # all of MLflow may be here
    made_up.write_bundle(
        tmp_path / "one", made_up.truth_of(), made_up.answers_of(made_up.truth_of(), 0.9, 1), name="one"
    )
    run("add", tmp_path / "one", "--name", "garments")
    told = json.loads(run("get", 1, "--out", tmp_path / "got", "--json", "-"))
    assert told == {"schema": 1, "version": "1", "bundle": (tmp_path / "got").as_posix(), "verdict": "PASS"}
    told = json.loads(run("ui", "--out", tmp_path / "page", "--json", "-"))
    assert told == {"schema": 1, "address": None, "page": (tmp_path / "page/index.html").as_posix()}
    assert json.loads(run("promote", 1, "--to", "staging", "--why", "x", "--json", "-"))["promoted"] is True


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder here that takes nothing, not even of root's")
def test_a_page_where_nothing_can_be_written_is_refused_in_a_sentence(run, tmp_path):
    made_up.write_bundle(
        tmp_path / "one", made_up.truth_of(), made_up.answers_of(made_up.truth_of(), 0.9, 1), name="one"
    )
    run("add", tmp_path / "one", "--name", "garments")
    assert "/proc/x: Permission denied; nothing was changed" in run("ui", "--out", "/proc/x", code=2)


def test_listing_versions_reads_no_manifest(registry):
    code = (
        "import sys; from edgeship import api; api.list_versions(store=sys.argv[1]); "
        "print('edgeship.bundle.manifest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, registry], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_list_of_commands_imports_none_of_it():
    code = (
        "import sys; from click.testing import CliRunner; from edgeship.cli import cli; "
        "assert not CliRunner().invoke(cli, ['--help']).exit_code; "
        "assert not CliRunner().invoke(cli, ['registry', '--help']).exit_code; "
        "print([name for name in ('mlflow', 'sqlalchemy', 'alembic', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

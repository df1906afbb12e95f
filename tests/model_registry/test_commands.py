from __future__ import annotations

import json
import subprocess
import sys

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


def test_the_list_of_commands_imports_none_of_it():
    code = (
        "import sys; from click.testing import CliRunner; from edgeship.cli import cli; "
        "assert not CliRunner().invoke(cli, ['--help']).exit_code; "
        "assert not CliRunner().invoke(cli, ['registry', '--help']).exit_code; "
        "print([name for name in ('mlflow', 'sqlalchemy', 'alembic', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

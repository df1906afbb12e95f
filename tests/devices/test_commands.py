"""`edgeship devices`."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from edgeship.cli import cli
from edgeship.devices import profiles
from edgeship.errors import InputError, MissingDependencyError


def run(*arguments):
    return CliRunner().invoke(cli, ["devices", *arguments])


def test_the_table_names_every_device_and_what_its_figures_are():
    done = run()
    assert done.exit_code == 0, done.output
    for name in profiles.profile_names():
        assert name in done.output
    assert "emulated" in done.output


def test_the_list_as_json():
    listed = json.loads(run("--json", "-").output)
    assert listed["schema"] == 1
    rows = {row["name"]: row for row in listed["devices"]}
    assert set(rows) == set(profiles.profile_names())
    assert rows["host"]["available"] is True
    board = rows["cortex-a72"]
    assert board["kind"] == "emulated"
    assert board["available"] is False
    assert board["install"] == "install it with: edgeship devices install cortex-a72"
    assert board["runtimes"]["litert"] == "2.3.0"


def test_installing_an_unknown_device_lists_the_known_before_anything_is_installed():
    done = run("install", "host-9t")
    assert isinstance(done.exception, InputError)
    assert "known: " in str(done.exception)


def test_this_machine_need_not_be_installed():
    assert "host is installed" in run("install", "host").output


def test_the_doctor_passes_this_machine_and_wants_others_installed():
    done = run("doctor", "host")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("ok   host litert: ")
    done = run("doctor", "cortex-a72")
    assert isinstance(done.exception, MissingDependencyError)
    assert "edgeship devices install cortex-a72" in str(done.exception)


@pytest.mark.parametrize(
    "arguments", [["devices", "--help"], ["devices", "install", "--help"], ["devices", "doctor", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['edgeship', *{arguments}]\n"
        "from edgeship.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print({'numpy', 'rich', 'edgeship.runtimes'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"

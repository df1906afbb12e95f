"""The Python API: light, silent unless asked, and all that the command line calls."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import edgeship
from edgeship import api
from edgeship.bundle.manifest import Manifest
from edgeship.cli import COMMANDS, cli
from edgeship.data import load
from edgeship.notices import are_visible, set_visibility
from edgeship.pipeline import ship
from edgeship.processes.executors import ProcessExecutor
from edgeship.runtimes.launchers import selfcheck

ROOT = Path(__file__).parents[1]
HEAVY = ("numpy", "msgspec", "tensorflow", "keras", "rich", "matplotlib", "edgeship.pipeline", "edgeship.settings")
# Commands that hand their options to a function as they are, and what of them is about printing alone.
FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "train": (api.train_model, api.train_on_data),
    "optimize": (api.optimize_model,),
    "convert": (api.convert_model,),
    "ship": (api.ship_model,),
    "benchmark": (api.benchmark_bundle, api.benchmark_files),
    "debug": (api.debug_bundle, api.profile_bundle),
}
PATHS = {
    "benchmark": {"bundle", "files", "figures"}
}  # `paths` are one or the other; files of `gate` have fewer figures
SHOWN = {"wide", "json_file", "allow_worse"}
RECIPES = {"student", "prune_layers", "prune_pattern", "prune_schedule"}  # become tables of the recipes


def run_python(code: str, *, cwd: Path | None = None, isolated: bool = False) -> str:
    command = [sys.executable, *(["-S"] if isolated else []), "-c", code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_nothing_heavy_is_imported_before_a_function_is_called():
    code = "import sys, edgeship; edgeship.ship_model; edgeship.InputError; print(*sys.modules)"
    assert not set(run_python(code).split()) & {*HEAVY}


def test_the_list_of_commands_reads_no_command():
    code = "import sys; sys.argv = ['edgeship', '--help']; import atexit, edgeship.cli\n"
    code += "atexit.register(lambda: print('modules:', *sys.modules)); edgeship.cli.main()"
    text, _, modules = run_python(code).partition("modules:")
    assert "ship" in text
    loaded = set(modules.split())
    assert not loaded & {
        *HEAVY,
        "edgeship.api",
        *(f"edgeship.cli.{room}.{name}" for name, (room, _) in COMMANDS.items()),
    }


def test_the_package_alone_imports(tmp_path):
    """Devices get its first file without the others, and no installed packages."""
    (tmp_path / "edgeship").mkdir()
    shutil.copy(edgeship.__file__, tmp_path / "edgeship")
    code = "import edgeship, sys; print(edgeship.__version__, *(n for n in sys.modules if n.startswith('edgeship')))"
    assert run_python(code, cwd=tmp_path, isolated=True).split() == [edgeship.__version__, "edgeship"]


def test_all_names_are_there():
    for module in (edgeship, api):
        assert {name for name in module.__all__ if getattr(module, name) is None} == set()
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = module.no_such_name
    assert {*edgeship.__all__} <= {*api.__all__, "__version__"}
    assert {*edgeship.__all__} <= {*dir(edgeship)}


def test_type_checkers_and_python_find_the_same_names_in_the_same_modules():
    source = ast.parse(Path(api.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in source.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {name.name: node.module for node in imports for name in node.names} == api.MODULES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_command_hands_over_what_its_function_takes(name):
    command = cli.get_command(click.Context(cli), name)
    assert command
    options = {parameter.name for parameter in command.params} - ({"profile"} if name == "debug" else set())
    taken = {key for function in FUNCTIONS[name] for key in inspect.signature(function).parameters} - {"progress"}
    assert options - SHOWN - RECIPES - {"paths"} == taken - PATHS.get(name, set())


def test_the_contract_of_the_command_line_names_every_room():
    """But those that it calls or shows results by; import-linter knows no "all others"."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (contract,) = [item for item in contracts if item.get("source_modules") == ["edgeship.cli"]]
    package = ROOT / "src" / "edgeship"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    used = {"api", "cli", "errors", "notices", "terminal", "types", "untrusted", "__init__"}
    measured = {f"benchmarks.{path.parent.name}" for path in package.glob("benchmarks/*/__init__.py")}
    forbidden = {name.removeprefix("edgeship.") for name in contract["forbidden_modules"]}
    assert forbidden == (rooms - used - {"benchmarks"}) | (measured - {"benchmarks.report"})


class Recorded:
    """Stands for the pipeline: keeps what it was called with, and what lay in files meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
        self.calls: list[Any] = []
        monkeypatch.setattr(ship, "convert_model", self.convert)

    def convert(self, model: Path, out: Path, settings: Any, formats: tuple[str, ...]) -> Manifest:
        source = settings.data.calibration
        self.calls.append((model, model.read_text(), load(Path(source)) if source else None, settings, formats))
        return Manifest({}, (), ())


@pytest.fixture
def recorded(monkeypatch, tmp_path) -> Recorded:
    return Recorded(monkeypatch, tmp_path)


def test_nothing_is_printed_unless_asked(recorded, tmp_path, capsys):
    model = tmp_path / "model.keras"
    model.write_text("a model")
    np.savez(tmp_path / "calibration.npz", x=np.zeros((2, 3), np.float32))
    bundle = edgeship.convert_model(model, tmp_path / "bundle")
    assert bundle.root == tmp_path / "bundle"
    assert capsys.readouterr() == ("", "")
    edgeship.convert_model(model, tmp_path / "bundle", progress=True)
    printed = capsys.readouterr()
    assert "using calibration.npz beside" in printed.err
    assert not printed.out


def test_nothing_is_said_in_threads_either():
    executor = ProcessExecutor("test")
    try:
        with set_visibility(False):
            assert not executor.submit(are_visible).result()
        assert executor.submit(are_visible).result()
    finally:
        executor.close(after_failure=False)


class MemoryModel:
    def save(self, filepath: str) -> None:
        Path(filepath).write_text("saved")


def test_models_and_arrays_in_memory_lie_in_files_as_long_as_the_call(recorded, tmp_path):
    images = np.arange(12, dtype=np.float32).reshape(4, 3)
    edgeship.convert_model(
        MemoryModel(), tmp_path / "bundle", formats=["tflite"], calibration={"x": images[:, ::-1]}, variants=["int8"]
    )
    ((model, text, arrays, settings, formats),) = recorded.calls
    assert (text, model.suffix, formats) == ("saved", ".keras", ("tflite",))
    assert np.array_equal(arrays["x"], images[:, ::-1])
    assert [variant.name for variant in settings.variants] == ["int8"]
    assert not model.exists()
    assert not Path(settings.data.calibration).exists()


def test_what_is_wrong_is_raised(tmp_path):
    with pytest.raises(edgeship.InputError, match="not a bundle"):
        edgeship.open_bundle(tmp_path)
    with pytest.raises(edgeship.InputError, match="unknown format 'tflit'"):
        edgeship.convert_model(tmp_path / "model.keras", tmp_path / "bundle", formats=["tflit"])
    with pytest.raises(edgeship.InputError, match=r"formats = 'tflite' must be a list, as \['tflite'\]"):
        edgeship.ship_model(tmp_path / "model.keras", tmp_path / "bundle", formats="tflite")
    with pytest.raises(edgeship.InputError, match="unknown runtime 'litter'"):
        edgeship.open_session(tmp_path / "model.tflite", "litter")
    assert issubclass(edgeship.CheckError, edgeship.EdgeshipError)


def test_a_session_runs_a_file_on_the_usual_runtime(tmp_path):
    known = load(selfcheck.FILE)
    path = tmp_path / "known.tflite"
    path.write_bytes(known["tflite_model"].tobytes())
    with edgeship.open_session(path) as session:
        outputs = session.run({session.inputs[0].name: np.zeros(known["tflite_inputs"].shape, np.float32)})
    assert session.runtime == "litert"
    assert {len(array) for array in outputs.values()} == {len(known["tflite_inputs"])}
    assert edgeship.inspect_model(path).keys() == {"known.tflite"}


README = (ROOT / "README.md").read_text(encoding="utf-8")


CALLS = re.findall(r"\| `edgeship\.(\w+\(.*?\))` \|", README)


def test_the_readme_has_a_call_for_each_command_of_the_table():
    """Else the test below would have no case, and be skipped."""
    functions = {function.__name__ for several in FUNCTIONS.values() for function in several[:1]}
    assert {call.partition("(")[0] for call in CALLS} >= functions


@pytest.mark.parametrize("call", CALLS)
def test_calls_of_the_readme_fit(call):
    name, _, arguments = call.removesuffix(")").partition("(")
    eval(f"signature.bind({arguments})", {"signature": inspect.signature(getattr(edgeship, name))})


def test_the_python_of_the_readme_runs(tmp_path):
    """A model is trained, shipped, judged and run as in a notebook."""
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    env = {"EDGESHIP_CACHE": str(tmp_path / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdict, *figures = done.stdout.splitlines()
    assert verdict in ("PASS", "FAIL", "INCONCLUSIVE")
    assert [line.split()[:2] for line in figures[:2]] == [["tflite/float32", "litert"], ["tflite/int8", "litert"]]
    assert all(float(line.split()[2]) > 0.8 for line in figures[:2])
    assert "array(" in figures[2]
    assert "done tflite: quantize to int8" in done.stderr
    assert json.loads((tmp_path / "bundle" / "manifest.json").read_text())["gate"]["verdict"] == verdict

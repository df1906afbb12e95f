"""Modules that lie beside a stranger's model are never imported, and no child is given the user's secrets.

Each hostile module writes its name into a canary file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import edgeship
from edgeship.devices.profiles import Device
from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.processes.child import Child, FunctionProcess
from edgeship.runtimes import registry
from edgeship.runtimes.browser import requirements as browser_requirements
from edgeship.runtimes.launchers.local import LocalLauncher
from edgeship.runtimes.session import open_session
from edgeship.storage import atomic
from edgeship.types import Kind

EDGESHIP = str(Path(sys.executable).with_name("edgeship"))
MODULES = (
    *("tensorflow", "numpy", "keras", "tf_keras", "json", "sitecustomize", "usercustomize", "onnx", "onnxruntime"),
    *("ai_edge_litert", "h5py", "tf2onnx", "tensorflowjs", "jax", "tensorflow_decision_forests", "click", "resource"),
    *("tensorflow_hub", "tensorflow_model_optimization", "litert_quantizer", "mlperf_loadgen", "scipy", "rich", "venv"),
    *("google", "absl", "wrapt", "brotli", "matplotlib", "subprocess", "tempfile", "runpy", "typing", "pandas", "cupy"),
)
PACKAGES = ("edgeship", "pip", "uv", "edgeship_custom")
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "GITHUB_TOKEN": "hunter2",
    "TF_VAR_password": "hunter2",
    "EDGESHIP_API_KEY": "hunter2",
    "HTTPS_PROXY": "http://user:hunter2@proxy:1",
    "SSH_AUTH_SOCK": "/tmp/hunter2",
    "PIP_INDEX_URL": "https://user:hunter2@index/simple",
}


@cache
def every_module() -> frozenset[str]:
    """The names of all modules that a command could import: Python's own and whatever is installed."""
    names = {*MODULES, *sys.stdlib_module_names, *metadata.packages_distributions()} - set(PACKAGES)
    return frozenset(name for name in names if name.isidentifier() and name != "__main__")


class Hostile:
    """A folder that somebody else filled."""

    def __init__(self, folder: Path, canary: Path, modules: Iterable[str]) -> None:
        self.folder, self.canary = folder, canary
        folder.mkdir(parents=True, exist_ok=True)
        code = f"with open({str(canary)!r}, 'a') as stream: stream.write(__name__ + '\\n')\n"
        for name in modules:
            (folder / f"{name}.py").write_text(code)
        for name in PACKAGES:
            (folder / name).mkdir()
            for file in ("__init__", "__main__", "process", "wire"):
                (folder / name / f"{file}.py").write_text(code)

    @property
    def ran(self) -> str:
        """What was executed."""
        return self.canary.read_text() if self.canary.exists() else ""


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path / "downloads", tmp_path / "canary", every_module())


def test_no_command_executes_what_lies_beside_the_model(hostile: Hostile, tiny_models: Path, tmp_path: Path) -> None:
    (hostile.folder / "cnn.keras").write_bytes((tiny_models / "cnn.keras").read_bytes())
    random = np.random.default_rng(0)
    data: dict[str, Any] = {"image": random.random((64, 8, 8, 1), np.float32), "y": random.integers(0, 5, 64)}
    for name in ("train", "calibration", "evaluation"):
        np.savez(hostile.folder / f"{name}.npz", **data)
    (hostile.folder / "matplotlibrc").write_text("text.usetex: True\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**os.environ, "EDGESHIP_CACHE": str(tmp_path / "cache"), "TMPDIR": str(temporary)}
    ship = "ship cnn.keras --out bundle --to tflite,onnx,tfjs --variant float32 --profile rapid"
    commands = ("init cnn.keras", "optimize cnn.keras --out small.keras --prune 0.5 --epochs 1", ship, "verify bundle")
    for command in commands:
        done = subprocess.run(
            [EDGESHIP, *command.split()], cwd=hostile.folder, env=env, capture_output=True, text=True, check=False
        )
        assert not hostile.ran, f"{command} executed {hostile.ran.split()}"
        # A model that is not trained may fail the gate; whatever else goes wrong is no traceback.
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    assert (hostile.folder / "bundle" / "report" / "index.html").exists()
    assert not list(temporary.iterdir()), "temporary files stay behind"


def test_drawing_reads_no_settings_of_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff: matplotlib ends over this\n")
    code = "from edgeship.benchmarks.report import html_report\nfrom edgeship.bundle.manifest import Manifest\n"
    code += "print(html_report.draw_plots(Manifest({}, (), ())))"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_module_on_the_command_line_takes_nothing_from_the_folder_either(tmp_path: Path, tiny_models: Path) -> None:
    hostile = Hostile(tmp_path / "downloads", tmp_path / "canary", MODULES)
    # What runpy needs before edgeship's own code runs cannot be kept out, only `python -P -m` or the command does that.
    for name in ("edgeship", "runpy", "typing"):
        for path in hostile.folder.glob(f"{name}*"):
            path.rename(path.with_name(f"renamed_{path.name}"))
    command = [sys.executable, "-m", "edgeship.cli", "inspect", str(tiny_models / "cnn.tflite")]
    done = subprocess.run(command, cwd=hostile.folder, capture_output=True, text=True, check=False)
    assert not hostile.ran
    assert done.returncode == 0, done.stderr


def test_an_installer_for_devices_runs_nothing_from_the_folder(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeship.runtimes import interpreters

    monkeypatch.chdir(hostile.folder)
    monkeypatch.setattr(interpreters, "find_program", lambda *_, **__: None)
    with contextlib.suppress(MissingDependencyError):  # neither pip nor uv is here
        interpreters.pip_command("--version")
    assert not hostile.ran


def test_programs_are_never_found_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeship.processes.environment import find_program

    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there, here / "bin"):
        folder.mkdir()
        for name in ("tool", "tool.EXE"):
            (folder / name).write_text("")
            (folder / name).chmod(0o755)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin", str(there)]))
    assert Path(find_program("tool") or "").parent == there
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setenv("PATHEXT", ".COM:.EXE")
    assert find_program("tool") == os.path.join(there, "tool.EXE")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin"]))
    assert find_program("tool") is None


def test_nobody_looks_for_programs_in_another_way() -> None:
    searching = set()
    for folder, below, names in os.walk(Path(edgeship.__file__).parent, followlinks=True):
        below[:] = [name for name in below if name != "node_modules"]
        sources = [Path(folder, name) for name in names if name.endswith(".py")]
        searching |= {path.name for path in sources if "shutil.which" in path.read_text()}
    # What the user names by a path is what they named.
    assert searching == {"environment.py", "requirements.py"}


def test_the_installer_of_the_tfjs_converter_runs_nothing_from_the_folder(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgeship.convert.tfjs import shim

    monkeypatch.chdir(hostile.folder)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)  # as where pip is installed
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "requirements.txt").write_text("no-such-package-of-edgeship==1.0\n")
    with pytest.raises(MissingDependencyError, match="installing it failed"):
        shim._run_installer(tmp_path / "requirements.txt", tmp_path / "target")
    assert not hostile.ran


def test_looking_for_another_python_runs_nothing_from_the_folder(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgeship.runtimes import interpreters

    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3.11").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.chdir(hostile.folder)
    with contextlib.suppress(MissingDependencyError):  # this Python is another one
        interpreters.find_python311("it is needed")
    assert not hostile.ran


@pytest.mark.skipif(sys.platform != "linux", reason="limits need Linux")
def test_a_limited_worker_runs_nothing_from_the_folder(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, tiny_models: Path
) -> None:
    monkeypatch.chdir(hostile.folder)
    device = Device("small", "", Kind.MEASURED, ("litert",), launch={"how": "direct", "memory": "4 GB", "cores": "1"})
    with open_session("litert", tiny_models / "cnn.tflite", launch=LocalLauncher(device).launch("litert")) as session:
        session.run({"image": np.zeros((1, 8, 8, 1), np.float32)})
    assert not hostile.ran


def test_a_file_in_the_folder_does_not_change_how_latency_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loadgen = pytest.importorskip("edgeship.runtimes.worker.loadgen")
    (tmp_path / "audit.config").write_text("*.SingleStream.mode = 2\n*.SingleStream.max_query_count = 1\n")
    monkeypatch.chdir(tmp_path)
    _, samples = loadgen.single_stream(lambda: None, 0.0, 64, fastest_ms=1.0)
    assert len(samples) >= 64


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_bytes().replace(b"\0", b"\n").decode()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.usefixtures("secrets")
class TestSecrets:
    def test_tensorflow_has_none(self) -> None:
        with FunctionProcess("test") as process:
            assert not [name for name in SECRETS if process.call("os:getenv", key=name)]
            assert process.call("os:getenv", key="OMP_NUM_THREADS") == "1"

    @pytest.mark.skipif(sys.platform != "linux", reason="the environment of another process is read from /proc")
    @pytest.mark.parametrize(
        ("runtime", "model"), [("litert", "cnn.tflite"), ("tfjs-node", "cnn-tfjs"), ("tfjs-web", "cnn-tfjs")]
    )
    def test_no_worker_has_any(
        self, runtime: str, model: str, tiny_models: Path, missing: Callable[[str], NoReturn]
    ) -> None:
        if reason := registry.find(runtime).unavailable_reason():
            missing(reason)
        with open_session(runtime, tiny_models / model) as session:
            environments = [environment(pid) for pid in (session.pid, *below(session.pid))]
            command_lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in below(session.pid)]
        assert all("PATH=" in item for item in environments[:1])
        assert not [item for item in environments if "hunter2" in item]
        # Chromium is driven by a pipe: on a port, others could drive it, too.
        assert not [line for line in command_lines if "--remote-debugging-port" in line]
        assert runtime != "tfjs-web" or any("--remote-debugging-pipe" in line for line in command_lines)

    def test_the_browser_says_its_version_without(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "chromium"
        program.write_text('#!/bin/sh\necho "Chromium 1.2.3 $AWS_SECRET_ACCESS_KEY"\nenv > "$0.env"\n')
        program.chmod(0o755)
        monkeypatch.setenv("EDGESHIP_CHROMIUM", str(program))
        browser_requirements.browser_version.cache_clear()
        try:
            assert browser_requirements.browser_version() == "1.2.3"
        finally:
            browser_requirements.browser_version.cache_clear()
        assert "hunter2" not in Path(f"{program}.env").read_text()

    def test_what_the_user_names_is_passed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_LAYERS_TABLE", "table")
        monkeypatch.setenv("EDGESHIP_CHILD_ENV", "my_layers_*")
        with FunctionProcess("test") as process:
            assert process.call("os:getenv", key="MY_LAYERS_TABLE") == "table"


def below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from below(child)


def test_an_empty_entry_of_a_search_path_is_not_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", ":/opt/lib::.")
    monkeypatch.setenv("PYTHONPATH", f":{tmp_path / 'mine'}:theirs")
    with FunctionProcess("test") as process:
        assert process.call("os:getenv", key="LD_LIBRARY_PATH") == "/opt/lib"
        assert process.call("os:getenv", key="PYTHONPATH") == f"{tmp_path / 'mine'}:{tmp_path / 'theirs'}"


def test_a_child_has_a_temporary_folder_of_its_own_that_goes_with_it() -> None:
    with FunctionProcess("test") as process:
        place = Path(process.call("tempfile:gettempdir"))
        assert place.stat().st_mode & 0o777 == 0o700
        assert process.call("tempfile:mkdtemp", prefix="left-behind-").startswith(str(place))
    assert not place.exists()


def test_a_link_of_a_name_that_could_be_foreseen_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / f".model.{os.getpid()}.onnx").symlink_to(tmp_path / "victim")
    with atomic.atomic_file(tmp_path / "model.onnx") as beside:
        beside.write_text("new")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "model.onnx").read_text() == "new"
    assert (tmp_path / "model.onnx").stat().st_mode == (tmp_path / "victim").stat().st_mode


@pytest.mark.parametrize(
    "answer",
    [
        {"arrays": [{"name": "x", "dtype": "<f4", "shape": [1 << 40]}]},
        {"arrays": [{"name": "x", "dtype": "<f4", "shape": [1 << 20, 1 << 20, 1 << 30]}]},
        {"arrays": [{"name": "x", "dtype": "<f4", "shape": [-4, 4]}]},
        {"arrays": [{"name": "x", "dtype": "|O", "shape": [1]}]},
        {"arrays": [{"name": "x", "dtype": "nonsense", "shape": [1]}]},
        {"arrays": [[]]},
        {},
        [],
        "[" * 100_000,
    ],
)
def test_a_child_that_answers_nonsense_is_stopped(answer: object, tmp_path: Path) -> None:
    place = tmp_path / "answer"
    place.write_text(answer if isinstance(answer, str) else json.dumps(answer))
    code = f"import sys; sys.stdin.readline(); print(open({str(place)!r}).read(), flush=True); sys.stdin.read()"
    with (
        Child([sys.executable, "-c", code]) as child,
        pytest.raises(ProcessError, match="was stopped"),
    ):
        child.request({"do": "run"}, timeout=60)
    child.log.unlink(missing_ok=True)


class TestHonestModules:
    """What the user names in the working folder is found there, and nothing stays on the path."""

    def test_a_package_with_modules_beside_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgeship.server_model.keras import load_custom_objects

        (tmp_path / "local_layers").mkdir()
        (tmp_path / "local_layers" / "__init__.py").write_text("")
        (tmp_path / "local_layers" / "attention.py").write_text(
            "import honest_constants\nfrom .inner import Inner\nclass Attention: size = honest_constants.SIZE\n"
        )
        (tmp_path / "local_layers" / "inner.py").write_text("class Inner: pass\n")
        (tmp_path / "honest_constants.py").write_text("SIZE = 3\n")
        monkeypatch.chdir(tmp_path)
        before = list(sys.path)
        objects = load_custom_objects("local_layers.attention,local_layers/inner.py")
        assert objects["Attention"].size == 3 and "Inner" in objects
        assert sys.path == before

    def test_an_installed_module_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgeship.server_model.keras import load_custom_objects

        for place in ("installed", "folder"):
            (tmp_path / place).mkdir()
            (tmp_path / place / "honest_installed.py").write_text(f"class Layer: place = {place!r}\n")
        monkeypatch.syspath_prepend(tmp_path / "installed")
        monkeypatch.chdir(tmp_path / "folder")
        assert load_custom_objects("honest_installed")["Layer"].place == "installed"

    def test_a_name_of_pythons_own_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgeship.data import RepresentativeDataset
        from edgeship.server_model.keras import load_custom_objects

        (tmp_path / "types.py").write_text("")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match=r"types\.py has the name of a module of Python's own"):
            load_custom_objects("types")
        with pytest.raises(InputError, match=r"types\.py has the name of a module of Python's own"):
            RepresentativeDataset("types:batches")

    def test_a_data_source_may_import_while_it_yields(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgeship.data import RepresentativeDataset

        (tmp_path / "honest_source.py").write_text(
            "import numpy as np\ndef batches():\n  from honest_values import N\n  yield {'x': np.zeros((N, 2), 'float32')}\n"
        )
        (tmp_path / "honest_values.py").write_text("N = 4\n")
        monkeypatch.chdir(tmp_path)
        before = list(sys.path)
        assert len(RepresentativeDataset("honest_source:batches")) == 4
        assert sys.path == before

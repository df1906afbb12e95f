"""Ways of starting workers: whole or not at all, with the command that helps, and within their limits."""

import compileall
import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from edgeship.devices.profiles import Device, find_device
from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import debian, find_launcher, qemu, selfcheck, vela
from edgeship.runtimes.launchers import venv as environments
from edgeship.runtimes.launchers.launcher import devices_home
from edgeship.runtimes.launchers.local import LocalLauncher
from edgeship.runtimes.session import open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.types import Kind


def limited(**launch) -> LocalLauncher:
    return LocalLauncher(
        Device("small", "a small machine", Kind.MEASURED, ("litert",), launch={"how": "direct", **launch})
    )


def test_what_is_not_installed_names_the_command(old):
    place = find_launcher(old("field-litert-0"))
    with pytest.raises(
        MissingDependencyError, match=r"field-litert-0 is not available: it is not installed; install it"
    ):
        place.launch("litert")
    assert place.hint == "install it with: edgeship devices install field-litert-0"


def test_requirements_must_be_pinned(old):
    device = Device("loose", "", Kind.MEASURED, launch={"how": "environment", "requirements": ["numpy>=1"]})
    with pytest.raises(InputError, match=r"loose: requirement 'numpy>=1' must be pinned, as numpy==1.26.4"):
        find_launcher(device).install()


def test_a_failed_installation_leaves_nothing_behind(old, monkeypatch):
    monkeypatch.setattr(environments, "find_python311", lambda _: sys.executable)
    monkeypatch.setattr(
        environments, "pip_command", lambda *_, **__: [sys.executable, "-c", "raise SystemExit('error: no network')"]
    )
    with pytest.raises(
        ProcessError, match=r"installing ai-edge-litert==2.3.0.* failed; nothing was installed.*no network"
    ):
        find_launcher(old()).install()
    assert [path.suffix for path in devices_home().iterdir()] == [".lock"]
    assert find_launcher(old()).unavailable_reason() == "it is not installed"


def test_a_python_without_wheels_is_told(old, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"wheels for Python 3.11, and no python3.11 is on the path"):
        find_launcher(old()).install()


def test_an_environment_whose_python_went_away_is_made_again(environment, monkeypatch):
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python3.11")
    assert "the interpreter that it was made with is gone" in (environment.unavailable_reason() or "")
    monkeypatch.setattr(environments, "find_python311", lambda _: sys.executable)
    monkeypatch.setattr(environments, "pip_command", lambda *_, **__: [sys.executable, "-c", "pass"])
    environment.install()
    assert environment.unavailable_reason() is None


def test_workers_run_in_the_environment(environment, subject, known):
    with open_session("litert", subject.artifact.path, launch=environment.launch("litert")) as session:
        name = session.inputs[0].name
        found = session.evaluate_stored(iter([{name: known["tflite_inputs"]}]), 16, raw=True)
    assert np.array_equal(next(iter(found.values())), known["tflite_outputs"])


def test_a_pool_keeps_a_worker_for_the_next_model_and_drops_a_failed_one(environment, subject):
    launch = environment.launch("litert")
    with Pool() as pool:
        with open_session("litert", subject.artifact.path, launch=launch, pool=pool) as session:
            first = session.pid
        with open_session("litert", subject.artifact.path, launch=launch, pool=pool) as session:
            assert session.pid == first
            with pytest.raises(InputError):
                session.run({})
        with (
            pytest.raises(InputError),
            open_session("litert", subject.artifact.path, launch=launch, pool=pool) as session,
        ):
            session.run({})
        with open_session("litert", subject.artifact.path, launch=launch, pool=pool) as session:
            assert session.pid != first
        last = session.pid
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="limits need Linux")
def test_limits_hold_in_the_worker():
    launch = limited(memory="64 MB", cores="1").launch("litert")
    tell = "import os, resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0], len(os.sched_getaffinity(0)))"
    command = [*launch.command[: launch.command.index(sys.executable, 1)], sys.executable, "-c", tell]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["64000000", "1"]


@pytest.mark.parametrize(("key", "text"), [("memory", "little"), ("memory", "512"), ("cores", "-1"), ("cores", "all")])
def test_limits_that_are_no_amounts_are_refused(key, text):
    with pytest.raises(InputError, match=rf"device small: {key} = '{text}' must be"):
        limited(**{key: text}).launch("litert")


def test_emulated_boards_say_what_system_they_need(monkeypatch):
    monkeypatch.setattr(debian, "find_program", lambda name: None if name == "apt-get" else name)
    assert "apt-get is not here: emulated boards are made of Debian 12 packages" in debian.packages_problem()
    monkeypatch.setattr(debian, "find_program", lambda name: name)
    monkeypatch.setattr(
        platform, "freedesktop_os_release", lambda: {"PRETTY_NAME": "Fedora 40", "VERSION_CODENAME": ""}
    )
    assert "this is Fedora 40" in debian.packages_problem()
    with pytest.raises(MissingDependencyError, match="this is Fedora 40"):
        debian.Packages("arm64")


def test_a_core_tells_the_guest_what_it_is(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    text = qemu.QemuLauncher(find_device("cortex-a76"))._cpuinfo_text()
    assert text.count("processor\t: ") == 2
    assert "CPU part\t: 0xd0b" in text
    assert "asimddp" in text
    assert "asimddp" not in qemu.QemuLauncher(find_device("cortex-a53"))._cpuinfo_text()


def test_compiling_is_silent_and_leaves_the_output_of_other_threads_alone(tmp_path, monkeypatch, capfd):
    (tmp_path / "module.py").write_text("x = 1\n")
    before, outputs = sys.stdout, []
    real = compileall.compile_dir

    def compile_dir(*arguments, **options):
        outputs.append(sys.stdout)
        return real(*arguments, **options)

    monkeypatch.setattr(qemu, "find_python311", lambda _: sys.executable)
    monkeypatch.setattr(compileall, "compile_dir", compile_dir)
    qemu._compile_folder(tmp_path)
    assert outputs == [before]
    assert list((tmp_path / "__pycache__").iterdir())
    assert capfd.readouterr().out == ""


def test_an_old_board_is_of_another_architecture():
    board = qemu.QemuLauncher(find_device("armv7-a7"))
    assert board.machine.qemu == "qemu-arm"
    assert "CPU architecture: 7" in board._cpuinfo_text()
    assert board.tree != qemu.QemuLauncher(find_device("cortex-a53")).tree
    assert "python3-numpy" in board.packages
    odd = Device("odd", "", Kind.EMULATED, launch={**find_device("armv7-a7").launch, "machine": "riscv64"})
    with pytest.raises(InputError, match=r"unknown machine 'riscv64' in device odd; known: aarch64, armv7l"):
        find_launcher(odd).unavailable_reason()


def test_a_mirror_that_is_being_synchronized_will_do_if_it_has_what_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "packages_problem", lambda: "")
    commands = []

    def mirror(missing):
        def act(command, what, **_):
            commands.append(command[1])
            if command[1] == "update":
                raise ProcessError(f"{what} failed: Mirror sync in progress?")
            if missing:
                raise ProcessError("E: Unable to locate package libc6:armhf")

        return act

    monkeypatch.setattr(debian, "run_command", mirror(missing=False))
    assert debian.Packages("armhf").unpack(["libc6:armhf"], tmp_path / "guest") == []
    assert commands == ["update"] * debian.TRIES + ["download"]
    monkeypatch.setattr(debian, "run_command", mirror(missing=True))
    with pytest.raises(ProcessError, match="Mirror sync in progress"):
        debian.Packages("armhf").unpack(["libc6:armhf"], tmp_path / "other")


def test_packages_without_a_network_leave_nothing(monkeypatch):
    monkeypatch.setattr(debian, "packages_problem", lambda: "")

    def fail(command, what, **_):
        raise ProcessError(f"{what} failed; nothing was installed. apt-get says: Could not resolve host")

    monkeypatch.setattr(debian, "run_command", fail)
    with pytest.raises(ProcessError, match="reading the package lists failed; nothing was installed"):
        find_launcher(find_device("cortex-a72")).install()
    assert not [path for path in devices_home().iterdir() if path.is_dir() and path.name != "apt-arm64"]


def test_what_vela_says_of_a_model_that_stays_on_the_cpu_is_json():
    names = ("dram_memory_used", "on_chip_flash_memory_used", "off_chip_flash_memory_used", "sram_memory_used")
    row = dict.fromkeys((*names, "cycles_total", "nn_macs"), "0.0") | {"core_clock": "5e8"}
    found = vela._summary_figures({**row, "inferences_per_second": "nan"})
    assert json.loads(json.dumps(found, allow_nan=False))["inferences_per_second"] is None
    assert vela._summary_figures({**row, "inferences_per_second": "12.5"})["inferences_per_second"] == 12.5


def test_the_doctor_finds_this_machine_right():
    finding = selfcheck.examine_runtime(limited(), "litert")
    assert finding.wrong == ""
    assert finding.largest is not None
    assert finding.largest <= selfcheck.STEPS


def test_the_doctor_finds_a_machine_that_computes_wrongly(monkeypatch, known):
    wrong = {**known, "tflite_outputs": np.roll(known["tflite_outputs"], 1, axis=-1)}
    monkeypatch.setattr(selfcheck, "load", lambda _: wrong)
    finding = selfcheck.examine_runtime(limited(), "litert")
    assert "it computes wrongly: off by up to" in finding.wrong
    assert finding.largest is not None
    assert finding.largest > selfcheck.STEPS


def test_the_doctor_tells_what_does_not_run(monkeypatch, known):
    monkeypatch.setattr(selfcheck, "load", lambda _: {**known, "tflite_model": np.zeros(64, np.uint8)})
    assert "it does not run: " in selfcheck.examine_runtime(limited(), "litert").wrong


def test_a_phone_without_adb_is_told_and_with_it_the_command_is_prepared(monkeypatch, tmp_path):
    place = find_launcher(find_device("android"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"android is not available: adb is not on the path; install adb"):
        place.install()
    adb = tmp_path / "adb"
    adb.write_text("#!/bin/sh\necho 'error: no devices/emulators found' >&2\nexit 1\n")
    adb.chmod(0o755)
    with pytest.raises(
        MissingDependencyError, match=r"no phone answers adb, which says: error: no devices/emulators found"
    ):
        place.install()
    adb.write_text("#!/bin/sh\necho device\n")
    with pytest.raises(
        MissingDependencyError, match=r"measure by hand.*adb push benchmark_model .*--graph=/data/local/tmp"
    ):
        place.install()
    with pytest.raises(MissingDependencyError, match="edgeship runs nothing on a phone"):
        place.launch("litert")


def test_runtimes_of_devices_are_known_but_not_this_machine_s():
    assert registry.find("tflite-micro").unavailable_reason() == "it belongs to a device (cortex-m)"
    assert "tflite-micro" not in registry.RUNTIMES
    assert next(runtime.name for runtime in registry.for_format("tflite")) == "litert"


def test_only_files_with_known_digests_are_installed(old, monkeypatch, tmp_path):
    requirements = tmp_path / "asked"
    note = (
        "import sys, shutil; assert '--require-hashes' in sys.argv; "
        f"shutil.copy(sys.argv[sys.argv.index('-r') + 1], {str(requirements)!r})"
    )
    monkeypatch.setattr(environments, "find_python311", lambda _: sys.executable)
    monkeypatch.setattr(environments, "pip_command", lambda *_, **__: [sys.executable, "-c", note, "and", "more"])
    find_launcher(find_device("field-tflite-2.14")).install()
    for line, name in zip(
        requirements.read_text().splitlines(), ("tflite-runtime==2.14.0", "numpy==1.26.4"), strict=True
    ):
        assert line.startswith(f"{name} --hash=sha256:")


def test_own_requirements_may_carry_digests_and_need_not(tmp_path):
    known, unknown = "numpy==1.26.4", "ai-edge-litert==1.1.2"
    digest = "--hash=sha256:" + "0" * 64
    assert environments.pip_arguments([known, unknown], tmp_path) == ["--", known, unknown]
    found = environments.pip_arguments([known, f"{unknown} {digest}"], tmp_path)
    assert found[0] == "--require-hashes"
    assert (tmp_path / "requirements.txt").read_text().endswith(f"{unknown} {digest}\n")
    assert environments.parse_pins([f"{unknown} {digest}"], "mine") == {"ai-edge-litert": "1.1.2"}
    with pytest.raises(InputError, match="must be pinned"):
        environments.parse_pins([f"--index-url=x==1 {digest}"], "mine")

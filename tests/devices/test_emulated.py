"""Real aarch64 wheels on emulated cores: needs Debian 12's mirror and a package index, as `make env` does."""

import pytest

from edgeship.benchmarks.measure import driver, instructions
from edgeship.devices.profiles import Device, find_device
from edgeship.errors import MissingDependencyError, ProcessError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import debian, find_launcher, selfcheck
from edgeship.runtimes.session import open_session
from edgeship.types import Kind
from tests.present import metric_value, present

pytestmark = pytest.mark.skipif(bool(debian.packages_problem()), reason="emulated boards need Debian 12")


@pytest.fixture(scope="module")
def installed(tmp_path_factory, missing):
    """The cache folder with the boards in it; what cannot be fetched from here is a skip that says so, not a pass."""
    folder = tmp_path_factory.mktemp("boards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGESHIP_CACHE", str(folder))
        try:
            for name in ("cortex-a76", "cortex-a53"):
                find_launcher(find_device(name)).install()
        except MissingDependencyError as error:
            missing(str(error))
        except ProcessError as error:
            if "failed; nothing was installed" in str(error):
                pytest.skip(str(error))
            raise
    return folder


@pytest.fixture
def board(installed, monkeypatch):
    monkeypatch.setenv("EDGESHIP_CACHE", str(installed))
    return lambda name: find_launcher(find_device(name))


def test_a_board_agrees_its_instructions_repeat_and_an_older_core_runs_other_kernels(board, bench, subject):
    place = board("cortex-a76")
    (item,) = driver.measure(bench, driver.Job(subject, (registry.find("litert"),), place.device))
    found = present(item.details.bit_exactness)
    assert present(found.max_steps) <= 1, "exact but where the last operator, a softmax, rounds"
    assert found.agreement == 1
    assert present(item.details.cell).kind == "emulated"
    new = present(item.details.instructions)
    assert metric_value(item, "instructions") == new.total
    sample = {name: array[:1] for name, array in next(bench.reference.batches()).items()}
    again = instructions.count_instructions(place, "litert", subject.artifact.path, sample)
    assert again.total == pytest.approx(new.total, rel=1e-4), "a few more where a busy machine interrupts the run"
    old = instructions.count_instructions(board("cortex-a53"), "litert", subject.artifact.path, sample)
    assert new.kernels == "8-bit dot product"
    assert old.kernels == "widening multiply (plain NEON)"
    assert old.classes["dot"] == 0
    assert old.total > 1.5 * new.total


def test_the_emulated_cpu_that_computes_wrongly_is_refused(board, bench, subject):
    launch = {**find_device("cortex-a76").launch, "cpu": "max"}
    device = Device(
        "max", "everything that QEMU can emulate", Kind.EMULATED, ("litert",), 1, ("quality",), launch=launch
    )
    finding = selfcheck.examine_runtime(find_launcher(device), "litert")
    assert "it computes wrongly: off by up to" in finding.wrong
    (item,) = driver.measure(bench, driver.Job(subject, (registry.find("litert"),), device))
    assert present(item.details.cell).state == "failed"
    assert present(item.details.cell).reason.startswith("refused, it computes wrongly")


def test_an_emulator_that_is_killed_is_told_and_a_core_that_it_does_not_have_too(board, subject):
    launch = {**find_device("cortex-a76").launch, "cpu": "cortex-a999"}
    odd = find_launcher(Device("odd", "", Kind.EMULATED, ("litert",), 1, ("quality",), launch=launch))
    assert "it does not run" in selfcheck.examine_runtime(odd, "litert").wrong
    with open_session("litert", subject.artifact.path, launch=board("cortex-a76").launch("litert")) as session:
        session._child.kill()
        with pytest.raises(ProcessError, match="killed by SIGKILL"):
            session.run(session.sample)

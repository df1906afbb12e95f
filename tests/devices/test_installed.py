"""Real installations: these download packages (Debian, PyPI), so they are marked slow."""

import pytest

from edgeship.benchmarks.measure import instructions
from edgeship.devices.profiles import find_device
from edgeship.errors import ProcessError
from edgeship.runtimes.launchers import debian, find_launcher, selfcheck, vela
from edgeship.runtimes.launchers.launcher import InstructionCounter

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["field-tflite-2.14", "field-ort-1.17", "cortex-m"])
def test_environments_are_installed_and_compute_rightly(name):
    place = find_launcher(find_device(name))
    place.install()
    assert place.unavailable_reason() is None
    assert selfcheck.examine_runtime(place, place.device.runtimes[0]).wrong == ""


def test_a_file_with_another_digest_is_not_installed(tmp_path):
    path = tmp_path / "mine.toml"
    wrong = "flatbuffers==25.12.19 --hash=sha256:" + "0" * 64
    path.write_text(f'kind = "measured"\n[launch]\nhow = "environment"\nrequirements = ["{wrong}"]\n')
    place = find_launcher(find_device(str(path)))
    with pytest.raises(
        ProcessError, match=r"installing flatbuffers==25\.12\.19 failed; nothing was installed.*(?i:hash)"
    ):
        place.install()
    assert place.unavailable_reason()


def test_vela_estimates_the_known_model(subject):
    place = find_launcher(find_device("ethos-u55-128"))
    assert isinstance(place, vela.VelaCompiler)
    place.install()
    found = place.estimate(subject.artifact.path)
    assert found.cpu_ops == 0
    assert found.npu_ops > 0
    assert found.cycles and found.cycles > 10_000
    broken = subject.artifact.path.with_name("broken.tflite")
    broken.write_bytes(b"nothing")
    with pytest.raises(ProcessError, match="compiling for ethos-u55-128 failed"):
        place.estimate(broken)


@pytest.mark.skipif(bool(debian.packages_problem()), reason="emulated boards need Debian 12")
def test_a_32_bit_board_computes_rightly_and_counts_repeat(subject):
    place = find_launcher(find_device("armv7-a7"))
    assert isinstance(place, InstructionCounter)
    place.install()
    assert selfcheck.examine_runtime(place, "tflite-runtime").wrong == ""
    counts = [instructions.count_instructions(place, "tflite-runtime", subject.artifact.path, {}) for _ in range(2)]
    assert counts[0].total == counts[1].total > 10_000
    assert counts[0].classes == {}

"""Real installations: these download packages (Debian, PyPI), so they are marked slow."""

import numpy as np
import pytest

from edgeship.benchmarks import instructions
from edgeship.devices import find
from edgeship.errors import ProcessError
from edgeship.runtimes.devices import doctor, packages, station
from edgeship.runtimes.session import open_session

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["field-tflite-2.14", "field-ort-1.17", "cortex-m"])
def test_environments_are_installed_and_compute_rightly(name):
    place = station(find(name))
    place.install()
    assert place.unavailable() == ""
    assert doctor.examine(place, place.device.runtimes[0]).wrong == ""


def test_a_file_with_another_digest_is_not_installed(tmp_path):
    path = tmp_path / "mine.toml"
    wrong = "flatbuffers==25.12.19 --hash=sha256:" + "0" * 64
    path.write_text(f'kind = "measured"\n[launch]\nhow = "environment"\nrequirements = ["{wrong}"]\n')
    place = station(find(str(path)))
    with pytest.raises(
        ProcessError, match=r"installing flatbuffers==25\.12\.19 failed; nothing was installed.*(?i:hash)"
    ):
        place.install()
    assert place.unavailable()


def test_vela_estimates_the_known_model(subject):
    place = station(find("ethos-u55-128"))
    place.install()
    found = place.estimate(subject.artifact.path)
    assert found["cpu_ops"] == 0
    assert found["npu_ops"] > 0
    assert found["cycles"] > 10_000
    broken = subject.artifact.path.with_name("broken.tflite")
    broken.write_bytes(b"nothing")
    with pytest.raises(ProcessError, match="compiling for ethos-u55-128 failed"):
        place.estimate(broken)


@pytest.mark.skipif(bool(packages.obstacle()), reason="emulated boards need Debian 12")
def test_an_emulated_board_computes_rightly_and_counts_repeat(subject, known):
    place = station(find("cortex-a76"))
    place.install()
    assert doctor.examine(place, "litert").wrong == ""
    with open_session("litert", subject.artifact.path, launch=place.launch("litert")) as session:
        name, scale = session.inputs[0].name, session.inputs[0].quantization
    window = (known["tflite_inputs"][:1].astype(np.float32) - scale.zero_point[0]) * np.float32(scale.scale[0])
    counts = [instructions.count(place, "litert", subject.artifact.path, {name: window}) for _ in range(2)]
    assert counts[0]["total"] == counts[1]["total"]
    assert counts[0]["kernels"] == "8-bit dot product"
    older = station(find("cortex-a53"))
    older.install()
    plain = instructions.count(older, "litert", subject.artifact.path, {name: window})
    assert plain["kernels"] == "widening multiply (plain NEON)"
    assert plain["total"] > 1.5 * counts[0]["total"]


@pytest.mark.skipif(bool(packages.obstacle()), reason="emulated boards need Debian 12")
def test_a_32_bit_board_computes_rightly_and_counts_repeat(subject):
    place = station(find("armv7-a7"))
    place.install()
    assert doctor.examine(place, "tflite-runtime").wrong == ""
    counts = [instructions.count(place, "tflite-runtime", subject.artifact.path, {}) for _ in range(2)]
    assert counts[0]["total"] == counts[1]["total"] > 10_000
    assert counts[0]["classes"] == {}

"""Device profiles: the built-in ones hold together, and what is wrong in a file is named."""

import pytest

from edgeship.devices import profiles
from edgeship.errors import InputError
from edgeship.runtimes import registry
from edgeship.runtimes.launchers import WAYS, find_launcher, venv
from edgeship.types import Kind

GOOD = 'kind = "measured"\n[launch]\nhow = "environment"\nrequirements = ["numpy==2.1.3"]\n'
QEMU = 'kind = "emulated"\nfigures = ["quality"]\n[launch]\nhow = "qemu"\ncpu = "cortex-a72"\nrequirements = ["numpy==2.1.3"]\n'


@pytest.mark.parametrize("name", profiles.profile_names())
def test_the_built_in_profiles_hold_together(name, tmp_path):
    device = profiles.find_device(name)
    assert device.title
    for runtime in device.runtimes:
        assert registry.find(runtime).formats
    if device.kind is not Kind.MEASURED:
        assert "speed" not in device.figures or device.kind is Kind.SIMULATED
    if device.how in WAYS:
        place = find_launcher(device)
        assert place.identity(device.runtimes[0] if device.runtimes else "litert")
        for item in device.launch.get("requirements", ()):
            assert venv.parse_pins([item], name)
            assert venv.pip_arguments([item], tmp_path)[0] == "--require-hashes", "run make lock"
    assert device.launch.get("cpu") != "max", "QEMU 7.2 computes int8 wrongly on it"


def test_the_profiles_that_the_documentation_promises():
    promised = {
        *("host", "host-1t", "host-512mb", "cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1", "armv7-a7"),
        *("cortex-m", "android", "rpi5-remote"),
        *("ethos-u55-128", "ethos-u65-256", "ethos-u85-256", "field-tflite-2.14", "field-litert-1.4", "field-ort-1.17"),
    }
    assert promised <= set(profiles.profile_names())
    assert sum(name.startswith("field-") for name in profiles.profile_names()) >= 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "measured"\nspeed = 3', r"unknown key 'speed' in .*known: figures, kind"),
        ('kind = "guessed"', r"unknown kind 'guessed'.*known: emulated, estimated, measured"),
        ('kind = "measured"\nfigures = ["warmth"]', r"unknown figure 'warmth'.*compiler, instructions"),
        ('kind = "emulated"\nfigures = ["speed"]', r"an emulated device has no speed: its wall time says nothing"),
        ('kind = "measured"\nthreads = 0', r"threads = 0 must be a whole number from 1 to 1024"),
        ('kind = "measured"\nthreads = true', r"threads = True must be"),
        ('kind = "measured"\nseconds = -1', r"seconds = -1 must be a number above 0"),
        ('kind = "measured"\nruntimes = "litert"', r"runtimes = 'litert' must be a list of strings"),
        ('kind = "measured"\n[launch]\nhow = "magic"', r"unknown way to start a worker \(how\) 'magic'.*qemu"),
        ('kind = "measured"\n[launch]\nhow = "qemu"\ncpu = "cortex-a72"', r'how = "qemu" needs the key requirements'),
        ('kind = "measured"\n[launch]\nhow = "direct"\ncpu = "x"', r"unknown key 'cpu'.*known: cores, how, memory"),
        ('kind = "measured"\n[launch]\nhow = "direct"\nmemory = 512', r"memory = 512 must be a string"),
        ('kind = "measured"\n[launch]\nhow = "ssh"\nhost = ["a"]', r"host = \['a'\] must be a string"),
        (QEMU + "packages = 3", r"packages = 3 must be a list of strings"),
        (QEMU + 'identity = "0xd03"', r"\[launch\.identity\]: expected a table"),
        (
            QEMU + "[launch.identity]\nspeed = 3",
            r"unknown key 'speed' in .*identity\]; known: features, part, revision",
        ),
        (QEMU + "[launch.identity]\npart = 3", r"part = 3 must be a string"),
        ("kind = [", r"not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        profiles.find_device(str(path))


def test_an_own_file_is_a_device_under_its_stem(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert profiles.find_device(str(path)).name == "mine"


def test_unknown_devices_list_the_known():
    with pytest.raises(InputError, match=r"unknown device 'cortex-a99'; known: .*cortex-a72.*host"):
        profiles.find_device("cortex-a99")
    with pytest.raises(InputError, match=r"nothing\.toml: no such file; .*cortex-a72"):
        profiles.find_device("nothing.toml")

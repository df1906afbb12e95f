"""No device profile installs, starts or reaches what its user did not name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeship.devices import profiles
from edgeship.errors import InputError
from tests.hostile.permissions.stranger import DATA

PROFILE = 'kind = "measured"\nruntimes = ["tfjs-web"]\n[launch]\nhow = "browser"\narguments = ["{}"]\n'


def test_a_device_profile_does_not_come_from_a_manifest(stranger):
    profile = stranger.folder / "evil.toml"
    profile.write_text('kind = "measured"\n[launch]\nhow = "direct"\n')
    bundle = stranger.bundle(data=DATA, benchmark={"devices": ["host", str(profile)]})
    stranger.refuses("benchmark", bundle, words=("[benchmark] devices", "cannot grant", f"--device host,{profile}"))


def test_a_manifest_names_no_file_as_a_built_in_device(stranger):
    (stranger.folder / "evil.toml").write_text(PROFILE.format("--renderer-cmd-prefix=touch canary"))
    name = os.path.relpath(stranger.folder / "evil", Path(profiles.__file__).parent / "here")
    bundle = stranger.bundle(data=DATA, benchmark={"devices": [name]})
    stranger.refuses("benchmark", bundle, words=("unknown device",))


@pytest.mark.parametrize("argument", ["--renderer-cmd-prefix={}", "--utility-cmd-prefix={}", "--gpu-launcher={}"])
def test_chromium_starts_no_programs_whoever_asks(stranger, argument):
    program = stranger.folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {stranger.canary}\n")
    program.chmod(0o755)
    (stranger.folder / "phone.toml").write_text(PROFILE.format(argument.format(program)))
    bundle = stranger.bundle(data=DATA)
    words = (argument.partition("=")[0], "not taken", "--use-angle")
    stranger.refuses("benchmark", bundle, "--device", "phone.toml", words=words)


@pytest.mark.parametrize(
    "number", ["seconds = inf", "seconds = nan", "seconds = 1e300", "threads = 9223372036854775807"]
)
def test_a_device_has_numbers_that_mean_something(tmp_path, number):
    from edgeship.devices import profiles as devices

    (tmp_path / "mine.toml").write_text(f'kind = "measured"\n{number}\n')
    with pytest.raises(InputError, match=f"mine.toml: {number.split()[0]} = .* must be"):
        devices.find_device(str(tmp_path / "mine.toml"))


def test_a_device_profile_is_not_read_from_a_pipe(stranger):
    os.mkfifo(stranger.folder / "pipe.toml")
    stranger.refuses("devices", "install", "pipe.toml", words=("pipe.toml", "a pipe, not a regular file"))


ENVIRONMENT = 'kind = "measured"\n[launch]\nhow = "environment"\nrequirements = [{}]\n'


BOARD = (
    'kind = "emulated"\nfigures = ["quality"]\n[launch]\nhow = "qemu"\ncpu = "cortex-a72"\n'
    'requirements = ["numpy==2.4.6"]\npackages = [{}]\n'
)


REACHED = 'kind = "measured"\n[launch]\nhow = "ssh"\nhost = "pi@board"\n{}\n'


def test_a_requirement_by_address_is_not_installed(stranger):
    (stranger.folder / "mine.toml").write_text(ENVIRONMENT.format('"evil @ file:///tmp/evil-1-py3-none-any.whl?a==1"'))
    stranger.refuses("devices", "install", "mine.toml", words=("requirements", "must be pinned, as numpy==1.26.4"))
    assert not list(stranger.folder.glob("cache/devices/environment-*"))


def programs(stranger, *names):
    """A search path that begins with programs which write down how they are called."""
    folder = stranger.folder / "programs"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> {stranger.canary}\nexit 1\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_apt_is_given_no_option_of_a_profile(stranger):
    (stranger.folder / "mine.toml").write_text(BOARD.format('"-oDebug::NoLocking=1"'))
    path = programs(stranger, "apt-get", "dpkg-deb")
    stranger.refuses("devices", "install", "mine.toml", words=("packages", "the name of a Debian package"), PATH=path)


@pytest.mark.parametrize("line", ['host = "pi@board;touch canary"', 'python = "PYTHONPATH=x"'])
def test_ssh_is_given_names_and_places_only(stranger, line):
    text = (
        REACHED.format(line) if not line.startswith("host") else REACHED.format("").replace('host = "pi@board"', line)
    )
    (stranger.folder / "mine.toml").write_text(text)
    words = (f"{line.partition(' ')[0]} = ", "must be")
    stranger.refuses("devices", "install", "mine.toml", words=words, PATH=programs(stranger, "ssh"))


def test_a_device_is_called_by_a_plain_name(stranger):
    path = stranger.folder / "--index-url x.toml"
    path.write_text('kind = "measured"\n[launch]\nhow = "direct"\n')
    stranger.refuses("devices", "install", str(path), words=("called like its file",))

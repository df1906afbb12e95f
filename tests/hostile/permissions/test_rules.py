"""The grammars of what a stranger may say, over many texts."""

from __future__ import annotations

import json
import re
import string
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeship import untrusted
from edgeship.devices import profiles
from edgeship.errors import InputError
from edgeship.runtimes.browser import options
from edgeship.runtimes.launchers import venv
from edgeship.settings import permissions
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant
from edgeship.types import to_json

TEXT = st.text(alphabet=string.printable + "é\u202e\x00", max_size=40)
NEARLY = st.builds("{}=={}{}".format, TEXT, TEXT, TEXT)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.just("evil:data")
    | st.just("a.toml"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


LAUNCHES = {
    "requirements": '"environment"\nrequirements = [{}]',
    "packages": '"qemu"\ncpu = "cortex-a72"\nrequirements = ["numpy==2.4.6"]\npackages = [{}]',
    "host": '"ssh"\nhost = {}',
    "python": '"ssh"\nhost = "pi@board"\npython = {}',
    "folder": '"ssh"\nhost = "pi@board"\nfolder = {}',
    "cpu": '"qemu"\nrequirements = ["numpy==2.4.6"]\ncpu = {}',
    "system": '"vela"\naccelerator = "a"\nmemory = "b"\nrequirements = ["numpy==2.4.6"]\nsystem = {}',
}
ZEROS = f"--hash=sha256:{'0' * 64}"
HOSTILE = {
    "requirements": [
        *("evil @ file:///tmp/evil-1-py3-none-any.whl?a==1", "https://example.com/evil.whl#egg==1", "./evil==1"),
        *("numpy==1.26.4 --index-url=https://example.com", "numpy==1.26.4\n--index-url=https://example.com"),
        *("numpy==1.26.4; python_version>'3'", "numpy==1.*", "numpy[x]==1.26.4", "-e==1", "numpy===1.26.4"),
        *(f"numpy==1.26.4 {ZEROS}\n--find-links=/tmp/x {ZEROS}", "numpy>=1", "numpy", ""),
    ],
    "packages": [
        "-oDebug::NoLocking=1",
        "libblas3=1.0",
        "libblas3/sid",
        "./evil.deb",
        "x",
        "a b",
        "a-",
        "libblas3:amd64",
    ],
    "host": ["-oProxyCommand=touch canary", "pi@-oProxyCommand=x", "pi@board;x", "$(x)", "a b", "pi@board\n", ""],
    "python": ["-c", "PYTHONPATH=x", "python3;x", "a\nb", ""],
    "folder": ["-P", "a\nb", "$(x)"],
    "cpu": ["-plugin", "max,x=y", ""],
    "system": ["--config=/x", "a b"],
}
HONEST = {
    "requirements": [
        "numpy==1.26.4",
        " numpy == 1.26.4 ",
        f"tflite_Micro==0.dev2026 {ZEROS} {ZEROS}",
        "lxml==1!2.0rc1+cpu.1",
    ],
    "packages": ["libstdc++6", "python3.11-minimal", "g++"],
    "host": ["board", "pi@raspberrypi.local", "pi@192.168.1.2", "pi@fe80::1%eth0", "my_board"],
    "python": ["python3", "/opt/my python/bin/python3.12", "~/venv/bin/python"],
    "folder": [".cache/edgeship", "/tmp/x"],
    "cpu": ["cortex-a72", "neoverse-n1"],
    "system": ["Ethos_U55_High_End_Embedded"],
}


def profile(folder, key, value):
    kind, figures = ("emulated", '["quality"]') if "qemu" in LAUNCHES[key] else ("measured", '["memory"]')
    launch = LAUNCHES[key].format(json.dumps(value))
    path = folder / "mine.toml"
    path.write_text(f'kind = "{kind}"\nfigures = {figures}\n[launch]\nhow = {launch}\n')
    return profiles.find_device(str(path))


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in HOSTILE.items() for value in values])
def test_what_a_profile_may_not_say(tmp_path, key, value):
    with pytest.raises(InputError, match=f"{key}.* must be"):
        profile(tmp_path, key, value)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in HONEST.items() for value in values])
def test_what_a_profile_may_say(tmp_path, key, value):
    assert profile(tmp_path, key, value).name == "mine"


@pytest.mark.parametrize("name", ["evil", "numpy-evil", "tensorflow", "num.py"])
def test_a_profile_installs_runtimes_and_what_they_import_alone(tmp_path, name):
    with pytest.raises(
        InputError, match=f"mine.toml.*unknown package '{name}'|unknown package '{name}' in .*mine.toml"
    ):
        profile(tmp_path, "requirements", f"{name}==1.0")


def test_the_built_in_profiles_install_what_any_profile_may():
    for name in profiles.profile_names():
        profiles.find_device(name)


def test_digests_are_given_for_all_requirements_or_none(tmp_path):
    requirements = [f"numpy==1.0 {ZEROS}", "lxml==1.0"]
    with pytest.raises(
        InputError, match=r"requirements: lxml==1.0 has no digest .*, and others have; give all or none"
    ):
        venv.pip_arguments(requirements, tmp_path)
    assert venv.pip_arguments(["numpy==1.0", "lxml==1.0"], tmp_path) == ["--", "numpy==1.0", "lxml==1.0"]
    assert (
        venv.pip_arguments([f"{item.partition(' ')[0]} {ZEROS}" for item in requirements], tmp_path)[0]
        == "--require-hashes"
    )


@given(TEXT | NEARLY)
def test_a_requirement_holds_no_option_no_address_and_no_path(text):
    try:
        venv.parse_pins([text], "mine")
    except InputError:
        return
    bare = re.sub(r" +--hash=sha256:[0-9a-f]{64}", "", text).replace(" ", "")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+", bare)


@given(TEXT)
def test_names_that_become_arguments_are_no_options_and_nothing_for_a_shell(text):
    for grammar in (profiles.NAME, profiles.PACKAGE, profiles.HOST, profiles.PLACE, profiles.AMOUNT):
        if grammar.fullmatch(text):
            assert not text.startswith("-")
            assert not set(text) & set("\n\r\t\0$`;|&<>(){}[]*?!'\"\\=,#")


@given(TEXT | st.sampled_from(sorted(options.ARGUMENTS)).flatmap(lambda name: TEXT.map(lambda text: f"{name}={text}")))
def test_chromium_is_told_nothing_that_is_not_on_the_list(text):
    try:
        options.of_profile({"how": "browser", "arguments": [text]}, "mine.toml")
    except InputError:
        return
    name, mark, value = text.partition("=")
    assert name in options.ARGUMENTS
    assert bool(mark) == (options.ARGUMENTS[name] is not None)
    assert re.fullmatch(r"[A-Za-z0-9.,= -]*", value)


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "--disable-gpu",
            "--enable-unsafe-webgpu",
            "--ignore-gpu-blocklist",
            "--use-gl=angle",
            "--use-angle=swiftshader",
        ),
        *(
            "--use-webgpu-adapter=swiftshader",
            "--enable-features=Vulkan,WebGPUService",
            "--force-device-scale-factor=2.625",
        ),
        *(
            "--js-flags=--max-heap-size=3",
            "--js-flags=--no-opt --jitless",
            "--enable-blink-features=ForceEagerMeasureMemory",
        ),
    ],
)
def test_honest_arguments_are_taken(argument):
    assert options.of_profile({"how": "browser", "arguments": [argument]}, "x")["arguments"] == [argument]


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "--no-sandbox",
            "--load-extension=/x",
            "--remote-debugging-port=1",
            "--proxy-server=x",
            "--disable-web-security",
        ),
        *("--js-flags=--logfile=/x", "--js-flags=--prof --logfile=/x", "--use-gl=/x.so", "--enable-features=A"),
        *(
            "--enable-features=Vulkan:a/b",
            "--disable-gpu=x",
            "--use-angle",
            "disable-gpu",
            "http://x",
            "--USE-GL=angle",
        ),
        *("--disable-features=Vulkan", "--user-data-dir=/x", "--js-flags=--no-opt\n--prof", ""),
    ],
)
def test_other_arguments_are_refused_with_the_list(argument):
    with pytest.raises(InputError, match="not taken"):
        options.of_profile({"how": "browser", "arguments": [argument]}, "x")


GOOD = json.loads(json.dumps(to_json(Config(variants=(Variant("small", "static_w8a8", prune=0.5),)).to_manifest())))


def places(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@settings(max_examples=300)
@given(
    st.sampled_from([path for path in places(GOOD) if path]), JSON, st.sampled_from(("replace", "remove", "add")), TEXT
)
def test_whatever_a_manifest_says_it_is_a_configuration_or_a_sentence_and_grants_nothing(path, value, how, name):
    stored = deepcopy(GOOD)
    inside = stored
    for key in path[:-1]:
        inside = inside[key]
    if how == "replace" or not isinstance(inside, dict):
        inside[path[-1]] = value
    elif how == "remove":
        del inside[path[-1]]
    else:
        inside[name] = value
    try:
        config = Config.restore(stored)
    except InputError:
        return
    assert not permissions.find_grants(to_json(config.to_manifest()))
    assert not config.model.allow_unsafe
    assert config.model.custom_objects is None
    assert not any(map(profiles.in_file, config.benchmark.devices))


def test_a_path_with_a_colon_is_data_where_no_folder_changes_it(tmp_path):
    (tmp_path / "a:b.npz").touch()
    assert not untrusted.is_code(str(tmp_path / "a:b.npz"))
    assert untrusted.is_code("a:b.npz")
    assert untrusted.is_code(str(tmp_path / "c:d"))


def test_what_a_bundle_was_made_with_stays_on_record():
    former = {
        "model": {"custom_objects": "mine"},
        "data": {"validation": "my:data"},
        "benchmark": {"devices": ["host"]},
    }
    table = to_json(
        Config.restore({**GOOD, "model": {"custom_objects": "mine"}, "data": {"validation": "my:data"}}).to_manifest()
    )
    merged = permissions.keep_grants(table, former)
    assert (merged["model"]["custom_objects"], merged["data"]["validation"]) == ("mine", "my:data")

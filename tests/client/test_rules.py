"""The rules of a channel: who gets which version, whatever the rules are, and what is refused as a channel's file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeship.client.rule_files import parse_channel, parse_version, render_channel, render_version
from edgeship.client.rules import (
    Arm,
    Channel,
    ChannelArtifact,
    ChannelFile,
    Conditions,
    Device,
    Experiment,
    Patch,
    Version,
    bucket,
    choose_arm,
    choose_version,
    meets_conditions,
)
from edgeship.client.strict_json import RulesError

CHANNEL = Channel("garments", "stable", 2, 1, 5.0, "garments/stable/2")
FILE = ChannelFile("tflite/int8.tflite", "a" * 64, 12, (Patch("b" * 64, "c" * 64, 5),))
VERSION = Version(
    "garments",
    2,
    "d" * 64,
    "2026-11-29T10:00:00Z",
    ("shirt", "shoe"),
    {"tflite/int8": ChannelArtifact("tflite", FILE.path, (FILE,))},
    (ChannelFile("contract.json", "e" * 64, 3),),
)
IDS = tuple(f"device-{number}" for number in range(100_000))
numbers = st.integers(1, 5)
percents = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)
salts = st.text("abc/0é", min_size=1, max_size=8)
arms = st.lists(st.tuples(numbers, st.integers(1, 100)), min_size=2, max_size=4).map(
    lambda items: tuple(Arm(f"arm-{place}", *item) for place, item in enumerate(items))
)
conditions = st.builds(
    Conditions,
    st.integers(1, 2),
    st.sampled_from([{}, {"tflite": "2.14"}]),
    st.sampled_from([None, ("linux-x86_64",), ("browser",)]),
    st.sampled_from([None, 512]),
)
channels = st.builds(
    Channel,
    st.just("garments"),
    st.just("stable"),
    numbers,
    st.none() | numbers,
    percents,
    salts,
    st.booleans(),
    st.lists(numbers, max_size=3).map(tuple),
    conditions,
    st.none() | st.builds(Experiment, st.just("e1"), salts, percents, arms),
).filter(lambda item: item.previous != item.version)
devices = st.builds(
    Device,
    st.sampled_from(IDS[:500]),
    st.sampled_from([{}, {"tflite": "2.9"}, {"tflite": "2.14.1"}, {"tfjs": "4"}, {"tflite": "unknown"}]),
    st.sampled_from([None, "linux-x86_64", "browser"]),
    st.sampled_from([None, 256, 512]),
    st.integers(1, 2),
)


def with_value(value: Any, keys: tuple[Any, ...], new: Any) -> Any:
    """The JSON with another value at a place; `...` takes the key away."""
    changed = json.loads(json.dumps(value))
    place = changed
    for key in keys[:-1]:
        place = place[key]
    if new is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = new
    return changed


def test_a_bucket_is_what_sha256_says_of_salt_and_device():
    # By `printf 'garments/stable/2/device-7' | sha256sum | cut -c1-8`, modulo 10,000 in the shell.
    assert [bucket("garments/stable/2", item) for item in ("device-7", "é", "")] == [2969, 7400, 8404]


def test_five_percent_are_five_percent_and_raising_them_keeps_who_is_in():
    inside = [
        {item for item in IDS if choose_version(_at(percent), Device(item)) == 2} for percent in (5.0, 5.01, 25.0)
    ]
    assert abs(len(inside[0]) / len(IDS) - 0.05) < 0.003
    assert inside[0] <= inside[1] <= inside[2]
    others = {item for item in IDS if bucket("garments/stable/3", item) < 500}
    assert abs(len(inside[0] & others) / len(IDS) - 0.05**2) < 0.001  # a new salt draws anew


def _at(percent: float) -> Channel:
    return dataclasses.replace(CHANNEL, percent=percent)


@settings(max_examples=150, deadline=None)
@given(channels, devices, st.none() | numbers, st.lists(numbers, max_size=2))
def test_a_choice_is_a_version_of_the_channel_that_nobody_withdrew(channel, device, running, failed):
    chosen = choose_version(channel, device, running, failed)
    assert chosen is None or (chosen in channel.versions and chosen not in failed)
    if chosen is None:
        assert channel.previous is None or channel.previous in {*channel.withdrawn, *failed}
    assert chosen == choose_version(parse_channel(render_channel(channel)), device, running, failed)


@settings(max_examples=100, deadline=None)
@given(channels, devices, numbers, percents)
def test_raising_the_percentage_takes_the_version_from_nobody(channel, device, running, percent):
    before = choose_version(channel, device, running)
    after = choose_version(dataclasses.replace(channel, percent=max(percent, channel.percent)), device, running)
    assert after in (before, channel.version)
    at_all = dataclasses.replace(channel, percent=100.0, paused=False, withdrawn=(), experiment=None)
    wanted = channel.version if meets_conditions(channel.conditions, device) else channel.previous
    assert choose_version(at_all, device, running) == wanted


@settings(max_examples=100, deadline=None)
@given(channels, devices)
def test_pausing_moves_nobody_in_and_nobody_out(channel, device):
    plain = dataclasses.replace(channel, experiment=None, paused=True)
    has_it = choose_version(plain, device, channel.version)
    new = choose_version(plain, device, channel.previous)
    if meets_conditions(channel.conditions, device) and channel.version not in channel.withdrawn:
        assert has_it == channel.version
    assert new != channel.version


def test_arms_are_drawn_by_their_shares_and_apart_from_the_rollout():
    parts = (Arm("control", 1, 1), Arm("treatment", 2, 3))
    channel = dataclasses.replace(CHANNEL, percent=0.0, experiment=Experiment("e1", "garments/e1", 20.0, parts))
    drawn = [choose_arm(channel, item) for item in IDS]
    shares = {arm.name: sum(found == arm for found in drawn) / len(IDS) for arm in parts}
    assert shares == {"control": pytest.approx(0.05, abs=0.003), "treatment": pytest.approx(0.15, abs=0.004)}
    for item, arm in zip(IDS[:2000], drawn, strict=False):
        assert choose_version(channel, Device(item)) == (arm.version if arm else 1)


@pytest.mark.parametrize(
    ("used", "oldest", "met"),
    [
        ("2.14", "2.14", True),
        ("2.9", "2.14", False),
        ("2.14.0rc1", "2.14", True),
        ("3", "2.14", True),
        ("", "2.14", False),
    ],
)
def test_releases_are_compared_part_by_part(used, oldest, met):
    asked = Conditions(minimum_runtime={"tflite": oldest})
    assert meets_conditions(asked, Device("d", {"tflite": used})) is met
    assert meets_conditions(asked, Device("d", {"tfjs": "1"}))  # a page has no such runtime


def test_who_runs_what_was_withdrawn_leaves_it_and_what_failed_is_not_tried_again():
    back = dataclasses.replace(CHANNEL, version=1, previous=None, percent=100.0, withdrawn=(2,))
    assert choose_version(back, Device("d"), running=2) == 1
    everybody = dataclasses.replace(CHANNEL, percent=100.0)
    assert choose_version(everybody, Device("d"), running=1, failed=[2]) == 1
    assert choose_version(everybody, Device("d"), running=1, failed=[1, 2]) is None


def test_files_are_written_as_they_are_read():
    assert parse_version(render_version(VERSION)) == VERSION
    assert json.loads(render_channel(CHANNEL))["conditions"] == {"minimum_client": 1, "minimum_runtime": {}}
    written = json.loads(render_version(VERSION))["artifacts"]["tflite/int8"]["files"][0]["patches"][0]
    assert written == {"from": "b" * 64, "sha256": "c" * 64, "size": 5, "kind": "bsdiff4"}


EXPERIMENT = Experiment("e1", "s", 20.0, (Arm("control", 1, 50), Arm("treatment", 2, 50)))


@pytest.mark.parametrize(
    ("keys", "new", "message"),
    [
        (("schema",), 2, "schema 2, this client reads 1; update the client"),
        (("schema",), True, "schema must be 1"),
        (("surprise",), 1, "has a key that is not known, 'surprise'"),
        (("salt",), ..., "has no salt"),
        (("version",), 0, "version must be a whole number from 1"),
        (("version",), True, "version must be a whole number"),
        (("version",), 2.0, "version must be a whole number"),
        (("version",), 10**400, "version must be a whole number"),
        (("previous",), 2, "previous is the version itself"),
        (("percent",), 5.001, "at most two decimals"),
        (("percent",), 101, "at most two decimals"),
        (("percent",), "5", "at most two decimals"),
        (("name",), "../garments", "name must be"),
        (("name",), "a..b", "name must be"),
        (("channel",), "files", "channel must be"),
        (("channel",), "7", "channel must be"),
        (("salt",), "a\x1b[31m", "salt must be a printable text"),
        (("withdrawn",), [1, -1], r"withdrawn\[1\] must be"),
        (("withdrawn",), list(range(1, 2000)), "at most 1,000 are read"),
        (("conditions", "minimum_runtime"), {"tflite": "new"}, "minimum_runtime.tflite must be a release"),
        (("conditions", "gpu"), True, "conditions has a key that is not known"),
        (("experiment", "arms"), [], "two or more"),
        (("experiment", "arms", 1, "name"), "control", "different names"),
        (("experiment", "arms", 0, "share"), 0, "share must be"),
    ],
)
def test_a_strange_channel_is_refused_with_its_place(keys, new, message):
    value = json.loads(render_channel(dataclasses.replace(CHANNEL, experiment=EXPERIMENT)))
    with pytest.raises(RulesError, match=message):
        parse_channel(json.dumps(with_value(value, keys, new)).encode())


FIRST = ("artifacts", "tflite/int8", "files", 0)


@pytest.mark.parametrize(
    "path",
    [
        "../x", "/x", "a/../b", "a//b", "a/", "./a", "a\\b", "C:/x", "c:x", "a\x00b", "a\u202eb", "nul", "a/COM1.txt", "a.", "a ",
        "x" * 201, "", None, 5, "contract.json", "Contract.JSON", "contract.json/x",
    ],
)  # fmt: skip
def test_a_path_that_leaves_the_folder_or_meets_another_is_refused(path):
    value = with_value(json.loads(render_version(VERSION)), (*FIRST, "path"), path)
    with pytest.raises(RulesError):
        parse_version(json.dumps(with_value(value, ("artifacts", "tflite/int8", "entry"), path)).encode())


@pytest.mark.parametrize(
    ("keys", "new"),
    [
        ((*FIRST, "size"), -1), ((*FIRST, "size"), 1 << 40), ((*FIRST, "size"), 1.5), ((*FIRST, "sha256"), "A" * 64),
        ((*FIRST, "patches", 0, "size"), 1 << 30), ((*FIRST, "patches", 0, "base"), "b" * 64), ((*FIRST, "mode"), 0o777),
        (("created",), "yesterday"), (("created",), "2026-11-29T10:00:00"), (("artifacts", "a/../b"), {}),
        (("artifacts", "tflite/int8", "entry"), "contract.json"), (("labels",), ["a\nb"]), (("labels",), "ab"),
    ],
)  # fmt: skip
def test_a_strange_version_is_refused(keys, new):
    with pytest.raises(RulesError):
        parse_version(json.dumps(with_value(json.loads(render_version(VERSION)), keys, new)).encode())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr))
@example(b"[" * 60_000)
@example(b'{"schema":' * 6000)
@example(b'{"schema": 1, "name": ' + b"[" * 900 + b"]" * 900 + b"}")
@example(b'{"schema": 1, "schema": 1}')
@example(b'{"schema": NaN}')
@example(b'{"schema": 1' + b" " * (1 << 16) + b"}")
@example(b"\xff")
@example(b'{"schema": ' + b"9" * 5000 + b"}")
@example(b'{"\\ud800": 1, "schema": 1}')
def test_anything_else_is_a_sentence(content):
    raw = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    for parse in (parse_channel, parse_version):
        with pytest.raises(RulesError) as caught:
            parse(raw)
        assert str(caught.value).isascii() and len(str(caught.value)) < 300


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_with_one_value_changed_is_read_or_refused_with_a_sentence(data):
    files = [(parse_channel, render_channel(CHANNEL)), (parse_version, render_version(VERSION))]
    parse, content = data.draw(st.sampled_from(files))
    value = json.loads(content)
    keys: tuple[Any, ...] = ()
    inner = value
    while isinstance(inner, (dict, list)) and inner:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        keys, inner = (*keys, key), inner[key]
    new = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
    )
    changed = with_value(value, keys, new)
    with contextlib.suppress(RulesError):
        parse(json.dumps(changed).encode())

"""Files that somebody else wrote: what is taken, and that everything else is one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship import untrusted
from edgeship.bundle.metric import Metric
from edgeship.errors import CheckError, InputError
from edgeship.types import Availability, Kind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda item: st.lists(item) | st.dictionaries(st.text(), item),
)


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(JSON, st.integers(0, 6))
def test_json_is_read_up_to_its_depth(value, most):
    text = json.dumps(value, ensure_ascii=False)
    assert untrusted._is_deeper(text, most) == (depth(value) > most)
    assert untrusted.parse_json(text, "x") == value


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_what_is_no_json_is_one_sentence(text):
    message = ""
    try:
        untrusted.parse_json(text, "a file")
    except InputError as error:
        message = str(error)
    assert not message or ("\n" not in message and message.startswith("a file: "))


@pytest.mark.parametrize("text", ["[" * 300, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_json_that_is_nested_too_deeply(text):
    with pytest.raises(InputError, match="x: JSON nested deeper than 200 levels"):
        untrusted.parse_json(text, "x")


def test_brackets_in_strings_are_no_depth():
    assert untrusted.parse_json(json.dumps(["[" * 1000 + '\\"']), "x") == ["[" * 1000 + '\\"']


def test_limits_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESHIP_LIMITS", "json_bytes=10, files=2")
    assert untrusted.limits().json_bytes == 10
    assert untrusted.limits().json_depth == untrusted.Limits().json_depth
    (tmp_path / "a.json").write_text("[1, 2, 3, 4]")
    with pytest.raises(InputError, match="JSON of 12 bytes, at most 10 are read"):
        untrusted.read_json(tmp_path / "a.json")
    for name in "bc":
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="more than 2 files"):
        untrusted.tree_files(tmp_path)


@pytest.mark.parametrize(
    "text", ["files", "files=", "files=0", "files=-1", "files=1e3", "file=3", "files=" + "9" * 5000]
)
def test_a_limit_that_is_none(text):
    with pytest.raises(InputError, match="EDGESHIP_LIMITS"):
        untrusted.Limits.read(text)


@given(st.text())
def test_nothing_invisible_is_printed(text):
    plain = untrusted.printable(text)
    assert untrusted.printable(plain) == plain
    assert not {unicodedata.category(char) for char in plain} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert "\n" not in plain and "\x1b" not in plain and "\u202e" not in plain
    if text.isascii() and text.isprintable():
        assert plain == text


def test_texts_of_dataclasses_are_shown_and_their_types_stay():
    metric = Metric("load_ms", None, "ms", Kind.EMULATED, Availability.FAILED, "a\x1b[2J\nb")
    assert untrusted.printable_value({"\u202e": (metric,)}) == {
        "\\u202e": (dataclasses.replace(metric, reason="a\\x1b[2J b"),)
    }


@pytest.mark.parametrize(
    "error",
    [ValueError("a\nb\x1b[31m"), RecursionError(), KeyError("x"), IndexError(), MemoryError(), AssertionError()],
)
def test_what_a_parser_raises_is_one_sentence(error):
    with pytest.raises(InputError) as caught, untrusted.damage_as_input_error("m.tflite"):
        raise error
    assert str(caught.value).startswith("m.tflite: ")
    assert untrusted.printable(caught.value) == str(caught.value)


def test_our_own_errors_pass():
    with pytest.raises(CheckError), untrusted.damage_as_input_error("m"):
        raise CheckError("ours")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a/..",
        "",
        ".",
        "./a",
        "a//b",
        "a/",
        "C:/a",
        "C:a",
        "a\\b",
        "a\0b",
        "\u202ea",
        3,
        None,
    ],
)
def test_a_path_that_leaves_its_folder(tmp_path, name):
    with pytest.raises(InputError, match="the path "):
        untrusted.place_within(tmp_path, name)


def test_paths_within_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    assert untrusted.place_within(tmp_path, "a/b c.tflite") == tmp_path / "a" / "b c.tflite"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for name in ("link", "link/b"):
        with pytest.raises(InputError, match="goes through a link"):
            untrusted.place_within(tmp_path, name)


def test_only_regular_files(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert untrusted.regular_file(tmp_path / "file") == tmp_path / "file"
    assert untrusted.regular_file(tmp_path / "link", links=True) == tmp_path / "link"
    for name, what in {"link": "a link", "pipe": "a pipe", "../none": "no such", ".": "a folder"}.items():
        with pytest.raises(InputError, match=what):
            untrusted.regular_file(tmp_path / name)
    with pytest.raises(InputError, match="a device"):
        untrusted.regular_file(Path(os.devnull))


def test_a_tree_without_links(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").touch()
    (tmp_path / "a").touch()
    assert list(untrusted.tree_files(tmp_path)) == ["a", "b/c"]
    (tmp_path / "b" / "d").symlink_to("..")
    with pytest.raises(InputError, match=r"b/d: a link, not a regular file"):
        untrusted.tree_files(tmp_path)


def test_the_page_on_security_states_every_limit():
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
    for item in dataclasses.fields(untrusted.Limits):
        assert f"| `{item.name}` | {item.default:,} |" in page

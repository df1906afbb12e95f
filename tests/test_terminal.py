"""Tables fit the room that they are given: texts fold, figures do not."""

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from edgeship.cli import cli
from edgeship.terminal import LEAST, WIDTH, Column, fold_text, make_console, make_table, wrap_text


def render_plain(renderable, width=WIDTH):
    out = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    out.print(renderable)
    return out.export_text()


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=90), st.integers(1, 30))
def test_a_folded_text_fits_and_keeps_every_letter(text, width):
    lines_of_text = fold_text(text, width)
    assert max(map(len, lines_of_text.split("\n"))) <= width
    assert "".join(lines_of_text.split()) == "".join(text.split())


def test_a_name_is_folded_behind_what_joins_its_parts():
    assert fold_text("tflite/weight_only_w8", 16) == "tflite/weight_\nonly_w8"
    assert fold_text("at least 20.7 dB", 12) == "at least\n20.7 dB"
    assert fold_text("short", 5) == "short"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab-/ ", max_size=300), st.integers(0, 10**9), st.text("xy ", max_size=300)),
        min_size=1,
        max_size=4,
    )
)
def test_a_table_is_never_wider_than_its_room(rows):
    columns = [Column("name", folds=True), Column("number of things", right=True), Column("why", folds=True)]
    text = render_plain(make_table(columns, [(name, str(number), Text(why)) for name, number, why in rows]), 400)
    assert max(map(len, text.splitlines())) <= WIDTH


def test_figures_are_not_folded_and_texts_keep_a_least_width():
    narrow_table = make_table([Column("a", folds=True), Column("b", right=True)], [("x" * 50, "9" * 50)], 30)
    line = render_plain(narrow_table, 100).splitlines()[1]
    assert line.split() == ["x" * LEAST, "9" * 50]


def test_a_heading_takes_two_lines_rather_than_room():
    lines = render_plain(make_table([Column("time vs float32", right=True)], [("0.5",)])).splitlines()
    assert [line.strip() for line in lines] == ["time vs", "float32", "0.5"]


def test_a_pipe_has_120_columns_and_more_where_asked(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert make_console().width == WIDTH
    assert make_console(wide=True).width > WIDTH


def test_long_lines_go_on_indented():
    assert wrap_text("  ops  " + "CONV_2D, " * 20, 40, 7).splitlines()[1].startswith("       CONV_2D")


def every_command(group, path=()):
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


ALL = list(every_command(cli))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_help_shows_an_example(path, command):
    assert f"edgeship {' '.join(path)}" in command.help.partition("Example")[2]

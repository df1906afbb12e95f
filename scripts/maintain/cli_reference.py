"""docs/cli.md, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from edgeship.cli import COMMANDS, cli

INTRODUCTION = """\
# The command line

Written by `make references` from the commands themselves, of which `edgeship COMMAND --help` says the same.

Exit code 0 means that all went well (for `ship`, `benchmark` and `gate`: PASS), 1 that a check failed or could not be
decided, 2 bad input, 130 an interruption. Results go to standard output, what happens meanwhile and errors to standard error.
`edgeship --version` tells the version. In Python each command is a function of [`edgeship`](../README.md#in-python).
"""
DEFAULT = re.compile(r"\s*[\[(]default: (?P<value>.*?)[\])](?P<end>\.?)$")


def command_line() -> str:
    """The page: every command with its arguments, options, defaults and examples."""
    lines = ["| command | |", "|---|---|"]
    lines += [f"| [`edgeship {name}`](#edgeship-{name}) | {summary} |" for name, (_, summary) in COMMANDS.items()]
    parts = [f"{INTRODUCTION}\n" + "\n".join(lines) + "\n"]
    with click.Context(cli, info_name="edgeship") as context:
        for name in cli.list_commands(context):
            command = cli.get_command(context, name)
            if command is not None:
                parts += _describe_command(command, name, context)
    return "\n".join(parts)


def _describe_command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """A section for a command, and one for each below it."""
    context = click.Context(command, info_name=name, parent=parent)
    mark = "##" if parent.parent is None else "###"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"{mark} {context.command_path}\n\n```\n{usage}\n```\n"
    yield _describe_text(inspect.cleandoc(command.help or ""))
    rows = [_describe_option(option, context) for option in command.params if isinstance(option, click.Option)]
    if rows:
        yield "\n".join(["| option | default | |", "|---|---|---|", *rows]) + "\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            if subcommand is not None:
                yield from _describe_command(subcommand, below, context)


def _describe_text(text: str) -> str:
    """A help text's paragraphs; examples, which click is told to leave as they are, become blocks of code."""
    parts = []
    for paragraph in text.split("\n\n"):
        if not paragraph.startswith("\b\n"):
            parts.append(_escape(" ".join(paragraph.split())))
            continue
        first, *rest = paragraph.removeprefix("\b\n").splitlines()
        title, _, command = first.partition(":")
        examples = inspect.cleandoc("\n".join(["", command.strip(), *(line.strip() for line in rest)]))
        parts.append(f"{title}:\n\n```\n{examples}\n```")
    return "\n\n".join(parts) + "\n"


def _describe_option(option: click.Option, context: click.Context) -> str:
    """A row of the table of options."""
    names = ", ".join(f"`{name}`" for name in option.opts)
    metavar = option.make_metavar(context).replace(" RANGE", "")
    argument = "" if option.is_flag else f" `{_escape(metavar)}`"
    text, default = option.help or "", "required" if option.required else ""
    if match := DEFAULT.search(text):
        text, default = DEFAULT.sub(r"\g<end>", text), match["value"]
    elif option.show_default:
        default = str(option.default)
    if isinstance(option.type, click.IntRange):
        text += f" From {option.type.min}" + (f" to {option.type.max}." if option.type.max is not None else ".")
    return f"| {names}{argument} | {_escape(default)} | {_escape(text)} |"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")

"""What `benchmark` and `gate` share where they are given model files in place of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgeship import api

# What options are called where it is not as the API calls them.
OPTIONS = {"evaluation": "data", "tensors": "tensor"}
F = TypeVar("F", bound=Callable[..., Any])


def _split_tensors(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    pairs = [item.partition("=") for item in value]
    for item, (name, _, file) in zip(value, pairs, strict=True):
        if not name or not file:
            raise click.BadParameter(
                f"{item}: give the server model's name and the file's, as image=input_1", context, option
            )
    return {name: file for name, _, file in pairs}


def file_options(command: F) -> F:
    """The options for model files that edgeship did not make, under the API's names."""
    options = [
        click.option(
            "--server", type=click.Path(path_type=Path),
            help="The server model that files are compared with; of gate also what BUNDLE must be made from.",
        ),
        click.option("--max-drop", type=click.FloatRange(min=0), help="Files: how far accuracy may drop, in points."),
        click.option("--layout", type=click.Choice(["nchw"]), help="Files: move the axes of those with channels first."),
        click.option(
            "--tensor", "tensors", multiple=True, callback=_split_tensors, metavar="SERVER=FILE",
            help="Files: what the server model's input or output is called in the file. May be repeated.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def are_files(paths: tuple[Path, ...]) -> bool:
    """Whether model files are given, and not a bundle. Raises UsageError for several paths that are not all model files."""
    if len(paths) > 1 and not all(map(api.is_model_file, paths)):
        strange = next(path for path in paths if not api.is_model_file(path))
        raise click.UsageError(f"{strange}: give one bundle, or .tflite, .onnx and TF.js models with --server MODEL")
    return api.is_model_file(paths[0])


def require_server(paths: tuple[Path, ...], server: Path | None) -> Path:
    """The server model. Raises UsageError where none was named."""
    if server is None:
        raise click.UsageError(
            f"{paths[0]} is no bundle: to judge a model file, name what it is compared with: --server MODEL"
        )
    return server


def refuse_options(path: Path, options: dict[str, Any]) -> None:
    """Raises UsageError for the first of these options that was given: they are for model files, and `path` is none."""
    for name, value in options.items():
        if value:
            raise click.UsageError(
                f"--{OPTIONS.get(name, name).replace('_', '-')} is for model files, and {path} is none"
            )

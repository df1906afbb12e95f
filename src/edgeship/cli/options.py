"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgeship import api

F = TypeVar("F", bound=Callable[..., Any])


def split_names(context: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """A comma-separated list, each name once; None where there is none."""
    if value is None:
        return None
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="edgeship.toml (default: the one beside the model, if there is one).",
)
OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="The bundle to write (a folder).")


def _check_json_file(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a file that cannot be written before any work is done for it."""
    if value not in (None, "-"):
        path = Path(str(value))
        place = next(item for item in (path.absolute(), *path.absolute().parents) if item.exists())
        if path.is_dir() or not os.access(place, os.W_OK) or (place != path.absolute() and not place.is_dir()):
            raise click.BadParameter(f"{value} cannot be written", context, option)
        api.check_outside_of_bundles(path)
    return value


JSON = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    callback=_check_json_file,
    help="Write the result as JSON; - for standard output.",
)
PROFILE = click.option(
    "--profile", help="How long latency is measured: rapid (6 s), quick (10 s), normal (60 s), full (600 s)."
)
WIDE = click.option("--wide", is_flag=True, help="Show every column of the table, as wide as it takes.")
CUSTOM_OBJECTS = click.option(
    "--custom-objects", metavar="PACKAGE.MODULE", help="Module that registers the model's custom layers."
)
SIGNATURE = click.option("--signature", help="Which signature of a SavedModel.")
ALLOW_UNSAFE = click.option(
    "--allow-unsafe", is_flag=True, help="Load Lambda layers: they run code that is stored in the model file."
)
TRUST = click.option(
    "--trust",
    is_flag=True,
    help="Let the edgeship.toml beside the model allow code to run, this once (see edgeship trust).",
)
SOURCES = ".npz, folder of .npz, or package.module:attribute"
EVALUATION_HELP = f"Evaluation data with the inputs and labels y: {SOURCES}."


def conversion_options(command: F) -> F:
    """The options of `convert` and `ship` that say what is made of the model, under the API's names."""
    options = [
        click.argument("model", type=click.Path(path_type=Path)),
        OUT,
        CONFIG,
        click.option(
            "--to", "formats", callback=split_names, metavar="FORMATS", help="Comma-separated: tflite,onnx,tfjs (default: all)."
        ),
        click.option(
            "--variant", "variants", callback=split_names, metavar="NAMES",
            help="Comma-separated: float32,float16,int8,auto,dynamic_w8,weight_only_w8,dynamic_w4,weight_only_w4, or names "
            "from the configuration.",
        ),
        click.option("--data", "calibration", metavar="DATA", help=f"Representative data to calibrate int8 with: {SOURCES}."),
        click.option(
            "--samples", "calibration_samples", type=click.IntRange(min=1), help="How many samples of it to calibrate with."
        ),
        click.option(
            "--io", type=click.Choice(["auto", "int8", "float32"]),
            help="Edges of an int8 .tflite (default: auto, int8 but for inputs that it is too coarse for).",
        ),
        click.option("--static-batch", is_flag=True, help="Fix the batch of .tflite artifacts at 1, as browsers need."),
        click.option("--head-step", is_flag=True, help="Add learning/: what a device needs to teach the model's last layer."),
        click.option("--allow-flex", is_flag=True, help="TensorFlow ops in .tflite, for apps with Flex delegate; unjudged."),
        CUSTOM_OBJECTS,
        SIGNATURE,
        ALLOW_UNSAFE,
        TRUST,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command

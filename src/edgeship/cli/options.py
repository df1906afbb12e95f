"""Options that several commands share, and how they become a configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.bundle.manifest import Manifest
    from edgeship.settings.config import Config

F = TypeVar("F", bound=Callable[..., Any])

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="edgeship.toml (default: the one beside the model, if there is one).",
)
OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="The bundle to write (a folder).")


def _json_place(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a file that cannot be written before any work is done for it."""
    if value not in (None, "-"):
        path = Path(str(value))
        place = next(item for item in (path.absolute(), *path.absolute().parents) if item.exists())
        if path.is_dir() or not os.access(place, os.W_OK) or (place != path.absolute() and not place.is_dir()):
            raise click.BadParameter(f"{value} cannot be written", context, option)
        _outside_of_bundles(path)
    return value


def _outside_of_bundles(path: Path) -> None:
    """Refuse to write into a bundle: its manifest holds the digest of every file, so it would not open again."""
    from edgeship.bundle.bundle import is_bundle
    from edgeship.errors import InputError

    for folder in path.absolute().parents:
        if is_bundle(folder):
            raise InputError(
                f"{path}: lies in the bundle {folder}, whose manifest lists every file; choose another place"
            )


JSON = click.option(
    "--json", "json_file", metavar="FILE", callback=_json_place, help="Write the result as JSON; - for standard output."
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


def conversion(command: F) -> F:
    """The options of `convert` and `ship` that say what is made of the model."""
    options = [
        click.argument("model", type=click.Path(path_type=Path)),
        OUT,
        CONFIG,
        click.option("--to", "formats", metavar="FORMATS", help="Comma-separated: tflite,onnx,tfjs (default: all)."),
        click.option(
            "--variant", "variants", metavar="NAMES",
            help="Comma-separated: float32,float16,int8,auto,dynamic_w8,weight_only_w8, or names from the configuration.",
        ),
        click.option("--data", metavar="DATA", help=f"Representative data to calibrate int8 with: {SOURCES}."),
        click.option("--samples", type=click.IntRange(min=1), help="How many samples of it to calibrate with."),
        click.option("--io", type=click.Choice(["int8", "float32"]), help="Edges of an int8 .tflite (default: int8)."),
        click.option("--static-batch", is_flag=True, help="Fix the batch of .tflite artifacts at 1, as browsers need."),
        click.option("--allow-flex", is_flag=True, help="Allow TensorFlow ops in .tflite (the app needs the Flex delegate)."),
        CUSTOM_OBJECTS,
        SIGNATURE,
        ALLOW_UNSAFE,
        TRUST,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def formats_of(text: str | None) -> tuple[str, ...]:
    """The formats of a comma-separated list; all where none is given. Raises InputError listing the known ones."""
    from edgeship.errors import unknown
    from edgeship.types import FORMATS

    names = names_of(text) if text is not None else FORMATS
    for name in names:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    return names


def settings(model: Path, config: Path | None, options: dict[str, Any]) -> Config:
    """The configuration of a model: the file's, then what the command line says instead.

    Raises InputError where a file that was only found lets code run and is not trusted.
    """
    from edgeship.settings import config as configs
    from edgeship.untrusted import printable

    path = config or configs.find(model)
    base = _read(path, options, named=config is not None) if path else configs.beside(model)
    found = [base.data.calibration, base.data.evaluation, base.data.train, base.data.validation]
    names = [Path(place).name for place in found if place]
    if path is None and names and model.exists():
        told = f"using {', '.join(names)} beside {model}; `edgeship init {model}` writes a configuration to change that"
        click.echo(printable(told), err=True)
    loading = {key: options[key] for key in ("custom_objects", "signature", "allow_unsafe") if options.get(key)}
    data = {
        "calibration": options.get("data"),
        "calibration_samples": options.get("samples"),
        "evaluation": options.get("evaluation"),
    }
    base = replace(
        base,
        model=replace(base.model, **loading),
        data=replace(base.data, **{key: value for key, value in data.items() if value is not None}),
    )
    if options.get("profile"):
        base = replace(base, benchmark=replace(base.benchmark, profile=options["profile"]))
    return replace(base, variants=_variants(base, options))


def _read(path: Path, options: dict[str, Any], *, named: bool) -> Config:
    """The configuration in a file; what one that was not `named` lets run or read counts only where the user trusts it."""
    from edgeship.settings import config as configs
    from edgeship.settings import permissions, trust
    from edgeship.untrusted import parse_toml, printable

    content = configs.content_of(path)
    if not named:
        instead = {"custom_objects": "custom_objects", "allow_unsafe": "allow_unsafe"}
        instead |= {"calibration": "data", "evaluation": "evaluation"}
        asked = [
            grant
            for grant in permissions.of_file(parse_toml(content, path), path.parent)
            if not options.get(instead.get(grant.key, ""))  # else the command line says it already
        ]
        if asked and options.get("trust"):
            click.echo(
                f"{printable(path)} is trusted for this run: {'; '.join(grant.whole for grant in asked)}", err=True
            )
        else:
            trust.require(path, content, asked)
    return configs.Config.parse(content, path)


def _variants(base: Config, options: dict[str, Any]) -> Any:
    """The variants asked for, each as the configuration or the built-in table has it, with the options that change them."""
    from edgeship.settings.variants import default_variants, named_variant

    own = {variant.name: variant for variant in base.variants or ()}
    formats = formats_of(options.get("formats"))
    variants = base.variants
    if options.get("variants") is not None:
        names = names_of(options["variants"])
        variants = tuple(own.get(name) or named_variant(name, formats, known=own) for name in names)
    changes: dict[str, Any] = {"io": options["io"]} if options.get("io") else {}
    changes |= {"static_batch": True} if options.get("static_batch") else {}
    changes |= {"flex": True} if options.get("allow_flex") else {}
    if not changes:
        return variants
    if variants is None:
        variants = default_variants(formats, base.data.calibration is not None)
    return tuple(replace(variant, **changes) for variant in variants)


def emit(data: Any, json_file: str | None) -> None:
    """Write a result with its schema version as JSON where it was asked for."""
    import json

    from edgeship.types import to_json

    if json_file is None:
        return
    text = json.dumps({"schema": 1, **to_json(data)}, indent=1, allow_nan=False)
    if json_file == "-":
        click.echo(text)
    else:
        write_text(Path(json_file), text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a result's file, whole or not at all, in a folder that is made if need be.

    Raises InputError where it cannot be written.
    """
    from edgeship.errors import InputError
    from edgeship.storage import atomic

    _outside_of_bundles(path)
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to move into its place
            path.write_text(text, encoding="utf-8")
            return
        with atomic.atomic_file(path) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def bundle_settings(opened: Bundle, config: Path | None, given: dict[str, Any], needed: set[str]) -> Config:
    """The configuration that a bundle was made with, with another file's benchmark and budget, and the command line's.

    What lets code run never comes from the bundle: it is taken from that file and the command line. Raises InputError where
    one of the `needed` keys was given when the bundle was made, and is not now.
    """
    from edgeship.settings import config as configs
    from edgeship.settings import permissions
    from edgeship.untrusted import printable

    stored = opened.manifest.config
    base = configs.Config.restore(stored)
    _check_places(base)
    file = configs.Config.read(config) if config else None
    if file:
        data = {key: getattr(file.data, key) or getattr(base.data, key) for key in permissions.SOURCES}
        model = replace(file.model, signature=file.model.signature or base.model.signature)
        base = replace(base, benchmark=file.benchmark, budget=file.budget, source=file.source, model=model)
        base = replace(base, data=replace(base.data, **data))
    if given.get("evaluation"):
        base = replace(base, data=replace(base.data, evaluation=given["evaluation"]))
    loading = {key: given[key] for key in ("custom_objects", "allow_unsafe") if given.get(key)}
    changes: dict[str, Any] = {key: names_of(given[key]) for key in ("devices", "runtimes") if given.get(key)}
    changes |= {"profile": given["profile"]} if given.get("profile") else {}
    base = replace(base, model=replace(base.model, **loading), benchmark=replace(base.benchmark, **changes))
    lacking = [
        grant
        for grant in permissions.of(stored)
        if not (file or given.get("devices") if grant.key == "devices" else _value(base, grant))
    ]
    permissions.refuse(opened.root, (grant for grant in lacking if grant.key in needed))
    named = {key for key in permissions.SOURCES if file and getattr(file.data, key)}
    named |= {"evaluation"} if given.get("evaluation") else set()
    base = _with_recorded_data(opened, base, named, needed)
    for grant in lacking:
        if grant.section == "data":
            told = f"left out, as a bundle cannot grant it: {grant}; name a file that says so with --config"
            click.echo(f"{printable(opened.root)}: {told}", err=True)
    return base


def _with_recorded_data(opened: Bundle, base: Config, named: set[str], needed: set[str]) -> Config:
    """The configuration without data that the bundle alone names and that is not what it was made with.

    Raises InputError where such data is `needed`.
    """
    from edgeship.errors import InputError
    from edgeship.pipeline import data_checks
    from edgeship.settings import permissions
    from edgeship.untrusted import SHOWN, printable

    strange = []
    for key in permissions.SOURCES:
        source = getattr(base.data, key)
        if not source or key in named or not os.path.exists(source):  # what is missing is told where it is needed
            continue
        if not data_checks.recorded(opened.manifest, key, source):
            strange.append(key)
            if key in needed:
                ways = ["add --data"] if key == "evaluation" else []
                told = f"its {key} data, {printable(source)[:SHOWN]}, is not what it was made with, by the digest in its manifest"
                raise InputError(
                    f"{printable(opened.root)}: {told}\n"
                    f"name the data to use: {', or '.join([*ways, f'[data] {key} in a file for --config'])}"
                )
    nothing: dict[str, Any] = dict.fromkeys(strange)
    return replace(base, data=replace(base.data, **nothing))


def _value(config: Config, grant: Any) -> Any:
    return getattr(getattr(config, grant.section), grant.key)


def _check_places(config: Config) -> None:
    """Refuse pipes and devices where the manifest of a bundle says that data or a student lies."""
    from edgeship.settings import permissions

    for key in permissions.SOURCES:
        if source := getattr(config.data, key):
            permissions.check_place(source, f"{config.source}, [data] {key}")
    for variant in config.variants or ():
        distill = variant.recipes.distill
        if distill and isinstance(distill.student, str):
            permissions.check_place(distill.student, f"{config.source}, [variants.{variant.name}] distill")


def names_of(text: str) -> tuple[str, ...]:
    """A comma-separated list, each name once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def show_verdict(
    manifest: Manifest, bundle: Path, json_file: str | None, *, wide: bool = False, written: bool = True
) -> None:
    """Print the table and the verdict, or write them as JSON; anything but PASS is exit code 1.

    `written`: whether the bundle holds them, with their report.
    """
    from edgeship.benchmarks.report.terminal_table import results
    from edgeship.terminal import console
    from edgeship.untrusted import printable, reading

    if json_file != "-":
        out = console(wide=wide)
        with reading(bundle):  # some of it is what the bundle's maker wrote
            table = results(manifest, out.width, wide=wide)
        out.print(table)
        if written:
            click.echo(f"report: {printable(bundle / 'report' / 'index.html')}")
        if _too_busy(manifest):
            told = "times are missing, as the machine was too busy; on a quiet one this takes those alone:"
            click.echo(f"{told} edgeship benchmark {printable(bundle)}", err=True)
    keys = ("server_model", "artifacts", "skipped", "measurements", "matrix", "gate")
    emit({"bundle": bundle, **{key: getattr(manifest, key) for key in keys}}, json_file)
    if manifest.gate is None or manifest.gate.verdict != "PASS":
        raise SystemExit(1)


def _too_busy(manifest: Manifest) -> bool:
    """Whether a time was withheld because the machine was not quiet."""
    from edgeship.types import Availability

    metrics = (metric for item in manifest.measurements for metric in item.metrics)
    return any(metric.availability is Availability.UNSTABLE for metric in metrics)

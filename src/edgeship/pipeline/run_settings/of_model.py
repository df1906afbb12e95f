"""The settings that a model is converted and measured with: its `edgeship.toml`, then what the caller says instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.errors import unknown_name_error
from edgeship.formats.formats import FORMATS
from edgeship.light_dataclass import dataclass
from edgeship.notices import print_notice
from edgeship.settings import config, permissions, trust
from edgeship.settings.config import Config
from edgeship.settings.variants import MOBILE, Variant, built_in_variant, default_variants
from edgeship.untrusted import parse_toml, printable

# Keys of a configuration that count no longer where the caller says something else.
SAID_INSTEAD = ("custom_objects", "allow_unsafe", "calibration", "evaluation")


@dataclass(frozen=True)
class ModelOptions:
    """What a caller says beside a configuration; what is None or false is left to it.

    `variants` are names; `trust` allows what an `edgeship.toml` that was only found beside the model lets run, this once.
    """

    formats: tuple[str, ...] | None = None
    variants: tuple[str, ...] | None = None
    calibration: str | None = None
    calibration_samples: int | None = None
    evaluation: str | None = None
    profile: str | None = None
    io: str | None = None
    static_batch: bool = False
    allow_flex: bool = False
    custom_objects: str | None = None
    signature: str | None = None
    allow_unsafe: bool = False
    trust: bool = False
    head_step: bool = False


def check_formats(names: Sequence[str] | None) -> tuple[str, ...]:
    """The formats of those names, each once; all where none is named. Raises InputError listing the known ones."""
    formats = FORMATS if names is None else tuple(dict.fromkeys(names))
    for name in formats:
        if name not in FORMATS:
            raise unknown_name_error("format", name, FORMATS)
    return formats


def model_settings(model: Path, file: Path | None, options: ModelOptions) -> Config:
    """The settings of a model: those of `file`, or of the `edgeship.toml` beside it, changed by the options.

    Raises InputError where a file that was only found lets code run and is not trusted.
    """
    path = file or config.find_config(model)
    base = _read_file(path, options, by_caller=file is not None) if path else config.default_config(model)
    if path is None:
        _announce_data(model, base)
    loading = {key: getattr(options, key) for key in ("custom_objects", "signature", "allow_unsafe")}
    data = {key: getattr(options, key) for key in ("calibration", "calibration_samples", "evaluation")}
    base = replace(
        base,
        model=replace(base.model, **{key: value for key, value in loading.items() if value}),
        data=replace(base.data, **{key: value for key, value in data.items() if value is not None}),
    )
    if options.profile:
        base = replace(base, benchmark=replace(base.benchmark, profile=options.profile))
    if options.head_step:
        base = replace(base, learning=replace(base.learning, head_step=True))
    return replace(base, variants=_choose_variants(base, options))


def _announce_data(model: Path, settings: Config) -> None:
    """Say what beside the model is used without having been named."""
    data = settings.data
    places = [data.calibration, data.evaluation, data.train, data.validation]
    found = [Path(place).name for place in places if place] + [config.FORMS] * bool(settings.input or settings.output)
    names = ", ".join(found)
    if names and model.exists():
        print_notice(
            printable(f"using {names} beside {model}; `edgeship init {model}` writes a configuration to change that")
        )


def _read_file(path: Path, options: ModelOptions, *, by_caller: bool) -> Config:
    """The configuration in a file; what it lets run or read counts only where the caller named it or the user trusts it."""
    content = config.read_content(path)
    if not by_caller:
        grants = [
            grant
            for grant in permissions.find_file_grants(parse_toml(content, path), path.parent)
            if grant.key not in SAID_INSTEAD or not getattr(options, grant.key)
        ]
        if grants and options.trust:
            print_notice(f"{printable(path)} is trusted for this run: {'; '.join(grant.whole for grant in grants)}")
        else:
            trust.require_trust(path, content, grants)
    return Config.parse(content, path)


def _choose_variants(base: Config, options: ModelOptions) -> tuple[Variant, ...] | None:
    """The variants asked for, each as the configuration or the built-in table has it, with the options that change them."""
    own = {variant.name: variant for variant in base.variants or ()}
    formats = check_formats(options.formats)
    variants = base.variants
    if options.variants is not None:
        names = dict.fromkeys(options.variants)
        variants = tuple(own.get(name) or built_in_variant(name, formats, further_names=own) for name in names)
    changes: dict[str, Any] = {"io": options.io} if options.io else {}
    changes |= {"static_batch": True} if options.static_batch else {}
    changes |= {"flex": True} if options.allow_flex else {}
    if not changes:
        return variants
    if variants is None:
        variants = default_variants(formats, base.data.calibration is not None)
    return tuple(replace(variant, **_fitting(changes, variant)) for variant in variants)


def _fitting(changes: Mapping[str, Any], variant: Variant) -> Mapping[str, Any]:
    """The changes that a variant takes: one for apps has its form."""
    return {key: value for key, value in changes.items() if not (variant.mobile and key in MOBILE)}

"""What a model is trained further with: recipes and training of a variant in `edgeship.toml`, or of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings
from edgeship.recipes.training import Recipes, Training
from edgeship.settings.config import Config
from edgeship.settings.sections import Model


@dataclass(frozen=True)
class TrainingOptions:
    """What a caller asks for: a variant by name, or recipes as TOML has them; what is None is left to the configuration.

    `settings` are fields of `Training`; `data` and `validation` name data sources.
    """

    variant: str | None = None
    recipes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    validation: str | None = None


@dataclass(frozen=True)
class TrainingSettings:
    """All that training a model further takes."""

    recipes: Recipes
    training: Training
    data: str | None
    validation: str | None
    loading: Model

    @property
    def sources(self) -> dict[str, Any]:
        """Where the data lies and how the model is loaded, by the names that training takes them under."""
        loading = {"custom_objects": self.loading.custom_objects, "allow_unsafe": self.loading.allow_unsafe}
        return {"data": self.data, "validation": self.validation, **loading}


def training_settings(
    model: Path, file: Path | None, options: TrainingOptions, loading: ModelOptions
) -> TrainingSettings:
    """The configuration's settings with the options. Raises InputError where both a variant and recipes are asked for."""
    config = model_settings(model, file, loading)
    recipes = _training_recipes(config, options)
    data = options.data or config.data.train
    # The file beside the model belongs to the training data beside it, not to other data.
    validation = options.validation or (config.data.validation if data == config.data.train else None)
    changes = {key: value for key, value in options.settings.items() if value is not None}
    return TrainingSettings(recipes, replace(config.training, **changes), data, validation, config.model)


def _training_recipes(config: Config, options: TrainingOptions) -> Recipes:
    table = {name: value for name, value in options.recipes.items() if value is not None}
    if options.variant is None:
        return Recipes.read(table)
    if table:
        raise InputError("either --variant, or --prune, --cluster, --qat and --distill")
    recipes_by_variant = {variant.name: variant.recipes for variant in config.variants or () if variant.recipes}
    if options.variant not in recipes_by_variant:
        raise unknown_name_error("variant that is trained further", options.variant, recipes_by_variant, config.source)
    return recipes_by_variant[options.variant]

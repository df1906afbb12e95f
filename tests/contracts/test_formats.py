"""One contract for every format that edgeship finds: a file of its own, functions that exist, receipts, a runtime."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from edgeship.convert.receipts import receipt
from edgeship.formats import formats
from edgeship.formats.format import Format
from edgeship.recipes.quantization import RECIPES
from edgeship.runtimes import registry
from edgeship.settings.variants import Variant


@pytest.fixture(params=formats.FORMATS)
def form(request: pytest.FixtureRequest) -> Format:
    return formats.find(request.param)


def test_it_has_a_file_of_its_own_name(form: Format) -> None:
    assert importlib.import_module(f"edgeship.formats.known.{form.name}").FORMAT is form
    assert len({item.file for item in formats.ALL.values()}) == len(formats.ALL)
    path = Path(form.path_in_bundle("float32"))
    assert path.parts[0] == form.name
    assert form.place(path) == (path.parent if form.is_folder else path)


def test_its_converter_takes_what_variants_ask_for(form: Format) -> None:
    parameters = inspect.signature(formats.import_function(form.converter)).parameters
    assert {"saved_model", "out_dir" if form.is_folder else "out_file"} <= {*parameters}
    assert {*form.options, *(["weights", "graph"] if form.weight_storage else [])} <= {*parameters}
    assert all(hasattr(Variant("a"), attribute) for attribute in form.options.values())
    if form.converter_setup:
        assert callable(formats.import_function(form.converter_setup))


def test_every_recipe_has_a_meaning_or_a_reason(form: Format) -> None:
    assert {*form.recipes} <= {*RECIPES}
    assert form.recipes["float32"].how
    assert all(bool(support.how) != bool(support.refusal) for support in form.recipes.values())
    possible = {name for name, support in form.recipes.items() if support.how} - {"float32"}
    if form.quantizer:
        calibrate, quantize = (
            inspect.signature(formats.import_function(name)).parameters for name in (form.calibrator, form.quantizer)
        )
        assert {"model", "data", "out", "count", "closely"} <= {*calibrate}
        assert {"model", "out_file", "recipe", "statistics", "calibration_method", "layers"} <= {*quantize}
        assert ("io" in quantize) == form.integer_io
    else:
        assert possible <= {*form.weight_storage}


def test_its_usual_runtime_takes_it(form: Format) -> None:
    usual = registry.for_format(form.name)[0]
    assert usual.name == form.runtime
    assert form.name in usual.formats


def test_what_lies_there_is_told_apart_and_read(form: Format, tiny_model) -> None:
    path = tiny_model("cnn", form.name)
    assert [item.name for item in formats.ALL.values() if item.matches(path)] == [form.name]
    found = receipt.read(path)
    assert found.format == form.name
    assert [list(spec.shape[1:]) for spec in (*found.inputs, *found.outputs)] == [[8, 8, 1], [5]]
    assert found.weights.elements > 0

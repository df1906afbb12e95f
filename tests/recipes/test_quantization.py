import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.errors import InputError
from edgeship.formats.formats import FORMATS
from edgeship.recipes.quantization import (
    RECIPES,
    VARIANTS,
    QuantizeRecipe,
    for_variant,
    needs_data,
    recipe_support,
)

REFUSED = {
    *(("static_w8a8", "tfjs"), ("dynamic_w8", "tfjs"), ("weight_only_w8", "onnx")),
    *(("auto", "tfjs"), ("dynamic_w4", "tfjs"), ("weight_only_w4", "tfjs"), ("weight_only_w4", "tflite")),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_pair_has_a_meaning_or_a_reason(recipe, fmt):
    if (recipe, fmt) in REFUSED:
        with pytest.raises(InputError, match=f"recipe '{recipe}' is not possible for {fmt}: .*ask for"):
            recipe_support(recipe, fmt)
    else:
        assert recipe_support(recipe, fmt).how


def test_tfjs_has_no_int8():
    with pytest.raises(InputError, match="no int8 inference, only weight storage: ask for weight_only_w8"):
        recipe_support("static_w8a8", "tfjs")
    assert not recipe_support("weight_only_w8", "tfjs").data


def test_only_static_quantization_needs_data():
    assert [name for name in RECIPES if needs_data(name)] == ["static_w8a8", "auto"]


@given(st.text())
def test_any_other_name_is_refused_and_the_known_ones_are_listed(name):
    if name in RECIPES:
        assert QuantizeRecipe(name).name == name
        return
    for ask in (QuantizeRecipe, needs_data, lambda wrong: recipe_support(wrong, "tflite")):
        with pytest.raises(InputError) as caught:
            ask(name)
        assert all(known in str(caught.value) for known in RECIPES)


@given(st.text())
def test_any_other_variant_is_refused_and_the_known_ones_are_listed(name):
    if name not in VARIANTS:
        with pytest.raises(InputError) as caught:
            for_variant(name)
        assert all(known in str(caught.value) for known in VARIANTS)


def test_variants_stand_for_recipes():
    assert {name: for_variant(name).name for name in VARIANTS} == {
        "float32": "float32",
        "float16": "float16",
        "int8": "static_w8a8",
        "mobile": "static_w8a8",
        "auto": "auto",
        "dynamic_w8": "dynamic_w8",
        "weight_only_w8": "weight_only_w8",
        "dynamic_w4": "dynamic_w4",
        "weight_only_w4": "weight_only_w4",
    }


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match="unknown format 'tflit'; known: onnx, tfjs, tflite"):
        recipe_support("float32", "tflit")

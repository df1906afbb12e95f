from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from edgeship.deploy.contract.arithmetic.resample import resize_picture
from edgeship.deploy.contract.contract import EdgeQuantization
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import (
    dequantize_values,
    orient_picture,
    preprocess_input,
    quantize_values,
)
from edgeship.deploy.contract.steps import Resize
from edgeship.errors import InputError
from edgeship.settings.inputs import FITS, RESAMPLERS
from edgeship.typed_json import convert
from tests.deploy.contract import cases, slow_definition

WEIGHTS = [299, 587, 114]


def f32(values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


def image_steps(
    height: int, width: int, *, grey: bool, fit: str = "contain", resampler: str = "area", **more: Any
) -> list[dict[str, Any]]:
    invert = more.get("invert")
    return [
        {"step": "orient"},
        {"step": "flatten_alpha", "ground": more.get("ground", 0)},
        *([{"step": "grey", "weights": WEIGHTS}] if grey else []),
        *([{"step": "invert", "ground": invert}] if invert else []),
        {"step": "resize", "height": height, "width": width, "fit": fit, "resampler": resampler, "border": more.get("border", 0)},
        *([{"step": "swap_red_blue"}] if more.get("swap") else []),
        {"step": "affine", "multiply": more.get("multiply", [1.0]), "add": more.get("add", [0.0])},
    ]  # fmt: skip


def image_input(steps: list[dict[str, Any]]) -> ContractInput:
    resize = next(step for step in steps if step["step"] == "resize")
    grey = any(step["step"] == "grey" for step in steps)
    content = {
        "name": "image",
        "kind": "image",
        "raw": {
            "dtype": "uint8", "layout": "HWC", "colour": "grey" if grey else "rgb", "alpha": True, "orientation": "exif",
        },
        "steps": steps,
        "tensor": {"shape": [1, resize["height"], resize["width"], 1 if grey else 3], "dtype": "float32"},
    }  # fmt: skip
    return convert(ContractInput, content)


def random_picture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


sides = st.integers(1, 13)


@settings(max_examples=150, deadline=None)
@given(
    height=sides, width=sides, new_height=sides, new_width=sides, channels=st.sampled_from((1, 3, 4)),
    orientation=st.integers(1, 8), grey=st.booleans(), fit=st.sampled_from(FITS), resampler=st.sampled_from(RESAMPLERS),
    invert=st.sampled_from((None, "dark", "light")), border=st.sampled_from((0, 77, 255, "rim")),
    ground=st.sampled_from((0, 130, 255)), swap=st.booleans(), seed=st.integers(0, 9),
)  # fmt: skip
def test_every_step_is_as_the_slow_definition(
    height,
    width,
    new_height,
    new_width,
    channels,
    orientation,
    grey,
    fit,
    resampler,
    invert,
    border,
    ground,
    swap,
    seed,
) -> None:
    steps = image_steps(
        new_height, new_width, grey=grey, fit=fit, resampler=resampler, invert=invert, border=border, ground=ground,
        swap=swap and not grey,
    )  # fmt: skip
    pixels = random_picture(height, width, channels, seed)
    tensor = preprocess_input(image_input(steps), pixels, orientation)
    slow: Any = slow_definition.prepare(pixels.tolist(), orientation, steps)
    expected = np.array(slow, np.float32)
    np.testing.assert_array_equal(tensor[0], np.repeat(expected, tensor.shape[3] // expected.shape[2], axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(orientation: int) -> None:
    pixels = random_picture(5, 7, 3)
    content = io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(content, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(content))
    np.testing.assert_array_equal(orient_picture(pixels, orientation), np.asarray(upright))


SIZES = [
    ((37, 53), (28, 28)), ((28, 28), (28, 28)), ((5, 3), (24, 17)),
    ((64, 48), (7, 9)), ((1, 40), (8, 8)), ((200, 160), (50, 31)),
]  # fmt: skip


def stretched(pixels: np.ndarray[Any, Any], size: tuple[int, int], resampler: Any) -> np.ndarray[Any, Any]:
    return resize_picture(pixels, Resize(*size, "stretch", resampler), 0).astype(np.int64)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_pil_bilinear_is_pillow_s(old: tuple[int, int], new: tuple[int, int]) -> None:
    pixels = random_picture(*old, 3)
    pillow = np.asarray(Image.fromarray(pixels).resize(new[::-1], Image.Resampling.BILINEAR)).astype(np.int64)
    assert np.abs(stretched(pixels, new, "pil-bilinear") - pillow).max() <= 1


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_tf_bilinear_and_area_are_tensorflow_s(old: tuple[int, int], new: tuple[int, int]) -> None:
    import tensorflow as tf

    pixels = random_picture(*old, 3)
    bilinear = tf.image.resize(pixels, new).numpy()
    assert np.abs(stretched(pixels, new, "tf-bilinear") - bilinear).max() <= 0.5 + 1e-3
    area = tf.image.resize(pixels, new, "area").numpy()
    assert np.abs(stretched(pixels, new, "area") - area).max() <= 0.5 + 1e-2


def fastest(function: Any) -> float:
    times = []
    for _ in range(4):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_each_pixel_of_a_frame_is_looked_at_a_few_times(resampler: str) -> None:
    """20 to 40 times what it takes to copy its bytes as numbers; a sum over all of a line for each new pixel: thousands."""
    pixels = random_picture(720, 1280, 3)
    item = image_input(image_steps(224, 224, grey=False, fit="cover", resampler=resampler))
    copied = fastest(lambda: pixels.astype(np.int64))
    assert fastest(lambda: preprocess_input(item, pixels, 6)) < 200 * copied


def test_a_line_does_not_become_a_plane_on_its_way_to_another_line() -> None:
    item = image_input(image_steps(1, 60_000, grey=True, fit="stretch"))
    with pytest.raises(InputError, match="is not resized to 1 x 60000"):
        preprocess_input(item, np.zeros((60_000, 1, 1), np.uint8))


def test_affine_rounds_twice() -> None:
    steps = image_steps(2, 2, grey=False, multiply=[1 / 58.395, 1 / 57.12, 1 / 57.375], add=[-2.1179, -2.0357, -1.8044])
    pixels = random_picture(2, 2, 3)
    tensor = preprocess_input(image_input(steps), pixels)
    product = pixels.astype(np.float32) * np.array(steps[-1]["multiply"], np.float32)
    np.testing.assert_array_equal(tensor[0], product + np.array(steps[-1]["add"], np.float32))
    assert tensor.dtype == np.float32 and tensor.shape == (1, 2, 2, 3)


def audio_input(channels: int, shape: list[int], *, mono: bool) -> ContractInput:
    steps = [*([{"step": "mono"}] if mono else []), {"step": "frame", "length": 5}]
    return convert(
        ContractInput,
        {
            "name": "pcm", "kind": "audio", "raw": {"dtype": "int16", "layout": "TC", "rate": 16000, "channels": channels},
            "steps": [*steps, {"step": "affine", "multiply": [1 / 32768], "add": [0.0]}],
            "tensor": {"shape": shape, "dtype": "float32"},
        },
    )  # fmt: skip


def test_audio_is_mixed_cut_and_filled() -> None:
    item = audio_input(2, [1, 5], mono=True)
    pcm = np.array([[-3, -2], [5, 6], [32767, 32767]], np.int16)
    tensor = preprocess_input(item, pcm)
    np.testing.assert_array_equal(tensor, np.array([[-2, 6, 32767, 0, 0]], np.float32) / 32768)
    longer = np.arange(14, dtype=np.int16).reshape(7, 2)
    assert preprocess_input(audio_input(2, [1, 5, 2], mono=False), longer).shape == (1, 5, 2)
    with pytest.raises(InputError, match="PCM of 2 channels"):
        preprocess_input(item, pcm[:, :1])


def table_input(unknown: int | None) -> ContractInput:
    columns = [
        {"name": "age", "kind": "number"},
        {"name": "city", "kind": "category", "values": ["Bern", "Genf"], "unknown": unknown},
    ]
    return convert(
        ContractInput,
        {
            "name": "row", "kind": "table", "raw": {"dtype": "text", "layout": "row", "columns": columns},
            "steps": [{"step": "lookup"}, {"step": "affine", "multiply": [0.1, 1.0], "add": [-3.0, 0.0]}],
            "tensor": {"shape": [1, 2], "dtype": "float32"},
        },
    )  # fmt: skip


def test_a_row_of_texts_becomes_numbers() -> None:
    item = table_input(2)
    tensor = preprocess_input(item, ["42", "Genf"])
    np.testing.assert_array_equal(tensor, f32([[42, 1]]) * f32([0.1, 1]) + f32([-3, 0]))
    assert preprocess_input(item, [42.0, "Rom"])[0, 1] == 2
    for row, why in (
        (["x", "Bern"], "'x' is no number"), (["1", "Rom"], "'Rom' is none of its values"), (["1"], "has 2 values"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=why):
            preprocess_input(table_input(None), row)


def test_no_text_is_the_number_that_is_stated_for_it() -> None:
    item = table_input(2)
    columns = (replace(item.raw.columns[0], missing=-7.25), item.raw.columns[1])
    with_gaps = replace(item, raw=replace(item.raw, columns=columns))
    tensor = preprocess_input(with_gaps, ["", "Genf"])
    np.testing.assert_array_equal(tensor, f32([[-7.25, 1]]) * f32([0.1, 1]) + f32([-3, 0]))
    np.testing.assert_array_equal(preprocess_input(with_gaps, ["42", "Genf"]), preprocess_input(item, ["42", "Genf"]))
    with pytest.raises(InputError, match="'' is no number"):
        preprocess_input(item, ["", "Genf"])
    with pytest.raises(ValueError, match="empty text"):
        replace(item.raw.columns[1], missing=1.0)


def window_input(shape: list[int | None], multiply: list[float]) -> ContractInput:
    steps = [{"step": "affine", "multiply": multiply, "add": [0.0] * len(multiply)}]
    raw = {"dtype": "float32", "layout": "TC"}
    tensor = {"shape": shape, "dtype": "float32"}
    return convert(ContractInput, {"name": "w", "kind": "window", "raw": raw, "steps": steps, "tensor": tensor})


def test_a_window_is_scaled_channel_by_channel() -> None:
    window = np.ones((4, 3), np.float32)
    item = window_input([1, None, 3], [1.0, 2.0, 0.5])
    np.testing.assert_array_equal(preprocess_input(item, window)[0, 0], [1, 2, 0.5])
    with pytest.raises(InputError, match=r"takes \[None, 3\], not \[4, 2\]"):
        preprocess_input(window_input([1, None, 3], [1.0]), window[:, :2])


@pytest.mark.parametrize(
    ("raw", "orientation", "why"),
    [
        (np.zeros((2, 2, 2), np.uint8), 1, "pixels of 1, 3, 4 channels"),
        (np.zeros((0, 2, 3), np.uint8), 1, "pixels of 1, 3, 4 channels"),
        (np.zeros((2, 2, 3), np.float32), 1, "takes uint8 numbers, not float32"),
        (np.zeros((2, 2, 3), np.uint8), 9, "orientation is 1 to 8, not 9"),
    ],
)
def test_what_is_no_picture_is_refused(raw: np.ndarray[Any, Any], orientation: int, why: str) -> None:
    with pytest.raises(InputError, match=why):
        preprocess_input(image_input(image_steps(2, 2, grey=True)), raw, orientation)


def test_quantization_rounds_half_to_even_and_clamps() -> None:
    edge = EdgeQuantization(0.5, -3)
    values = np.array([0.25, 0.75, -0.25, 100.0, -100.0, 1.0], np.float32)
    steps = quantize_values(values, edge, "int8")
    assert steps.tolist() == [-3, -1, -3, 127, -128, -1] and steps.dtype == np.int8
    np.testing.assert_array_equal(dequantize_values(steps, edge), f32([0, 1, 0, 65, -62.5, 1]))


def test_the_cases_of_other_languages_are_those_of_the_reference() -> None:
    """web-demo/tests/contract.test.ts gives them to the page's code."""
    stored = json.loads(cases.FILE.read_text())
    assert stored == cases.build_cases(), "run python -m tests.deploy.contract.cases"
    assert {case["orientation"] for case in stored} == set(range(1, 9))
    assert {case["channels"] for case in stored} == {1, 3, 4}

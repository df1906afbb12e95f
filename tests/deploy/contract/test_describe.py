from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.deploy.contract.build import describe_outputs
from edgeship.deploy.contract.contract import ContractOutput
from edgeship.deploy.contract.describe import describe_inputs
from edgeship.deploy.contract.golden_files import decode_raw
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.names import check_labels, check_outputs, name_contract
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.deploy.contract.raw_goldens import make_cases
from edgeship.deploy.contract.steps import Affine, FlattenAlpha, Frame, Grey, Invert, Mono, Resize, SwapRedBlue
from edgeship.errors import InputError
from edgeship.settings.inputs import Column, InputForm
from edgeship.settings.outputs import OutputForm
from edgeship.types import TensorSpec

DICE = np.random.default_rng(0)


def describe(values: np.ndarray[Any, Any], form: InputForm | None = None, *, real: bool = True) -> ContractInput:
    spec = TensorSpec("x", (None, *values.shape[1:]), str(values.dtype))
    stated = {} if form is None else {"x": form}
    return describe_inputs([spec], {"x": values}, stated, source="edgeship.toml", real=real)[0]


def pictures(channels: int, low: float = 0, high: float = 255, rim: int | None = None) -> np.ndarray[Any, Any]:
    pixels = DICE.integers(0, 256, (6, 12, 10, channels)).astype(np.float64)
    if rim is not None:
        for edge in (pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]):
            edge[:] = rim
    return (low + pixels / 255 * (high - low)).astype(np.float32)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (-1, 1)])
def test_a_range_of_bytes_is_inferred_and_what_the_data_does_not_tell_is_unknown(low: float, high: float) -> None:
    item = describe(pictures(3, low, high))
    assert item.kind == "image" and item.raw.colour == "rgb"
    affine = item.step(Affine)
    assert affine and np.allclose([affine.add[0], affine.add[0] + 255 * affine.multiply[0]], [low, high])
    assert item.known == {
        "kind": "inferred", "affine": "inferred",
        **dict.fromkeys(("colour", "fit", "resampler", "ground", "border"), "unknown"),
    }  # fmt: skip
    assert item.step(Resize) == Resize(12, 10, "cover", "area", "rim")


@pytest.mark.parametrize(("rim", "ground"), [(0, "dark"), (255, "light"), (120, None)])
def test_the_ground_of_grey_pictures_is_inferred(rim: int, ground: str | None) -> None:
    item = describe(pictures(1, rim=rim))
    invert, flatten = item.step(Invert), item.step(FlattenAlpha)
    assert (invert.ground if invert else None) == ground
    assert item.known["ground"] == ("inferred" if ground else "unknown")
    assert flatten and flatten.ground == (0 if ground == "dark" else 255)
    assert item.step(Grey) and item.known["colour"] == "inferred"


def test_no_golden_is_inverted_by_an_inferred_ground() -> None:
    values = pictures(1, rim=0)
    values[3, 0], values[3, -1], values[3, :, 0], values[3, :, -1] = 255, 255, 255, 255
    assert describe(values).step(Invert) is None


def test_what_is_no_picture_is_a_tensor_of_unknown_kind() -> None:
    item = describe(DICE.normal(size=(6, 12, 10, 3)).astype(np.float32))
    assert (item.kind, item.known, item.steps) == ("tensor", {"kind": "unknown"}, ())
    assert describe(pictures(3), real=False).kind == "tensor"


def test_what_is_stated_is_taken_and_said_to_be_stated() -> None:
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    values = ((pictures(3).astype(np.float64) - mean) / std).astype(np.float32)
    form = InputForm(
        kind="image", colour="bgr", fit="stretch", resampler="tf-bilinear", border=7, ground="light", mean=mean, std=std
    )
    item = describe(values, form)
    assert set(item.known.values()) == {"stated"}
    assert item.step(SwapRedBlue) and item.step(Resize) == Resize(12, 10, "stretch", "tf-bilinear", 7)
    affine = item.step(Affine)
    assert affine and np.allclose(affine.multiply, 1 / np.array(std)) and np.allclose(affine.add, -np.array(mean) / std)


def smooth(low: float, high: float) -> np.ndarray[Any, Any]:
    """Pictures in that range, whose values are no bytes."""
    return np.linspace(low, high, 6 * 12 * 10 * 3).reshape(6, 12, 10, 3).astype(np.float32)


CONTRADICTIONS: list[tuple[np.ndarray[Any, Any], dict[str, Any], str]] = [
    (pictures(3), {"kind": "image", "colour": "grey"}, "colour = 'grey' does not fit the shape [12, 10, 3]"),
    (pictures(3), {"multiply": 1 / 255}, "its numbers make 0 to 1 of bytes, and the data's values are 0 to 255"),
    (pictures(3, 0, 1), {"multiply": 1 / 127.5, "add": -1.0}, "make -1 to 1 of bytes, and the data's values are 0 to 1"),
    # Resized, so that its numbers are no bytes: scaled already, or the std forgotten.
    (smooth(0, 1), {"kind": "image", "multiply": 1.0}, "make 0 to 255 of bytes, and the data's values are 0"),
    (smooth(-2, 2), {"kind": "image", "mean": 124.0}, "make -124 to 131 of bytes, and the data's values are -2"),
    (pictures(3), {"multiply": (1.0, 2.0)}, "2 numbers do not fit 3 channels"),
    (DICE.normal(size=(4, 9, 9, 3)).astype(np.float32), {"kind": "image"}, "multiply and add, or mean and std, tell it"),
    (pictures(3)[:, :, :, :2], {"kind": "image"}, "height, width and 1 or 3 channels"),
    (pictures(3), {"kind": "audio", "rate": 8000.0}, "PCM has the shape"),
    (DICE.normal(size=(4, 30)).astype(np.float32), {"kind": "audio"}, "PCM needs its rate"),
    (DICE.normal(size=(4, 30, 3)).astype(np.float32) / 9, {"kind": "audio", "rate": 8e3, "channels": 2}, "channels = 2"),
    (DICE.normal(size=(4, 30)).astype(np.float32), {"kind": "audio", "rate": 8000.0}, "multiply tells which"),
    (DICE.normal(size=(4, 30, 3)).astype(np.float32), {"kind": "window", "units": ("g",)}, "1 units do not fit 3"),
    (DICE.normal(size=(4, 3)).astype(np.float32), {"kind": "table"}, "a row needs its columns"),
    (DICE.normal(size=(4, 3)).astype(np.float32), {"kind": "table", "columns": (Column("a", "number"),)}, "1 columns do"),
    (np.ones((4, 3), np.int32), {"kind": "text"}, "into how many ids, as buckets = 4096?"),
    (np.ones((4, 3, 2), np.int32), {"kind": "text", "buckets": 9}, "one id a word, (words,), and the input has the shape [3, 2]"),
    (np.full((4, 3), 10, np.int32), {"kind": "text", "buckets": 9}, "buckets = 9 makes ids of 0 to 9, and the data's values are"),
    (DICE.normal(size=(4, 3)).astype(np.float32), {"rate": 5.0}, "rate needs the kind of input beside it"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "stated", "why"), CONTRADICTIONS)
def test_a_table_that_does_not_fit_the_data_is_refused(values: Any, stated: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError) as caught:
        describe(values, InputForm(**stated))
    assert why in str(caught.value)
    assert str(caught.value).startswith("edgeship.toml, [input.x]: ")


def test_a_table_of_no_input_is_refused() -> None:
    spec = TensorSpec("x", (None, 3), "float32")
    with pytest.raises(InputError, match=r"unknown input 'y' in edgeship.toml, \[input.y\]; known: x"):
        describe_inputs([spec], {"x": np.zeros((2, 3), np.float32)}, {"y": InputForm()}, source="edgeship.toml")


KINDS: list[tuple[np.ndarray[Any, Any], InputForm | None]] = [
    (pictures(1, rim=0), None),
    (pictures(3, -1, 1), InputForm(colour="bgr", resampler="pil-bilinear")),
    ((DICE.integers(-9999, 9999, (6, 50)) / 32768).astype(np.float32), InputForm(kind="audio", rate=16000, channels=2)),
    (
        DICE.normal(size=(6, 20, 3)).astype(np.float32),
        InputForm(kind="window", rate=50, units=("g", "g", "g"), std=2.5),
    ),
    (
        np.stack([DICE.normal(size=6), DICE.integers(0, 3, 6)], 1).astype(np.float32),
        InputForm(kind="table", columns=(Column("a", "number", missing=0.25), Column("b", "category", ("x", "?"), 2))),
    ),
    (np.tril(DICE.integers(1, 100, (6, 7)), 2).astype(np.int32), InputForm(kind="text", buckets=99, column="review")),
    (DICE.integers(0, 9999, (6, 7)).astype(np.int32), None),
]


@pytest.mark.parametrize(("values", "form"), KINDS)
def test_a_golden_is_brought_back_to_what_gives_it(values: Any, form: InputForm | None) -> None:
    item = describe(values, form)
    cases = make_cases([item], {"x": values})
    for index, case in enumerate(cases[: len(values)]):
        sample = case.raw["x"]
        np.testing.assert_array_equal(preprocess_input(item, sample.value, sample.orientation), case.tensors["x"])
        np.testing.assert_allclose(case.tensors["x"][0], values[index], atol=1e-6)
    more = {
        "image": ["larger", "smaller", "turned", "mirrored", "opaque"],
        "audio": ["shorter", "longer"],
        "table": ["unknown", "missing"],
        "text": ["written", "long", "empty"],
    }
    assert [case.name for case in cases[len(values) :]] == more.get(item.kind, [])
    if item.kind == "audio":
        assert item.step(Mono) and item.step(Frame) == Frame(50) and item.known["affine"] == "inferred"
        pcm: Any = cases[0].raw["x"].value
        assert (pcm[:, 0] != pcm[:, 1]).any(), "who takes one channel only is to be found out"
        assert not cases[-2].tensors["x"][0, 34:].any() and cases[-1].tensors["x"].shape == (1, 50)
    if item.kind == "table":
        assert cases[-2].tensors["x"][0, 1] == 2 and cases[-1].tensors["x"][0, 0] == 0.25
    if item.kind == "text":
        assert cases[-2].tensors["x"].all() and not cases[-1].tensors["x"].any()
        stored = decode_raw(cases[-3].raw["x"].to_bytes(), item, cases[-3].sizes["x"])
        assert stored == cases[-3].raw["x"], "several lines, and signs that end no text"


def test_of_large_samples_there_are_fewer_cases() -> None:
    values = np.zeros((16, 1, 3 << 20), np.float32)
    item = describe(values)
    assert [case.name for case in make_cases([item], {"x": values})] == ["0", "1"]


def spec(name: str, *shape: int | None) -> TensorSpec:
    return TensorSpec(name, (None, *shape), "float32")


def test_labels_belong_to_the_outputs_that_they_fit() -> None:
    labels, specs = ("cat", "dog"), (spec("p", 2), spec("q", 3), spec("s", 1))
    check_labels(labels, specs, None, "edgeship.toml")
    answers: Any = {
        "p": np.array([[0.25, 0.75]], np.float32),
        "q": np.array([[1, 2, 3]], np.float32),
        "s": np.ones((1, 1)),
    }
    outputs = describe_outputs(specs, ("unknown", "unknown", "sigmoid"), labels, None, answers)
    assert outputs == (
        ContractOutput("p", (1, 2), "softmax", labels), ContractOutput("q", (1, 3)),
        ContractOutput("s", (1, 1), "sigmoid", labels),
    )  # fmt: skip
    assert describe_outputs(specs, (), labels, "q", answers)[0].labels is None


@pytest.mark.parametrize(("chosen", "counts"), [(None, "'p' gives 2, 'q' gives 3"), ("q", "'q' gives 3")])
def test_labels_that_fit_no_output_are_refused(chosen: str | None, counts: str) -> None:
    with pytest.raises(InputError) as caught:
        check_labels(["a"] * 4, (spec("p", 2), spec("q", 3)), chosen, "edgeship.toml")
    assert (
        str(caught.value)
        == f"edgeship.toml: 4 labels ([data] labels, or labels.txt), and {counts}; give one name for each class"
    )


def test_labels_of_an_output_of_any_size_are_not_judged() -> None:
    check_labels(["a"] * 4, (spec("p", None),), None, "edgeship.toml")
    check_labels([], (spec("p", 2),), None, "edgeship.toml")


def test_a_threshold_is_stated_for_an_output_of_scores() -> None:
    stated, specs = {"p": OutputForm(threshold=0.7)}, (spec("p", 2), spec("mask", 8, 8, 2))
    answers: Any = {"p": np.array([[1, 2]], np.float32), "mask": np.zeros((1, 8, 8, 2), np.float32)}
    found = describe_outputs(specs, (), (), None, answers, stated)
    assert [item.threshold for item in found] == [0.7, None]
    check_outputs(stated, specs, "edgeship.toml")
    with pytest.raises(InputError, match=r"unknown output 'q' in edgeship.toml, \[output.q\]; known: mask, p"):
        check_outputs({"q": OutputForm()}, specs, "edgeship.toml")
    with pytest.raises(
        InputError, match=r"\[output.mask\]: threshold is for a score a class, and the output is \? x 8 x 8 x 2"
    ):
        check_outputs({"mask": OutputForm(threshold=0.5)}, specs, "edgeship.toml")


def test_a_contract_is_called_as_its_model() -> None:
    assert name_contract(Path("/runs/Fashion MNIST/server.keras")) == "fashion-mnist"
    assert name_contract(Path("/runs/x/Größe_2.keras")) == "gr-e-2"
    assert name_contract(Path("/model.keras")) == "model"

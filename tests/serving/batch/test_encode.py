"""Many rows at once become what the reference of the contract makes of each (`deploy/contract/preprocess.py`)."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from edgeship.deploy.contract.contract import ContractOutput
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.deploy.contract.steps import Affine, FlattenAlpha, Frame, Grey, HashWords, Lookup, Mono, Orient, Resize
from edgeship.errors import InputError
from edgeship.serving.batch.rows.columns import column_types, map_columns
from edgeship.serving.batch.rows.encode import encode_rows
from edgeship.settings.inputs import Column
from tests.serving.batch.conftest import read_all
from tests.serving.batch.shops import INPUTS, make_rows, write_pictures

DICE = np.random.default_rng(4)
WINDOW = ContractInput(
    "motion", "window", RawForm("float32", "TC"), (Affine((2.0, 3.0), (0.5, -1.0)),), TensorForm((1, 5, 2), "float32")
)
FREE = ContractInput(
    "motion",
    "window",
    RawForm("float32", "TC"),
    (Affine((2.0, 3.0), (0.5, -1.0)),),
    TensorForm((1, None, 2), "float32"),
)
SOUND = ContractInput(
    "sound",
    "audio",
    RawForm("int16", "TC", rate=8000.0, channels=2),
    (Mono(), Frame(30), Affine((1 / 32768,), (0.0,))),
    TensorForm((1, 30), "float32"),
)
TOKENS = ContractInput("ids", "tensor", RawForm("float32", "tensor"), (), TensorForm((1, 3), "int32"))
PHOTO = ContractInput(
    "image",
    "image",
    RawForm("uint8", "HWC", colour="rgb", alpha=True, orientation="exif"),
    (Orient(), FlattenAlpha(255), Resize(6, 5, "cover", "tf-bilinear"), Affine((1 / 127.5,) * 3, (-1.0,) * 3)),
    TensorForm((1, 6, 5, 3), "float32"),
)
GREY = ContractInput(
    "image",
    "image",
    RawForm("uint8", "HWC", colour="grey"),
    (Grey(), Resize(4, 4, "stretch", "area"), Affine((1.0,), (0.0,))),
    TensorForm((1, 4, 4, 1), "float32"),
)


def encode(item, **columns):
    batch = pa.record_batch([pa.array(values) for values in columns.values()], names=list(columns))
    return encode_rows(map_columns([item], batch.schema.names, "it"), batch, 1)[item.name]


def test_texts_are_read_from_their_column_and_a_gap_is_the_empty_text():
    raw = RawForm("text", "text", column="review")
    item = ContractInput("text_review", "text", raw, (HashWords(4, 99),), TensorForm((1, 4), "int32"))
    texts = ["Très bien, it's", None, "NA", "", "one two three four five", "NAN and null"]
    ids = encode(item, id=[0] * 6, review=pa.array(texts, pa.large_string()))
    expected = [preprocess_input(item, "" if text in (None, "NA") else text) for text in texts]
    np.testing.assert_array_equal(ids, np.concatenate(expected))
    assert ids.dtype == np.int32 and not ids[1:4].any() and ids[4].all()
    np.testing.assert_array_equal(
        encode(item, review=[7, 8]), np.concatenate([preprocess_input(item, n) for n in "78"])
    )
    assert column_types([item], ["review"]) == {"review": pa.string()}
    with pytest.raises(InputError, match=r"'text_review' takes review; it has text"):
        encode(item, text=["a"])
    with pytest.raises(InputError, match=r"column review: holds list<.*, and the model takes a text"):
        encode(item, review=[["a"]])


@pytest.mark.parametrize("item", [WINDOW, FREE])
def test_windows(item):
    values = DICE.normal(size=(7, 5, 2)).astype(np.float32)
    expected = np.concatenate([preprocess_input(item, value) for value in values])
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 10)
    np.testing.assert_array_equal(encode(item, motion=lists), expected)
    np.testing.assert_array_equal(encode(item, motion=lists.cast(pa.large_list(pa.float64()))), expected)
    if item is WINDOW:
        flat = {f"motion_{number}": column for number, column in enumerate(values.reshape(7, 10).T)}
        np.testing.assert_array_equal(encode(item, **flat), expected)


def test_pcm_shorter_and_longer_than_the_frame():
    for count in (20, 50):
        values = DICE.integers(-32768, 32768, (4, count, 2)).astype(np.int16)
        expected = np.concatenate([preprocess_input(SOUND, value) for value in values])
        np.testing.assert_array_equal(encode(SOUND, sound=[row.reshape(-1).tolist() for row in values]), expected)
    with pytest.raises(InputError, match=r"row 1, column sound: 32768 is beyond -32768 to 32767 of int16"):
        encode(SOUND, sound=[[32768, 0]])


def test_whole_numbers_stay_whole():
    ids = encode(TOKENS, ids=[[1, 2, 2**24 + 1], [4, 5, 6]])
    assert ids.dtype.kind == "i" and ids[0, 2] == 2**24 + 1
    with pytest.raises(InputError, match=r"row 1, column ids_1: 0.5 is no whole number"):
        encode(TOKENS, ids_0=[1.0], ids_1=[0.5], ids_2=[2.0])


def test_tables():
    table = make_rows(200, seed=3)
    batch = table.combine_chunks().to_batches()[0]
    found = encode_rows(map_columns(INPUTS, batch.schema.names, "it"), batch, 1)["row"]
    rows = zip(*[table[name].to_pylist() for name in ("age", "town", "plan")], strict=True)
    np.testing.assert_array_equal(found, np.concatenate([preprocess_input(INPUTS[0], row) for row in rows]))


def encoded_picture(pixels, mode, orientation=1, form="png"):
    picture, stream = Image.fromarray(pixels, mode), io.BytesIO()
    exif = picture.getexif()
    exif[274] = orientation
    picture.save(stream, form, exif=exif)
    return stream.getvalue()


GAPS = (
    ContractInput(
        "numbers",
        "table",
        RawForm("text", "row", columns=(Column("age", "number", missing=0.1), Column("size", "number"))),
        (Lookup(), Affine((1.0,), (0.0,))),
        TensorForm((1, 2), "float32"),
    ),
    ContractInput(
        "categories",
        "table",
        RawForm(
            "text", "row", columns=(Column("town", "category", ("Bonn", ""), 2), Column("age", "category", ("",), 1))
        ),
        (Lookup(), Affine((1.0, 1.0), (0.0, 3.0))),
        TensorForm((1, 2), "int32"),
    ),
)


@pytest.mark.parametrize(
    "ages",
    [
        pa.array([7.5, None, 3]),
        pa.array([7.5, float("nan"), 3]),
        pa.array(["7.5", None, " 3"]),
        pa.array(["7.5", "", "3"]),
        pa.array(["7.5", "NA", "3"]),
    ],
)
def test_gaps_are_what_training_made_of_them(ages):
    """A number's gap is `missing` and a category beside; that of a category is the empty text, not what is unknown."""
    towns = [None, "Rome", "Bonn"]
    batch = pa.record_batch([ages, pa.array([1.0, 2, 3]), pa.array(towns)], names=["age", "size", "town"])
    found = encode_rows(map_columns(GAPS, batch.schema.names, "it"), batch, 1)
    rows = [["7.5", "1"], ["", "2"], ["3", "3"]], [["", "7.5"], ["Rome", ""], ["Bonn", "3"]]
    for item, expected in zip(GAPS, rows, strict=True):
        assert found[item.name].dtype == item.tensor.dtype
        assert found[item.name].tolist() == [preprocess_input(item, row)[0].tolist() for row in expected]


def test_a_text_for_missing_is_a_category_where_one_is_spelled_so():
    codes = RawForm("text", "row", columns=(Column("land", "category", ("DE", "NA", ""), 2),))
    item = ContractInput("row", "table", codes, (Lookup(), Affine((1.0,), (0.0,))), TensorForm((1, 1), "int32"))
    batch = pa.record_batch([pa.array(["NA", "null", "DE", "XX"])], names=["land"])
    found = encode_rows(map_columns((item,), ["land"], "it"), batch, 1)
    assert found["row"].ravel().tolist() == [1, 2, 0, 2]


@pytest.mark.parametrize("inputs", [GAPS, GAPS[::-1]])
def test_gaps_of_a_csv(inputs):
    """A column that is read as a number and as a category is read as text, whichever comes first."""
    assert column_types(inputs, ["age", "size", "town"]) == {
        "age": pa.string(), "size": pa.float64(), "town": pa.string(),
    }  # fmt: skip


def test_pictures_of_all_modes_and_orientations():
    shapes = {"L": (9, 7), "RGB": (9, 7, 3), "RGBA": (9, 7, 4)}
    for item in (PHOTO, GREY):
        for mode, shape in shapes.items():
            for orientation in (1, 3, 6):
                pixels = DICE.integers(0, 256, shape).astype(np.uint8)
                raw = pixels[:, :, None] if mode == "L" else pixels
                raw = raw if item.raw.alpha else raw[:, :, :3]
                found = encode(item, image=[encoded_picture(pixels, mode, orientation)] * 2)
                turned = orientation if item.raw.orientation else 1
                np.testing.assert_array_equal(found[1:], preprocess_input(item, raw, turned))
    with pytest.raises(InputError, match=r"row 2: no picture that can be read"):
        encode(GREY, image=[encoded_picture(np.zeros((3, 3), np.uint8), "L"), b"nothing"])


def test_pixels_in_a_list():
    pixels = DICE.integers(0, 256, (3, 4, 4, 1)).astype(np.uint8)
    found = encode(GREY, image=[row.reshape(-1).tolist() for row in pixels])
    np.testing.assert_array_equal(found, pixels.astype(np.float32))
    with pytest.raises(InputError, match=r"256 is beyond 0 to 255"):
        encode(GREY, image=[[256] * 16])


def test_a_folder_of_pictures(run, refusal, shop, tmp_path):
    pictures, expected = tmp_path / "pictures", {}
    for name in ("b/2.png", "a.png", "b/1.PNG", "b/10.png"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = DICE.integers(0, 256, (8, 8)).astype(np.uint8)
        expected[name] = int(pixels.reshape(4, 16).astype(np.float64).sum(1).argmax())
        (pictures / name).write_bytes(encoded_picture(pixels, "L"))
    (pictures / "notes.txt").write_text("none")
    bundle = write_pictures(tmp_path / "bundle")
    result = run(pictures, f"sqlite:///{tmp_path / 'out.db'}", "--batch", 3, bundle=bundle)
    assert (result["written"], result["chunks"]) == (4, 2)
    found = read_all(tmp_path / "out.db", "select row_key, strip_label from predictions_current")
    assert dict(found) == expected
    assert "holds pictures, and the model takes 'row' (table)" in refusal(
        pictures, tmp_path / "out.parquet", bundle=shop
    )
    (pictures / "c.png").write_bytes(b"no picture")
    assert "row 5: no picture" in refusal(pictures, f"sqlite:///{tmp_path / 'x.db'}", bundle=bundle)
    assert not (tmp_path / "x.db").exists()


OUTPUTS = [
    (ContractOutput("a", (1, 3), "softmax", None, 0.6), [[0.7, 0.2, 0.1], [0.4, 0.5, 0.1]], {"a_label": [0, None]}),
    (ContractOutput("a", (1, 1), "sigmoid", ("no", "yes"), 0.5), [[0.5], [0.4]], {"a_label": ["yes", "no"]}),
    (ContractOutput("a", (1, 2), "sigmoid", ("p", "q")), [[0.5, 1], [0.25, 0]], {"a": [[0.5, 1], [0.25, 0]]}),
    (ContractOutput("a", (1,)), [0.5, 0.25], {"a": [0.5, 0.25]}),
    (ContractOutput("a", (1, 2, 2)), [[[1, 2], [3, 4]]], {"a": [[1, 2, 3, 4]]}),
]


@pytest.mark.parametrize(("item", "values", "expected"), OUTPUTS)
def test_outputs_as_columns(item, values, expected):
    from edgeship.serving.batch.rows.outputs import OutputColumns

    found = OutputColumns(item, "a", None).fill(np.array(values, np.float32))
    assert {name: found[name].to_pylist() for name in expected} == expected


@pytest.mark.parametrize("activation", ["softmax", "none"])
def test_a_temperature_makes_scores_as_sure_as_they_are_right(activation):
    """softmax(z / T); of probabilities their logarithms are the logits."""
    from edgeship.serving.batch.rows.outputs import OutputColumns

    logits = DICE.normal(size=(6, 3)).astype(np.float32) * 4
    powers = np.exp(logits / 2.5)
    expected = (powers / powers.sum(1, keepdims=True)).max(1)
    given = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) if activation == "softmax" else logits
    item = ContractOutput("a", (1, 3), activation, ("x", "y", "z"))
    found = OutputColumns(item, "a", 2.5).fill(given)["a_score"].to_pylist()
    np.testing.assert_allclose(found, expected, rtol=1e-5)

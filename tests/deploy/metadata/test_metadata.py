"""Metadata in a `.tflite`: what stands in it, where it lies, and that the model computes what it computed."""

import io
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import number_types
from flatbuffers.table import Table

from edgeship.deploy.metadata import three_channels, write
from edgeship.deploy.metadata.description import InputDescription, ModelDescription, OutputDescription, Picture
from edgeship.errors import InputError
from edgeship.types import to_json
from tests.formats import buffers

LABELS = ("a", "b", "c d", "é", "e")
CONTRACT = '{"kind": "edgeship-contract"}'


def description(labels=LABELS, **output):
    picture = Picture(8, 8, "rgb", (127.5,), (127.5,))
    return ModelDescription(
        "tiny", (InputDescription("image", picture),), (OutputDescription("probs", labels, **output),)
    )


@pytest.fixture(scope="module")
def plain(tiny_models):
    """An int8 model with float edges and batch 1, as its converter wrote it."""
    return (tiny_models / "cnn-one-int8.tflite").read_bytes()


def answers(content, images):
    interpreter = Interpreter(model_content=content)
    run = interpreter.get_signature_runner()
    return np.concatenate([run(image=image[None])["probs"] for image in images])


def entries(content):
    """The model's metadata, by name."""
    model = schema.Model.GetRootAsModel(content, 0)
    found = [model.Metadata(number) for number in range(model.MetadataLength())]
    return {item.Name().decode(): model.Buffers(item.Buffer()).DataAsNumpy().tobytes() for item in found}


class Reader:
    """A table of any schema, read by the places of its fields."""

    def __init__(self, content, position=None):
        self.table = Table(content, int.from_bytes(content[:4], "little") if position is None else position)

    def at(self, place):
        return self.table.Offset(4 + 2 * place)

    def number(self, place, flags):
        return self.table.Get(flags, self.table.Pos + self.at(place)) if self.at(place) else 0

    def text(self, place):
        return self.table.String(self.table.Pos + self.at(place)).decode() if self.at(place) else None

    def child(self, place):
        return Reader(self.table.Bytes, self.table.Indirect(self.table.Pos + self.at(place)))

    def children(self, place):
        if not self.at(place):
            return []
        start, count = self.table.Vector(self.at(place)), self.table.VectorLen(self.at(place))
        return [Reader(self.table.Bytes, self.table.Indirect(start + 4 * number)) for number in range(count)]

    def floats(self, place):
        return self.table.GetVectorAsNumpy(number_types.Float32Flags, self.at(place)).tolist()


def test_the_model_computes_to_the_bit_what_it_did(plain):
    images = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    written = write.add_metadata(plain, description(), CONTRACT.encode())
    assert written == write.add_metadata(plain, description(), CONTRACT.encode())
    np.testing.assert_array_equal(answers(written, images), answers(plain, images))
    assert min(buffers.alignments(written)) >= 16
    again = write.add_metadata(written, description(), CONTRACT.encode())
    assert entries(again).keys() == {*entries(plain), write.METADATA, write.CONTRACT}


def test_all_that_the_schema_has_a_place_for_is_said(plain):
    written = write.add_metadata(plain, description(threshold=0.25, shares=True), CONTRACT.encode())
    content = entries(written)[write.METADATA]
    assert content[4:8] == b"M001"
    root = Reader(content)
    assert (root.text(0), root.text(7)) == ("tiny", "1.0.0")
    (graph,) = root.children(3)
    (image,), (probs,) = graph.children(2), graph.children(3)
    assert (image.text(0), image.child(3).number(0, number_types.Uint8Flags)) == ("image", 2)
    properties = image.child(3).child(1)
    assert properties.number(0, number_types.Int8Flags) == 1
    assert [properties.child(1).number(place, number_types.Uint32Flags) for place in (0, 1)] == [8, 8]
    (unit,) = image.children(4)
    assert (unit.number(0, number_types.Uint8Flags), unit.child(1).floats(0), unit.child(1).floats(1)) == (
        1,
        [127.5],
        [127.5],
    )
    assert (image.child(5).floats(0), image.child(5).floats(1)) == ([1.0], [-1.0])
    (unit,), (labels,) = probs.children(4), probs.children(6)
    assert unit.number(0, number_types.Uint8Flags) == 3
    assert unit.child(1).number(0, number_types.Float32Flags) == 0.25
    assert (labels.text(0), labels.number(2, number_types.Int8Flags)) == ("labels.txt", 2)
    assert [item.text(0) for item in root.children(6)] == ["contract.json"]


def test_labels_and_contract_are_files_that_any_unzip_reads(plain):
    written = write.add_metadata(plain, description(), CONTRACT.encode())
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert files == {"labels.txt": "a\nb\nc d\né\ne", "contract.json": CONTRACT}
    assert entries(written)[write.CONTRACT].decode() == CONTRACT


def test_a_model_of_which_nothing_is_known_has_its_names(plain):
    nothing = ModelDescription("tiny", (InputDescription("image"),), (OutputDescription("probs"),))
    (graph,) = Reader(entries(write.add_metadata(plain, nothing))[write.METADATA]).children(3)
    assert [item.text(0) for place in (2, 3) for item in graph.children(place)] == ["image", "probs"]
    assert not [unit for item in graph.children(2) for unit in item.children(4)]


@pytest.mark.parametrize("label", ["", " ", "an end\r", "two\nlines", "two\u2028lines"])
def test_labels_that_are_no_lines_are_refused(label):
    with pytest.raises(InputError, match=r"label 1 of output 'probs' is .*give each a name of one line"):
        description(("a", label))


def test_three_channels_are_made_one(plain):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.float32) / 255
    rgb = three_channels.take_three_channels(plain, "image")
    assert min(buffers.alignments(rgb)) >= 16
    interpreter = Interpreter(model_content=rgb)
    detail = interpreter.get_signature_runner().get_input_details()["image"]
    assert (detail["name"], detail["shape"].tolist()) == ("serving_default_image:0", [1, 8, 8, 3])
    grey = (images * np.array(three_channels.WEIGHTS, np.float32)).sum(axis=-1, keepdims=True, dtype=np.float32)
    np.testing.assert_allclose(answers(rgb, images), answers(plain, grey), atol=1 / 128)
    equal = np.repeat(images[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(answers(rgb, equal), answers(plain, images[..., :1]))


def test_what_is_no_grey_picture_has_no_three_channels_made(tiny_models):
    content = (tiny_models / "pair-one.tflite").read_bytes()
    with pytest.raises(InputError, match="input 'values' is 1x4, and no grey picture"):
        three_channels.take_three_channels(content, "values")


def test_it_is_written_whole_or_not_at_all(plain, tmp_path):
    model, rgb, out = (tmp_path / f"{name}.tflite" for name in ("model", "rgb", "out"))
    model.write_bytes(plain)
    told = to_json(description())
    write.run(model=str(model), out_file=str(rgb), description=told, as_rgb="image")
    assert entries(rgb.read_bytes())[write.METADATA]
    with pytest.raises(InputError, match="no grey picture"):
        write.run(model=str(rgb), out_file=str(out), description=told, as_rgb="image")
    assert not out.exists()

"""What of a contract metadata have a place for, and what is told of the rest."""

import re
from dataclasses import replace

import pytest

from edgeship.deploy.contract.contract import ContractOutput
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.steps import Affine, Grey, Resize, SwapRedBlue
from edgeship.deploy.metadata.description import OutputDescription
from edgeship.deploy.metadata.of_contract import describe_model, find_grey, with_three_channels
from edgeship.errors import InputError

SCORES = ContractOutput("scores", (1, 3), "softmax", ("a", "b", "c"))
WINDOW = ContractInput(
    "window", "window", RawForm("float32", "TC"), (Affine((1.0,), (0.0,)),), TensorForm((1, 10, 6), "float32")
)


def picture(multiply=(1 / 127.5,), add=(-1.0,), colour="rgb", steps=(), known="stated"):
    channels = 1 if colour == "grey" else 3
    before = (Grey(),) if colour == "grey" else ()
    resize = Resize(20, 30, "cover", "area")
    return ContractInput(
        "image",
        "image",
        RawForm("uint8", "HWC", colour=colour),
        (*before, resize, *steps, Affine(multiply, add)),
        TensorForm((1, 20, 30, channels), "float32"),
        {"affine": known},
    )


def test_scaling_becomes_mean_and_std():
    told, notes = describe_model("m", ["image"], [picture()], [SCORES])
    image = told.inputs[0].picture
    assert image
    assert (image.height, image.width, image.colour) == (20, 30, "rgb")
    assert [*image.mean, *image.std] == pytest.approx([127.5, 127.5])
    assert not notes
    assert (told.outputs[0].labels, told.outputs[0].shares, told.outputs[0].threshold) == (SCORES.labels, True, None)


def test_scaling_of_each_channel_is_said_and_noted():
    told, (note,) = describe_model("m", ["image"], [picture((1.0, 2.0, 1.0), (0.0, 0.0, -4.0))], [SCORES])
    image = told.inputs[0].picture
    assert image
    assert (image.mean, image.std) == ((0.0, 0.0, 4.0), (1.0, 0.5, 1.0))
    assert note.startswith("input 'image': MediaPipe refuses a mean and std for each channel")
    equal, _ = describe_model("m", ["image"], [picture((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))], [SCORES])
    assert equal.inputs[0].picture and equal.inputs[0].picture.std == (1.0,)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (picture(known="unknown"), r"not known: state it under \[input.image\]"),
        (picture(steps=(SwapRedBlue(),)), "blue comes first"),
        (picture((0.0,), (1.0,)), "a tensor of"),
        (replace(picture(colour="grey"), tensor=TensorForm((1, 20, 30), "float32")), "a tensor of"),
    ],
)
def test_what_metadata_cannot_say_is_not_said(item, why):
    told, notes = describe_model("m", ["image"], [item], [SCORES])
    assert told.inputs[0].picture is None
    assert [note for note in notes if re.search(why, note)], notes


def test_what_is_no_picture_has_its_name():
    yes = ContractOutput("y", (1, 1), "sigmoid", ("no", "yes"), 0.5)
    told, _ = describe_model("m", ["window"], [WINDOW], [yes])
    assert told.outputs == (OutputDescription("y", ("yes",), 0.5, shares=True),), (
        "MediaPipe wants a label for each score"
    )
    told, notes = describe_model("m", ["window"], [WINDOW], [ContractOutput("y", (1, 4), "none", None, 0.5)])
    assert (told.inputs[0].name, told.inputs[0].picture, notes) == ("window", None, ())
    assert (told.outputs[0].labels, told.outputs[0].shares, told.outputs[0].threshold) == ((), False, 0.5)


def test_inputs_have_their_names_without_a_contract():
    told, notes = describe_model("m", ["image", "window"], [], [SCORES])
    assert ([item.name for item in told.inputs], notes) == (["image", "window"], ())


def test_one_grey_picture_gets_three_channels():
    grey = picture(colour="grey")
    assert find_grey([grey, WINDOW]) == "image"
    assert find_grey([picture()]) is None
    rgb = with_three_channels(grey)
    assert (rgb.raw.colour, rgb.tensor.shape, rgb.step(Grey)) == ("rgb", (1, 20, 30, 3), None)
    with pytest.raises(
        InputError, match=r"no input that is known to be a picture \('window' is 1x10x6\); .* of 1 or 3 channels"
    ):
        find_grey([WINDOW])
    with pytest.raises(InputError, match="several grey pictures"):
        find_grey([grey, replace(grey, name="other")])

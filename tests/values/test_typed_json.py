from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest
from msgspec import Meta

from edgeship.errors import InputError
from edgeship.typed_json import convert

NAME = r"^[\w.-]+$"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Item:
    x: Annotated[float, Meta(ge=-10, le=10)]
    shape: tuple[int | None, ...] = ()
    name: Annotated[str, Meta(pattern=NAME)] = "a"
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Tree:
    items: tuple[Item, ...]
    counts: dict[str, int] = field(default_factory=dict)
    child: Item | None = None

    def __post_init__(self) -> None:
        if len(self.items) > 2:
            raise ValueError("more than two items")


def test_a_value_becomes_dataclasses() -> None:
    tree = convert(Tree, {"items": [{"x": 1, "shape": [None, 3], "later": "unknown keys are left alone"}]})
    assert tree == Tree((Item(1.0, (None, 3)),))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({}, "it has no items"),
        ([], "it must be an object, not []"),
        ({"items": 5}, "items must be a list, not 5"),
        ({"items": [{"x": "s"}]}, "items[0].x must be a number, not 's'"),
        ({"items": [{"x": True}]}, "items[0].x must be a number, not True"),
        ({"items": [{"x": float("nan")}]}, "items[0].x must be a number >= -10.0, not nan"),
        ({"items": [{"x": 1, "shape": ["q"]}]}, "items[0].shape[0] must be a whole number, not 'q'"),
        ({"items": [{"x": 1, "name": "../b"}]}, "items[0].name must be a plain name, not '../b'"),
        ({"items": [{"x": 1, "colour": "blue"}]}, "items[0].colour must be one of red, not 'blue'"),
        ({"items": [{"x": 10**400}]}, "items[0].x is none: Number out of range"),
        ({"items": [], "counts": {"a": "b"}}, "counts[...] must be a whole number"),
        ({"items": [], "child": 5}, "child must be an object, not 5"),
        ({"items": [{"x": 1}] * 3}, "it is none: more than two items"),
    ],
)
def test_what_does_not_fit_is_one_sentence_with_its_place(value: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(Tree, value, names={NAME: "a plain name"})
    assert str(caught.value) == sentence

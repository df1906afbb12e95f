"""Classes of `light_dataclass` behave as those of the standard library."""

import dataclasses
import pickle
from dataclasses import field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship import light_dataclass


def define_classes(decorator):
    @decorator(frozen=True)
    class Point:
        """A point."""

        x: int
        y: float = 0.0
        tags: tuple[str, ...] = field(default_factory=tuple)
        note: str = field(default="", compare=False)
        secret: str = field(default="", repr=False)

        @property
        def double(self):
            return self.x * 2

    @decorator(frozen=True)
    class Point3(Point):
        """A point in space."""

        z: int = 1

    @decorator
    class Counter:
        """A counter."""

        count: int = 0

    @decorator(frozen=True, kw_only=True)
    class Named:
        """With a text of its own."""

        name: str

        def __post_init__(self):
            object.__setattr__(self, "name", self.name.strip())

        def __repr__(self):
            return f"<{self.name}>"

    return Point, Point3, Counter, Named


OURS, THEIRS = define_classes(light_dataclass.dataclass), define_classes(dataclasses.dataclass)
VALUES = st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.5]), st.sampled_from([(), ("a",)]), st.text(max_size=1))


@given(VALUES, VALUES, st.sampled_from([0, 1]), st.sampled_from([0, 1]))
def test_equality_hash_and_text_are_those_of_the_standard_library(first, second, first_class, second_class):
    ours = OURS[first_class](*first), OURS[second_class](*second)
    theirs = THEIRS[first_class](*first), THEIRS[second_class](*second)
    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])
    assert (hash(ours[0]) == hash(ours[1])) == (hash(theirs[0]) == hash(theirs[1]))
    assert repr(ours[0]) == repr(theirs[0])
    assert dataclasses.asdict(ours[0]) == dataclasses.asdict(theirs[0])
    assert vars(dataclasses.replace(ours[0], x=7)) == vars(dataclasses.replace(theirs[0], x=7))


@pytest.mark.parametrize(("point", "_"), [OURS[:2], THEIRS[:2]])
def test_a_frozen_value_cannot_be_changed(point, _):
    value = point(1)
    for name in ("x", "note", "double", "other"):
        with pytest.raises(AttributeError):
            setattr(value, name, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.x
    assert value == point(1)


@pytest.mark.parametrize("classes", [OURS, THEIRS])
def test_what_a_class_defines_itself_stays(classes):
    *_, counter, named = classes
    assert repr(named(name=" a ")) == "<a>"
    with pytest.raises(TypeError):
        named("a")
    value = counter()
    value.count += 1
    assert value == counter(1)
    with pytest.raises(TypeError):
        hash(value)


@light_dataclass.dataclass(frozen=True)
class Size:
    """At the top of a module, where pickle finds it."""

    width: int
    height: int = 2


def test_pickle_and_msgspec_make_the_same_value():
    assert pickle.loads(pickle.dumps(Size(1))) == Size(1)  # noqa: S301  # of its own making
    assert msgspec.convert({"width": 1}, Size) == Size(1)
    assert msgspec.to_builtins(Size(1)) == {"width": 1, "height": 2}


@dataclasses.dataclass(frozen=True)
class Box(Size):
    """Of the standard library, below one of ours."""

    depth: int = 3


def test_classes_of_the_standard_library_and_ours_inherit_from_each_other():
    @light_dataclass.dataclass(frozen=True)
    class Crate(Box):
        """Ours below theirs."""

        weight: int = 4

    assert repr(Crate(1)).endswith("Crate(width=1, height=2, depth=3, weight=4)")
    assert dataclasses.replace(Crate(1), depth=5) == Crate(1, 2, 5)
    assert Box(1) == Box(1) != Size(1)
    for value in (Box(1), Crate(1)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.width = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="cannot inherit"):
        light_dataclass.dataclass(type("Loose", (Size,), {}))

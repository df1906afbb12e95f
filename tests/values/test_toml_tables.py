from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from msgspec import Meta

from edgeship.errors import InputError
from edgeship.toml_tables import Table, describe_keys, toml_value

Count = Annotated[int, Meta(ge=1, title="a whole number, at least 1")]


@dataclass(frozen=True)
class Oven(Table):
    MAIN = "degrees"

    owner: str
    degrees: Annotated[float, Meta(gt=0, description="How hot.", examples=[180])] = 200.0
    trays: Annotated[Count | None, Meta(description="How many.")] = None
    programs: Annotated[tuple[str, ...], Meta(description="What it can do.", examples=[["grill", 'top "hot"']])] = ()
    fan: bool = False


def test_a_table_becomes_a_dataclass_and_one_value_stands_for_the_main_key() -> None:
    assert Oven.read({"degrees": 90, "programs": ["grill"]}, "x.toml", owner="me") == Oven("me", 90.0, None, ("grill",))
    assert Oven.read(90, "x.toml", owner="me") == Oven("me", 90.0)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"degree": 3}, "unknown key 'degree' in x.toml, [oven]; known: degrees, fan, programs, trays"),
        ({"owner": "you"}, "unknown key 'owner' in x.toml, [oven]; known: degrees, fan, programs, trays"),
        ({"degrees": "hot"}, "x.toml, [oven]: degrees = 'hot' must be a number, as degrees = 180"),
        ({"degrees": 0}, "x.toml, [oven]: degrees = 0 must be a number, as degrees = 180"),
        ({"degrees": True}, "x.toml, [oven]: degrees = True must be a number, as degrees = 180"),
        ({"trays": 0}, "x.toml, [oven]: trays = 0 must be a whole number, at least 1"),
        ({"trays": 2.5}, "x.toml, [oven]: trays = 2.5 must be a whole number, at least 1"),
        ({"fan": 1}, "x.toml, [oven]: fan = 1 must be true or false"),
        (
            {"programs": ["a", 1]},
            "x.toml, [oven]: programs = ['a', 1] must be a list of strings, "
            r'as programs = ["grill", "top \"hot\""]',
        ),
    ],
)
def test_what_does_not_fit_is_a_sentence_with_its_place_and_an_example(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Oven.read(table, "x.toml, [oven]", owner="me")
    assert str(caught.value) == sentence


def test_no_table_a_nul_and_a_value_that_was_given_by_code_are_looked_at_too() -> None:
    @dataclass(frozen=True)
    class Plain(Table):
        path: str = ""

    with pytest.raises(InputError, match=r"x\.toml: expected a table"):
        Plain.read(3, "x.toml")
    with pytest.raises(InputError, match="has a NUL in it"):
        Plain("a\0b")
    with pytest.raises(InputError, match="degrees = -1 must be a number"):
        Oven("me", -1)


def test_the_described_keys_are_told_with_what_they_must_be() -> None:
    keys = {key.name: key for key in describe_keys(Oven)}
    assert list(keys) == ["degrees", "trays", "programs"]
    assert (keys["degrees"].words, keys["degrees"].default, keys["degrees"].line) == (
        "a number",
        200.0,
        "degrees = 180",
    )
    assert (keys["trays"].words, keys["trays"].default) == ("a whole number, at least 1", None)


def test_values_are_written_as_toml_has_them() -> None:
    assert toml_value({"sparsity": 0.5, "layers": ("conv*",), "all": True}) == (
        '{ sparsity = 0.5, layers = ["conv*"], all = true }'
    )

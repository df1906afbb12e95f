"""The step `hash_words` against an independent definition, published values, and texts that tell tokenizers apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeship.deploy.contract.arithmetic.words import find_text, hash_word, hash_words, split_words
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.errors import InputError
from edgeship.typed_json import convert
from tests.deploy.contract import slow_definition

SIGNS = st.sampled_from("aBz Z09-_'.,\t\n\x00\u00e9\u00c9\u0130\u0301\u2019\u6f22\U0001f642")


def text_input(words: int, buckets: int) -> ContractInput:
    return convert(ContractInput, {
        "name": "x", "kind": "text", "raw": {"dtype": "text", "layout": "text", "column": "review"},
        "steps": [{"step": "hash_words", "words": words, "buckets": buckets}],
        "tensor": {"shape": [1, words], "dtype": "int32"},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("word", "expected"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"b", 0xE70C2DE5), (b"foobar", 0xBF9CF968)]
)
def test_the_hash_is_fnv_1a(word: bytes, expected: int) -> None:
    """Values of the test vectors that its authors publish."""
    assert hash_word(word) == expected


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(st.text(SIGNS), st.text()), words=st.integers(1, 12), buckets=st.sampled_from((1, 2, 7, 4096, 65536))
)
def test_ids_are_those_of_the_slow_definition(text: str, words: int, buckets: int) -> None:
    expected = slow_definition.hash_text(text, words, buckets)
    assert hash_words(text, words, buckets) == expected
    tensor = preprocess_input(text_input(words, buckets), text)
    assert tensor.dtype == np.float32 and tensor.tolist() == [expected]


def test_a_word_is_a_run_of_letters_digits_and_what_is_beyond_ascii() -> None:
    text = "It's 3.5x \u00c9cole-\u00c9COLE Stra\u00dfe\u2014x\tA_b"
    words = ["it", "s", "3", "5x", "\u00c9cole", "\u00c9cole", "stra\u00dfe\u2014x", "a", "b"]
    assert split_words(text) == [word.encode() for word in words]
    assert split_words(" .,!\x7f\x00") == []


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(st.integers(1, 300), max_size=8))
def test_made_up_words_give_their_ids(ids: list[int]) -> None:
    assert hash_words(find_text(ids, 300), 8, 300) == ids + [0] * (8 - len(ids))


@pytest.mark.parametrize(("raw", "why"), [(["a"], "takes a text, not list"), ("a\ud800", "half of a surrogate pair")])
def test_what_is_no_text_is_refused(raw: object, why: str) -> None:
    with pytest.raises(InputError, match=why):
        preprocess_input(text_input(4, 9), raw)  # type: ignore[arg-type]


def test_a_tensor_has_one_id_a_word() -> None:
    with pytest.raises(InputError, match="one id a word"):
        convert(ContractInput, {
            "name": "x", "kind": "text", "raw": {"dtype": "text", "layout": "text"},
            "steps": [{"step": "hash_words", "words": 4, "buckets": 9}], "tensor": {"shape": [1, 5], "dtype": "int32"},
        })  # fmt: skip

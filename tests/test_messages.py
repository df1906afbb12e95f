"""Messages of tools, shortened: never in the middle of a word."""

from __future__ import annotations

from edgeship.errors import brief_message


def test_a_message_is_cut_between_words_and_says_so() -> None:
    text = "\x1b[1mthe tensor\x1b[0m  of the\nconvolution is not there"
    assert brief_message(text) == "the tensor of the convolution is not there"
    for length in range(12, 42):
        short = brief_message(text, length)
        assert len(short) <= length and short.endswith(" ...")
        assert set(short.removesuffix(" ...").split()) <= {*brief_message(text).split()}


def test_one_endless_word_is_cut_all_the_same() -> None:
    assert brief_message("x" * 50, 10) == "xxxxxx ..."

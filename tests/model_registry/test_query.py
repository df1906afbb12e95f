from __future__ import annotations

import pytest

from edgeship.errors import InputError
from edgeship.model_registry.query import search_versions
from edgeship.model_registry.version import Version, VersionRecord


def version(number, figures, aliases=(), **texts):
    record = VersionRecord(
        "ab" * 32, f"2026-11-{number:02}", "me", texts.get("verdict", ""), "", figures=figures, texts=texts
    )
    return Version("garments", number, record, aliases)


ROWS = [
    version(1, {"accuracy": 0.91, "device.cortex-a76.instructions": 650_000}, verdict="PASS", artifact="tflite/int8"),
    version(2, {"accuracy": 0.95}, ("champion",), verdict="PASS", artifact="tflite/float32"),
    version(3, {"accuracy": 0.80, "device.cortex-a76.instructions": 900_000, "class.2.accuracy": -1}, verdict="FAIL"),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("accuracy > 0.9", [1, 2]),
        ("accuracy>0.9 and device.cortex-a76.instructions<700000", [1]),
        ("device.cortex-a76.instructions < 1e9", [1, 3]),
        ("not device.cortex-a76.instructions < 1e9", [2]),
        ("accuracy >= 0.95 or accuracy <= 0.8", [2, 3]),
        ("accuracy = 0.8 or accuracy == 0.91 and verdict = FAIL", [3]),
        ("(accuracy = 0.8 or accuracy == 0.91) and verdict = PASS", [1]),
        ("NOT (verdict = PASS OR accuracy < 0.5)", [3]),
        ("not not verdict = 'PASS'", [1, 2]),
        ('artifact = "tflite/int8"', [1]),
        ("artifact != tflite/int8", [2]),
        ("class.2.accuracy < -0.5", [3]),
        ("alias = champion", [2]),
        ("version > 1 and added >= 2026-11-03", [3]),
        ("verdict = nothing", []),
    ],
)
def test_a_query_finds(query, found):
    assert [row.number for row in search_versions(query, ROWS)] == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "is empty"),
        ("acuracy > 0.9", r"at character 1: no version has 'acuracy'; known: accuracy"),
        ("accuracy > ", "at its end: it ends where a value should stand"),
        ("accuracy 0.9", r"at character 10: '0.9' stands where <, <="),
        ("accuracy > high", "accuracy is a number, and is not compared with 'high'"),
        ("accuracy > '0.9'", "is not compared with '0.9'"),
        ("accuracy > nan", "is not compared with 'nan'"),
        ("verdict > PASS", r"at character 9: verdict is a text, which = and != compare"),
        ("(accuracy > 0.9", "a parenthesis is not closed"),
        ("accuracy > 0.9)", r"at character 15: '\)' stands where"),
        ("accuracy > 0.9 accuracy < 1", "stands where and, or, or the end should"),
        ("and accuracy > 0.9", "'and' stands where a name should"),
        ("verdict = 'PASS", r"character 11: .* has no meaning, or is not closed"),
        ("accuracy ! 0.9", "has no meaning"),
        ("not " * 200 + "accuracy > 1", "more than 50 levels"),
        ("(" * 5000, "more than 50 levels"),
    ],
)
def test_a_query_that_is_none_is_refused(query, message):
    with pytest.raises(InputError, match=message):
        search_versions(query, ROWS)

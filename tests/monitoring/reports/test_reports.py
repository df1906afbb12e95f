"""Reports are read strictly, and those of every schema that was published."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgeship.errors import InputError
from edgeship.monitoring.profile.profile import Descriptor, Profile, ProfileInput, ProfileOutput
from edgeship.monitoring.reports.bins import check_bins, rebin_counts
from edgeship.monitoring.reports.read import MOST_BYTES, READERS, read_report, to_dense
from edgeship.monitoring.reports.report import FIRST_SCHEMA, ClassCounts, Report, encode_report
from edgeship.monitoring.reports.windows import find_window, first_day, month_of

TEXT, COMPACT = ((Path(__file__).parent / f"schema_{number}.json").read_bytes().strip() for number in (1, 2))
EDGES = (0.5, 0.9)
PROFILE = Profile(
    server_model="f" * 64,
    artifacts={"tflite/int8": "1" * 64},
    data="e" * 64,
    samples=10,
    latency=tuple(range(1, 41)),
    inputs=(ProfileInput("image", "image", (Descriptor("mean", (0.1,)), Descriptor("deviation", (0.3,)))),),
    outputs=(
        ProfileOutput("scores", classes=3, confidence=EDGES, margin=EDGES, entropy=EDGES),
        ProfileOutput("length", values=ProfileInput("length", "tensor", (Descriptor("value 0", (1.0, 2.0)),))),
    ),
    answers={},
    not_counted={},
)


def _changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(TEXT), **fields}).encode()


def _refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_a_report_of_schema_1_is_read_and_written_as_it_was() -> None:
    report = read_report(TEXT)
    assert encode_report(report) == TEXT
    assert report.key == "00112233445566778899aabbccddeeff.2026-W48.1111111111111111.3"
    scores = report.outputs["scores"]
    assert isinstance(scores, ClassCounts)
    assert to_dense(scores.joint, 9) == [0, 0, 0, 1, 0, 0, 0, 0, 4]
    check_bins(report, PROFILE)


def test_a_report_of_schema_2_is_the_same_in_fewer_bytes() -> None:
    assert read_report(COMPACT) == read_report(TEXT)
    assert len(COMPACT) < len(TEXT)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"latency": [31]}, "latency must be pairs"),
        ({"latency": [31, 1, 0, 1]}, "ascending"),
        ({"latency": [31, 1, -5, 1]}, "latency[2] must be a whole number"),
        ({"user": "me"}, "schema 2 does not know, 'user'"),
        ({"n": 6}, "outputs.scores.joint has 5, and n is 6"),
    ],
)
def test_what_a_report_of_schema_2_cannot_say_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in _refusal(lambda: read_report(json.dumps({**json.loads(COMPACT), **fields}).encode()))


@pytest.mark.parametrize("field", json.loads(TEXT))
def test_a_renamed_field_is_refused(field: str) -> None:
    value = json.loads(TEXT)
    value[f"{field}_2"] = value.pop(field)
    assert field in _refusal(lambda: read_report(json.dumps(value).encode()))


@pytest.mark.parametrize("field", ["joint", "margin", "entropy", "kind"])
def test_a_renamed_field_of_an_output_is_refused(field: str) -> None:
    outputs = json.loads(TEXT)["outputs"]
    outputs["scores"][f"{field}_2"] = outputs["scores"].pop(field)
    assert field in _refusal(lambda: read_report(_changed(outputs=outputs)))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n": 6}, "outputs.scores.joint has 5, and n is 6"),
        ({"latency": [31, 6]}, "latency has 6, and n is 5"),
        ({"latency": [31]}, "latency must be pairs"),
        ({"latency": [31, 1, 31, 1]}, "ascending"),
        ({"latency": [31, 0]}, "latency must be pairs"),
        ({"switches": 6}, "switches has 6, and n is 5"),
        ({"inputs": {"image": [[4, 0, 0]]}}, "inputs.image[0] has 4"),
        ({"window": "2025-W53"}, "not '2025-W53'"),
        ({"window": "2026-48"}, "window must be a week of the ISO calendar as 2026-W48, not '2026-48'"),
        ({"install": "me@example.com"}, "install must be 32 hexadecimal digits"),
        ({"n": -1}, "n must be"),
        ({"n": 1.5}, "n must be a whole number"),
        ({"n": True}, "n must be a whole number"),
        ({"tier": "iPhone 15"}, "tier must be one of"),
        ({"schema": 3}, "schema 3, this edgeship reads 1, 2"),
        ({"schema": "1"}, "schema '1', this edgeship reads 1, 2"),
        ({"errors": {"Cannot open /home/me": 1}}, "lower-case"),
        ({"user": "me"}, "'user'"),
        ({"outcomes": {"accepted": [0, 2, 0, 2]}}, "outcomes.accepted must be pairs"),
        ({"n": 10**30}, "n must be"),
    ],
)
def test_what_a_report_cannot_say_is_refused_in_a_sentence(fields: dict[str, Any], said: str) -> None:
    refusal = _refusal(lambda: read_report(_changed(**fields)))
    assert said in refusal
    assert "\n" not in refusal
    assert len(refusal) < 200


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"1", b"\xff\xfe", TEXT[:-40], b"[" * 5000, TEXT + b" " * MOST_BYTES],
    ids=["empty", "open", "list", "number", "bytes", "cut", "deep", "large"],
)
def test_what_is_no_report_is_refused(content: bytes) -> None:
    assert "the report" in _refusal(lambda: read_report(content))


def test_a_report_of_another_known_schema_has_its_own_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def upcast(content: bytes) -> Report:
        value = json.loads(content)
        value["n"] = value.pop("count")
        return msgspec.convert({**value, "schema": FIRST_SCHEMA}, Report)

    monkeypatch.setitem(READERS, 7, upcast)  # type: ignore[arg-type]  # as an old one would be kept
    old = json.loads(TEXT)
    old["schema"], old["count"] = 7, old.pop("n")
    assert read_report(json.dumps(old).encode()) == read_report(TEXT)
    assert "has 5, and n is 6" in _refusal(lambda: read_report(json.dumps({**old, "count": 6}).encode()))
    assert "this edgeship reads 1, 2, 7" in _refusal(lambda: read_report(_changed(schema=3)))


def test_an_empty_report_is_refused() -> None:
    nothing = {"n": 0, "outputs": {}, "inputs": {}, "latency": [], "switches": 0, "errors": {}, "fallbacks": 0}
    assert "empty" in _refusal(lambda: read_report(_changed(**nothing, outcomes={})))
    assert read_report(_changed(**{**nothing, "errors": {"crash": 1}}, outcomes={})).n == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"content": "3" * 64}, "an artifact that is not in the bundle, tflite/int8"),
        ({"artifact": "tflite/float16"}, "an artifact that is not in the bundle, tflite/float16"),
        ({"outputs": {}}, "counts the outputs none, the profile length, scores"),
        ({"latency": [41, 1]}, "latency has a count in cell 41, the profile 41 cells"),
        ({"outcomes": {"accepted": [3, 1]}}, "outcomes.accepted has a count in cell 3"),
        ({"inputs": {"image": [[5, 0, 0], [5, 0]]}}, "inputs.image, deviation, has 2 bins"),
        ({"inputs": {"image": [[5, 0, 0]]}}, "inputs.image has 1 bins, the profile 2"),
    ],
)
def test_bins_of_another_profile_are_refused(fields: dict[str, Any], said: str) -> None:
    assert said in _refusal(lambda: check_bins(read_report(_changed(**fields)), PROFILE))


def test_joint_cells_of_another_profile_are_refused() -> None:
    outputs = json.loads(TEXT)["outputs"]
    outputs["scores"]["joint"] = [9, 5]
    assert "9 cells" in _refusal(lambda: check_bins(read_report(_changed(outputs=outputs)), PROFILE))
    outputs["scores"], outputs["length"] = outputs["length"], outputs["scores"]
    assert "classes" in _refusal(lambda: check_bins(read_report(_changed(outputs=outputs)), PROFILE))


def test_counts_are_brought_into_coarser_bins_only_where_edges_nest() -> None:
    assert rebin_counts([1, 2, 3, 4], (0.1, 0.5, 0.9), (0.5,)) == [3, 7]
    assert rebin_counts([1, 2, 3, 4, 9], (0.1, 0.5, 0.9), (0.1, 0.9)) == [1, 5, 4, 9]
    assert "edge at 0.4" in _refusal(lambda: rebin_counts([1, 2, 3, 4], (0.1, 0.5, 0.9), (0.4,)))


def test_every_day_is_in_one_window_and_every_window_has_one_month() -> None:
    for number in range(800):
        day = date(2024, 12, 1) + timedelta(days=number)
        monday = first_day(find_window(day))
        assert timedelta(0) <= day - monday < timedelta(days=7)
    assert find_window(date(2027, 1, 1)) == "2026-W53"
    assert [month_of(window) for window in ("2026-W53", "2027-W01", "2026-W31")] == ["2026-12", "2027-01", "2026-07"]

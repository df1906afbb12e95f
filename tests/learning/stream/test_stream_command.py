"""`edgeship stream` on files: what it refuses, what it sets aside, and how it goes on."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeship import api
from edgeship.data import load
from tests.learning import small_world
from tests.learning.stream.conftest import make_rows

WAITING = ("--interval", 1000)  # nothing is learned


def test_rows_that_cannot_be_read_are_set_aside(world, place, stream):
    table = make_rows(5, 1).to_pydict()
    table["image"][1] = [1, 2, 3]
    table["image"][2][7] = 300
    table["label"][3] = None
    table["id"][4] = ""
    judged = load(world / "evaluation.npz")
    table["id"] += ["row-0", "judge"]
    table["image"] += [table["image"][0], judged["image"][3].reshape(-1).astype(int).tolist()]
    table["label"] += [table["label"][0], small_world.LABELS[judged["y"][3]]]
    pq.write_table(pa.table(table), place / "rows.parquet")
    result = stream("rows.parquet", *WAITING)
    assert result["counts"] == {"unlabelled": 1, "repeated": 1, "set_aside": 4}
    assert result["share"]["rows"] == 1 == result["waiting"] and result["intervals"] == []
    lines = [json.loads(line) for line in (place / result["quarantine"]).read_text().splitlines()]
    assert [line["place"] for line in lines] == [f"rows.parquet row {number}" for number in (2, 3, 5, 7)]
    assert "a list of 3 numbers, not 64" in lines[0]["reason"] and "300 is beyond 0 to 255" in lines[1]["reason"]
    assert lines[2]["reason"] == "has no key in id" and "evaluation data, which judges" in lines[3]["reason"]
    again = stream("rows.parquet", *WAITING)
    assert again["counts"] == result["counts"] and again["share"] == result["share"]


def test_a_csv_has_a_column_for_each_number(place, stream):
    table = make_rows(40, 2).to_pydict()
    with (place / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "id", *(f"image_{number}" for number in range(64))])
        writer.writerows([label, key, *image] for key, image, label in zip(*table.values(), strict=True))
        writer.writerow(["left", "odd"])
        writer.writerow(["left", "odd, too", *["x"] * 64])
    result = stream("rows.csv", *WAITING)
    assert result["share"]["rows"] == 40 and result["share"]["accuracy"] > 0.9 and result["counts"]["set_aside"] == 2
    page = (place / result["page"]).read_text()
    assert "40 rows wait for the end of their interval" in page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": "sideways"}, "rows.parquet row 3: key row-2 label 'sideways' is no class of the model (left, right"),
        ({"id": "row-0", "label": "top"}, "rows.parquet row 3: key row-0 has label top, and had left before"),
    ],
)
def test_rows_that_contradict_are_refused_and_can_be_put_right(place, stream, change, says):
    table = make_rows(4, 1).to_pydict()
    table["label"][0] = "left"
    right = {name: list(values) for name, values in table.items()}
    for name, value in change.items():
        table[name][2] = value
    pq.write_table(pa.table(table), place / "rows.parquet")
    stream("rows.parquet", *WAITING, code=2, says=says)
    pq.write_table(pa.table(right), place / "rows.parquet")
    assert stream("rows.parquet", *WAITING)["share"]["rows"] == 4


def test_what_cannot_be_used_is_said(world, place, rows, stream, edgeship):
    stream("nowhere", code=2, says="nowhere: no such file or folder")
    stream("rows", "--label", "kind", code=2, says="no column kind (--label); it has id, image, label")
    stream("rows", "--key", "name", code=2, says="no column name (--key)")
    stream("rows", "--query", "select 1", code=2, says="--query and --watermark are for databases")
    stream(
        "postgresql://me:secret@127.0.0.1:1/x", "--query", "select 1", code=2, says="--watermark must name the column"
    )
    stream("rows", "--interval", "5", code=2, says="at least 32 rows")
    stream("rows", "--channel", "site", code=2, says="--channel-name")
    empty = pa.table({"id": pa.array([], pa.string()), "image": pa.array([], pa.list_(pa.int64())), "label": pa.array([], pa.string())})  # fmt: skip  # noqa: E501
    pq.write_table(empty, place / "empty.parquet")
    stream("empty.parquet", "--state", "new", code=2, says="empty.parquet: holds no row")
    stream("rows", *WAITING)
    stream("rows", *WAITING, "--seed", 1, code=2, says="the state of another stream: --seed was 0, and is 1")
    (place / "rows" / "0.parquet").unlink()
    (place / "rows" / "1.parquet").unlink()
    stream("rows", *WAITING, code=2, says="rows: no rows are there")
    edgeship("registry", "add", world / "bundle", "--name", "others")
    given = ["--from", "rows", "--state", "other", "--once"]
    edgeship("stream", "--name", "others", *given, code=2, says="others has no champion yet")


@pytest.mark.more
def test_what_forgets_is_refused_and_the_stream_goes_on_from_before(place, stream):
    """Labels of a field that calls left what was right: all that is learned of it is wrong on old data."""
    swapped = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    (place / "rows").mkdir()
    for number in range(2):
        table = make_rows(96, 60 + number, first=96 * number).to_pydict()
        table["label"] = [swapped[label] for label in table["label"]]
        pq.write_table(pa.table(table), place / "rows" / f"{number}.parquet")
    result = stream("rows", "--replay", 0, "--learning-rate", 0.01, "--epochs", 10, code=1)
    assert [item["verdict"] for item in result["intervals"]] == ["refused"] * len(result["intervals"])
    assert result["model"] == 1 and result["refused"] == result["new"] >= 2
    assert all(item["parent"] == 1 and item["predicted_by"] == 1 for item in result["intervals"])
    assert result["share"]["accuracy"] < 0.1
    assert any("margin" in reason and reason.endswith("beyond it") for reason in result["intervals"][0]["reasons"])
    versions = api.list_versions("bars", store=f"sqlite:///{place / 'registry.db'}")
    assert [row.aliases for row in versions] == [("champion",), *[()] * result["new"]]


@pytest.mark.more
def test_a_sudden_change_ends_an_interval_early_and_is_published(world, place, stream, edgeship):
    (place / "rows").mkdir()
    pq.write_table(make_rows(200, 70), place / "rows" / "0.parquet")
    pq.write_table(make_rows(200, 71, 1.0, 200), place / "rows" / "1.parquet")
    edgeship("deploy", "keygen", "--out", "keys")
    channel = ["--channel", "site", "--channel-name", "bars/stable", "--signing-key", "keys"]
    result = stream("rows", "--interval", 180, "--head-only", *channel)
    early = [item for item in result["intervals"] if item["drift"]]
    assert early and 200 < early[0]["drift"]["row"] <= 330 and early[0]["ended"] == "drift"
    assert early[0]["share"]["rows"] < 180 and early[0]["drift"]["now"] > early[0]["drift"]["before"]
    published = [item["published"] for item in result["intervals"] if item["published"] is not None]
    assert published == list(range(1, len(published) + 1)) and published, "what is surely not worse, in its order"
    page = (place / result["page"]).read_text()
    assert "<svg" in page and "drift" in page
    head = api.open_bundle(place / "state" / "versions" / str(result["model"]))
    assert head.manifest.gate is not None and head.manifest.gate.verdict == "PASS"

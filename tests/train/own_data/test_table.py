from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.deploy.contract.describe import describe_inputs
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.errors import InputError
from edgeship.settings.config import Config
from edgeship.train.own_data import protocol
from edgeship.train.own_data.baselines import predict_baselines
from edgeship.train.own_data.samples import OwnData, Prepared
from edgeship.train.own_data.sources.columns import sort_labels
from edgeship.train.own_data.sources.dates import DateColumn, build_calendar
from edgeship.train.own_data.sources.source import Source, read_source
from edgeship.train.own_data.sources.texts import name_inputs
from edgeship.train.own_data.trainer import render_forms
from edgeship.types import TensorSpec
from tests.train.own_data.tables import SHOP, shop_rows, write_table


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("shop") / "shop.csv", SHOP, shop_rows(400))


def read(path: Path, label: str = "bought", **more: Any) -> OwnData:
    return read_source(Source(path, label, **more), path.parent)


class _Model:
    output_names = ("probability",)


def contract_of(prepared: Prepared, data: OwnData, folder: Path) -> list[ContractInput]:
    """The contract's inputs, by way of the file that training writes."""
    config = folder / "inputs.toml"
    config.write_text(render_forms(prepared.forms, _Model, data.target), encoding="utf-8")
    stated = Config.read(config)
    assert stated.output["probability"].threshold == 0.5
    specs = [TensorSpec(name, (None, *array.shape[1:]), str(array.dtype)) for name, array in prepared.inputs.items()]
    return list(describe_inputs(specs, dict(prepared.inputs), stated.input))


def test_an_app_makes_of_every_raw_row_what_the_network_was_trained_on(shop: Path, tmp_path: Path) -> None:
    """Row by row, gaps and rare categories included: by the contract, from the texts of the file alone."""
    data = read(shop)
    prepared = data.prepare(np.arange(0, 400, 2))
    items = contract_of(prepared, data, tmp_path)
    assert {item.name for item in items} == {"numbers", "categories"}
    rows = list(csv.DictReader(shop.open(encoding="utf-8")))
    assert any(not row["income"] for row in rows) and any(not row["town"] for row in rows)
    for number, row in enumerate(rows):
        for item in items:
            texts = [row[column.name] for column in item.raw.columns]
            made = preprocess_input(item, texts)[0]
            np.testing.assert_array_equal(
                made.astype(prepared.inputs[item.name].dtype), prepared.inputs[item.name][number]
            )


def test_medians_and_categories_are_those_of_the_training_rows(tmp_path: Path) -> None:
    rows = [(1.0, "a", "n")] * 30 + [(9.0, "b", "y")] * 40 + [("", "", "n")] * 5
    data = read(write_table(tmp_path / "t.csv", ("x", "c", "label"), rows), "label")
    prepared = data.prepare(np.arange(30))
    (number,), (category, gaps) = (prepared.forms[name]["columns"] for name in ("numbers", "categories"))
    assert number == {"name": "x", "kind": "number", "missing": 1.0}
    assert category == {"name": "c", "kind": "category", "values": ["a"], "unknown": 1}
    assert gaps == {"name": "x", "kind": "category", "values": [""], "unknown": 1}
    np.testing.assert_array_equal(prepared.inputs["numbers"][[0, 40, 72], 0], np.array([1, 9, 1], np.float32))
    np.testing.assert_array_equal(prepared.inputs["categories"][[0, 40, 72]], [[0, 3], [1, 3], [1, 2]])


def test_rare_categories_share_the_place_of_unknown_ones(tmp_path: Path) -> None:
    rows = [("often", "n")] * 30 + [("seldom", "y")] * 2 + [("too", "y")] * 30
    data = read(write_table(tmp_path / "t.csv", ("c", "label"), rows), "label")
    prepared = data.prepare(np.arange(62))
    assert prepared.forms["categories"]["columns"][0]["values"] == ["often", "too"]
    assert set(prepared.inputs["categories"][30:32, 0]) == {2}
    assert "numbers" not in prepared.inputs


def test_moments_are_not_learned_from_and_it_says_so(tmp_path: Path) -> None:
    rows = [
        (f"note {n}", f"2024-01-{n % 28 + 1:02} 12:{n % 60:02}:00", f"{1900 + n}-01-01", n, "", n % 2)
        for n in range(60)
    ]
    names = ("note", "moment", "century", "x", "empty", "label")
    data = read(write_table(tmp_path / "t.csv", names, rows), "label")
    told = " ".join(data.notes)
    assert "moment is not learned from: date, but not of days" in told and "note" not in told
    assert "century is not learned from: date" in told and "empty is not learned from: missing throughout" in told
    assert data.target.labels == ("0", "1") and set(data.prepare(np.arange(60)).inputs) == {"numbers", "text_note"}


def test_an_app_makes_of_every_raw_text_what_the_network_was_trained_on(tmp_path: Path) -> None:
    """Gaps, texts longer than the model looks at, several lines and other scripts included."""
    random = np.random.default_rng(3)
    notes = [
        " ".join(random.choice(["Größe", "it's", "no. 7", "\u6f22\u5b57", "A\nb", "x"], n % 40)) for n in range(80)
    ]
    notes[5], notes[6] = "", "NA"
    rows = [(note, n, n % 2) for n, note in enumerate(notes)]
    path = write_table(tmp_path / "t.csv", ("Note, 1", "x", "label"), rows)
    data = read(path, "label")
    prepared = data.prepare(np.arange(0, 80, 2))
    assert prepared.forms["text_Note_1"] == {"kind": "text", "buckets": 4096, "column": "Note, 1"}
    (item,) = (item for item in contract_of(prepared, data, tmp_path) if item.kind == "text")
    ids = prepared.inputs["text_Note_1"]
    assert ids.dtype == np.int32 and 4 < ids.shape[1] < data.word_ids(np.arange(80))[0].astype(bool).sum(1).max()
    assert ids.shape[1] == item.tensor.shape[1] and not ids[[5, 6]].any() and ids[39].all()
    for number, note in enumerate(notes):
        np.testing.assert_array_equal(preprocess_input(item, "" if note == "NA" else note)[0], ids[number])
    np.testing.assert_array_equal(data.word_ids(np.array([9, 4]))[0][:, : ids.shape[1]], ids[[9, 4]])
    assert data.show_row(5).startswith("Note, 1=missing") and "Größe" in " ".join(map(data.show_row, range(80)))


def test_baselines_have_the_words_of_texts(tmp_path: Path) -> None:
    rows = [(f"{'good' if n % 3 else 'bad'} thing, no. {n}", "yes" if n % 3 else "no") for n in range(400)]
    data = read(write_table(tmp_path / "t.csv", ("note", "label"), rows), "label")
    scores = predict_baselines(data, np.arange(300), np.arange(300, 400), 0)
    right = {name: (data.target.answers(found) == data.targets[300:]).mean() for name, found in scores.items()}
    assert right["constant"] < 0.7 and right["linear model"] > 0.9 and right["boosted trees"] > 0.9


def test_names_that_no_two_rows_share_are_left_out_and_it_says_so(tmp_path: Path) -> None:
    """A hash gives them few ids, which recur."""
    rows = [(f"A{n:05}", f"Ms {n % 9} of B{n}", n, n % 2) for n in range(9000)]
    data = read(write_table(tmp_path / "t.csv", ("customer", "person", "x", "label"), rows), "label")
    (told,) = data.notes
    assert told.startswith("column customer is not learned from: its words hardly ever recur")
    assert set(data.prepare(np.arange(9000)).inputs) == {"numbers", "text_person"}


def test_texts_that_are_all_alike_are_left_out_and_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text('file = "t.csv"\n[column.note]\nkind = "text"\n[column.gap]\nkind = "text"\n')
    rows = [("The same!", "", n, n % 2) for n in range(40)]
    data = read(write_table(tmp_path / "t.csv", ("note", "gap", "x", "label"), rows), "label")
    assert "column note is not learned from: its texts are all alike" in data.notes
    assert any(note.startswith("column gap is not learned from") for note in data.notes)
    assert set(data.prepare(np.arange(40)).inputs) == {"numbers"} and not data.word_ids(np.arange(3))


def test_inputs_of_texts_have_different_names() -> None:
    names = ("a b", "a-b", "\u00e9", "\u00ea", "text_a_b", "x" * 90)
    found = name_inputs(names)
    assert [found[name] for name in names[:4]] == ["text_a_b", "text_a_b_2", "text_column", "text_column_2"]
    assert len(set(found.values())) == 6 and all(len(name) < 60 for name in found.values())


def test_a_day_is_looked_up_and_the_model_knows_what_day_it_is(tmp_path: Path) -> None:
    """Gaps, days before all training rows and days after them included."""
    first = datetime.date(2023, 12, 28)
    days = [first + datetime.timedelta(n) for n in range(80)]
    rows = [("" if n % 11 == 3 else day, n % 2) for n, day in enumerate(days)]
    path = write_table(tmp_path / "t.csv", ("day", "label"), rows)
    data = read(path, "label")
    prepared = data.prepare(np.arange(20, 60))
    (item,) = contract_of(prepared, data, tmp_path)
    assert item.name == "dates"
    places = prepared.inputs["dates"][:, 0]
    for number, row in enumerate(csv.DictReader(path.open(encoding="utf-8"))):
        assert preprocess_input(item, [row["day"]])[0, 0] == places[number]
    values = item.raw.columns[0].values
    assert values[0] == str(days[20]) and values[-2] > "2029-01-01" and values[-1] == ""
    assert set(places[[0, 19]]) == {len(values)} and places[25] == len(values) - 1  # unknown, missing
    calendar = build_calendar(
        DateColumn("day", np.array([np.datetime64(day).astype(int) for day in days], np.float32)), np.arange(20, 60)
    ).table
    for number in (30, 70):
        features = calendar[(days[number] - days[20]).days]
        assert features[0] == pytest.approx(min(1, (number - 20) / 39)) and features[10] == 1
        assert features[1:8].argmax() == days[number].weekday() and features[1:8].sum() == 1
        turn = 2 * np.pi * ((days[number] - datetime.date(1970, 1, 1)).days % 365.25) / 365.25
        np.testing.assert_allclose(features[8:10], [np.sin(turn), np.cos(turn)], atol=1e-6)
    assert not calendar[-2:].any()
    assert (
        data.features(np.array([0, 25]))[:, 1].tolist()[0] == days[0].weekday()
        and np.isnan(data.features(np.array([25]))).all()
    )


def test_a_value_of_many_numbers_is_no_class(tmp_path: Path) -> None:
    rows = [(n, n * 1.5) for n in range(60)]
    data = read(write_table(tmp_path / "t.csv", ("x", "label"), rows), "label")
    assert not data.target.is_class and data.targets.dtype == np.float32
    (tmp_path / "data.toml").write_text('file = "t.csv"\n[column.x]\nkind = "category"\n')
    assert data.categorical == [False] and read(tmp_path / "t.csv", "label").categorical == [True]


def refuse(path: Path, why: str, label: str = "label", **more: Any) -> None:
    def learn() -> None:
        data = read(path, label, **more)
        protocol.choose_splits(data)
        data.prepare(np.arange(len(data.targets)))

    with pytest.raises(InputError, match=why) as found:
        learn()
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(n, "same") for n in range(40)], "one class only"),
        ([(n, "") for n in range(40)], "every value is missing"),
        ([(n, "a" if n % 2 else "b" if n else "") for n in range(40)], "missing in 1 rows"),
        ([(n, "a" if n else "b") for n in range(40)], "class 'b' has 1 sample; it takes 3"),
        ([(n, "ab"[n % 2]) for n in range(12)], "12 samples"),
        ([("inf" if n == 3 else n, "ab"[n % 2]) for n in range(40)], "holds infinity"),
        ([("-1e39" if n == 3 else n, "ab"[n % 2]) for n in range(40)], "numbers beyond float32"),
        ([(n, f"{n}.5e39") for n in range(40)], "numbers beyond float32"),
        ([(f"2024-01-01 12:{n:02}:00", "ab"[n % 2]) for n in range(40)], "no column to learn from"),
        ([(n, 5.5) for n in range(40)], "always 5.5|one class"),
        ([(n, "a\u202eb" if n % 2 else "c") for n in range(40)], "cannot be shown"),
    ],
)
def test_what_cannot_be_learned_is_refused(rows: list[tuple[object, ...]], why: str, tmp_path: Path) -> None:
    refuse(write_table(tmp_path / "t.csv", ("x", "label"), rows), why)


def test_a_column_that_is_not_there_is_refused_with_the_others(shop: Path) -> None:
    refuse(shop, "no column 'buyed'; there are: age, income, town", label="buyed")
    refuse(shop, "no column 'shop'", label="bought", group="shop")
    refuse(shop, "column is boolean; it takes dates", label="bought", time="member")


def test_text_among_stated_numbers_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", ("x", "label"), [("?" if n == 7 else n, "ab"[n % 2]) for n in range(40)])
    (tmp_path / "data.toml").write_text('file = "t.csv"\n[column.x]\nkind = "number"\n')
    refuse(path, r"column 'x' is stated as number in data.toml, and holds '\?'")


def test_classes_that_are_numbers_are_in_the_order_of_numbers() -> None:
    assert sort_labels(["10", "9", "-1"]) == ("-1", "9", "10")
    assert sort_labels(["b", "10", "a"]) == ("10", "a", "b")

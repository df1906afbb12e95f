"""`edgeship data check` of tables: planted faults are found, clean tables cry nothing, bad input is told."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from threadpoolctl import threadpool_info

from edgeship.cli import cli
from edgeship.data_checks import checks
from edgeship.data_checks.methods import duplicates
from edgeship.data_checks.sources.table import check_table
from edgeship.errors import CheckError, InputError, MissingDependencyError
from scripts.bench.data_checks import PLANTED, check_draw, count_alarms, count_finds, count_shifts

from . import drawn_tables as draw


@pytest.mark.parametrize("kind", draw.CLEAN)
def test_clean_tables_cry_nothing(kind, tmp_path):
    assert count_alarms(kind, 1, tmp_path) == (0, [])


@pytest.mark.more
@pytest.mark.parametrize("kind", draw.CLEAN)
def test_twenty_clean_tables_cry_nothing(kind, tmp_path):
    assert count_alarms(kind, 20, tmp_path) == (0, [])


@pytest.mark.parametrize(("what", "kind"), [(what, kinds[-1]) for what, (_, kinds, _) in PLANTED.items()])
def test_planted_faults_are_found(what, kind, tmp_path):
    assert count_finds(what, kind, 1, tmp_path) == 1


def test_planted_shift_is_found(tmp_path):
    assert count_shifts("gaps", 1, tmp_path) == 1


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.more) for seed in range(1, 20))])
def test_a_word_that_gives_the_class_away_is_found_and_others_are_not(seed, tmp_path):
    rng = np.random.default_rng(seed)
    clean = draw.draw_texts(rng)
    assert check_draw(clean, tmp_path).findings == ()
    (finding,) = check_draw(draw.plant_word_leak(clean, rng), tmp_path).findings
    assert (finding.check, finding.severity) == ("leakage", "spoils")
    assert finding.columns == ("note (words 0xx, 1xx, 2xx)",)


def test_labels_that_are_called_wrong_are_those_that_were_planted(tmp_path):
    rng = np.random.default_rng(0)
    table, wrong = draw.plant_wrong_labels(draw.draw_separable(rng), rng)
    report = check_draw(table, tmp_path)
    assert report.labels is not None
    rows = {int(item.sample.removeprefix("row ").replace(",", "")) - 2 for item in report.labels.suspects}
    assert len(rows & wrong) >= 0.7 * len(rows)
    assert len(rows & wrong) >= 0.6 * len(wrong)
    (finding,) = (item for item in report.findings if item.check == "labels")
    assert finding.severity == "spoils"
    assert "Northcutt" in finding.text


def test_columns_that_tell_nothing_or_too_little(tmp_path):
    rng = np.random.default_rng(1)
    table = draw.draw_numbers(rng)
    rows = range(draw.ROWS)
    table |= {
        "constant": ["x"] * draw.ROWS,
        "twin": table["n0"],
        "empty": [""] * draw.ROWS,
        "gaps": [i if i % 3 == 0 else "" for i in rows],
        "endless": ["inf" if i == 7 else i % 10 for i in rows],
        "odd": ["unknown" if i % 50 == 0 else i % 90 for i in rows],
        "price": [f"{row * 7 % 1000},{row % 90 + 10}" for row in rows],
        "answer": [f"it was {value}" for value in table["y"]],
    }
    found = {(item.check, item.severity, item.columns) for item in check_draw(table, tmp_path).findings}
    assert found == {
        ("constant", "notice", ("constant",)),
        ("equal columns", "notice", ("n0", "twin")),
        ("missing", "notice", ("empty",)),
        ("missing", "notice", ("gaps",)),
        ("infinite", "spoils", ("endless",)),
        ("mixed", "spoils", ("odd",)),
        ("mixed", "spoils", ("price",)),
        ("leakage", "spoils", ("answer",)),
    }


def test_columns_that_models_choke_on(tmp_path):
    """Numbers beyond float32, none that is finite, one value in a single fold, dates: scikit-learn takes none of them as is."""
    rng = np.random.default_rng(7)
    table = draw.draw_numbers(rng)
    table |= {
        "huge": [value * 1e307 for value in table["n0"]],
        "infinite": ["-inf"] * draw.ROWS,
        "single": [3 if row == 5 else "" for row in range(draw.ROWS)],
        "day": [f"2026-01-{row % 28 + 1:02d}T{row % 24:02d}:30" for row in range(draw.ROWS)],
    }
    report = check_draw(table, tmp_path)
    assert {(item.check, item.columns) for item in report.findings} == {
        ("infinite", ("infinite",)),
        ("infinite", ("huge",)),
        ("constant", ("infinite",)),
        ("missing", ("single",)),
    }
    scores = {item.column: item.score for item in report.scores}
    assert scores["huge"] == scores["n0"]
    huge = {"y": [value * 1e307 for value in table["n0"]], "x": table["n0"], "z": table["n1"]}
    found = {(item.check, item.columns) for item in check_draw(huge, tmp_path).findings}
    assert found == {("leakage", ("x",)), ("infinite", ("y",))}


def test_samples_and_groups_in_two_splits(tmp_path):
    table = draw.draw_numbers(np.random.default_rng(2))
    table["person"] = [f"p{row // 3}" for row in range(draw.ROWS)]
    first = draw.write_csv(tmp_path / "a.csv", draw.take_rows(table, list(range(600))))
    apart = draw.write_csv(tmp_path / "b.csv", draw.take_rows(table, list(range(600, 900))))
    joined = draw.write_csv(tmp_path / "c.csv", draw.take_rows(table, list(range(570, 900))))
    assert check_table(first, "y", apart, "person")[0].findings == ()
    shared, groups = check_table(first, "y", joined, "person")[0].findings
    assert (shared.check, groups.check) == ("shared", "groups")
    assert shared.text.startswith("30 of 330 samples (9.1%)")
    assert "10 of 110 groups" in groups.text
    assert shared.examples[0] == "row 572 = row 2"


def test_groups_that_float64_cannot_tell_apart(tmp_path):
    """Numbers of customers as services give them out: 64 bits, one after the other."""
    table = draw.draw_numbers(np.random.default_rng(2))
    table["customer"] = [2**62 + row // 3 for row in range(draw.ROWS)]
    first = draw.write_csv(tmp_path / "a.csv", draw.take_rows(table, list(range(600))))
    apart = draw.write_csv(tmp_path / "b.csv", draw.take_rows(table, list(range(600, 900))))
    joined = draw.write_csv(tmp_path / "c.csv", draw.take_rows(table, list(range(570, 900))))
    assert check_table(first, "y", apart, "customer")[0].findings == ()
    _, groups = check_table(first, "y", joined, "customer")[0].findings
    assert groups.text.startswith("10 of 110 groups") and groups.examples[0] == str(2**62 + 190)


def test_rows_without_a_number_do_not_explain_copies(tmp_path):
    """Where both rows lack the one number, and the rest is of few values, they differ in the other number alone."""
    rng = np.random.default_rng(0)
    table = {
        "a": list(rng.normal(size=300).round(4)),
        "b": ["" if rng.random() < 0.1 else round(rng.normal(), 4) for _ in range(300)],
        "colour": list(rng.choice(["red", "green", "blue"], 300)),
        "y": list(rng.integers(0, 2, 300)),
    }
    path = draw.write_csv(tmp_path / "a.csv", table)
    (tmp_path / "b").mkdir()
    same = draw.write_csv(tmp_path / "b" / "b.csv", table)
    (shared,) = check_table(path, "y", same, None)[0].findings
    assert shared.check == "shared" and shared.text.startswith("300 of 300 samples")


def test_chance_explains_equal_rows_of_few_values_only():
    codes = np.random.default_rng(3).integers(0, 4, (400, 4)).astype(np.uint64)
    assert duplicates.chance_explains(duplicates.combine_columns(codes))
    numbers = np.random.default_rng(4).integers(0, 1 << 60, (400, 4)).astype(np.uint64)
    numbers = np.concatenate((numbers, numbers[:20]))
    assert not duplicates.chance_explains(duplicates.combine_columns(numbers))
    assert duplicates.find_copies(duplicates.combine_columns(numbers).sum(axis=1, dtype=np.uint64)).count == 20


def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = draw.plant_leak(draw.draw_gaps(np.random.default_rng(0)), np.random.default_rng(0))
    draw.write_csv(tmp_path / "d.csv", table)
    done = CliRunner().invoke(cli, ["data", "check", "d.csv", "--label", "y", "--json", "found.json"])
    assert isinstance(done.exception, CheckError)
    assert "SPOILED: d.csv, 900 samples" in done.stdout
    assert "'status' alone tells 'y'" in done.stdout
    record = json.loads((tmp_path / "found.json").read_text())
    assert (record["verdict"], record["report"]["findings"][0]["check"]) == ("SPOILED", "leakage")
    page = (tmp_path / "d-check" / "index.html").read_text()
    assert "SPOILED" in page
    assert page.count("<svg") == len(table) + 1
    (tmp_path / "data.toml").write_text(
        (tmp_path / "data.toml")
        .read_text()
        .replace('[column.status]\nkind = "category"', '[column.status]\nkind = "ignored"')
    )
    done = CliRunner().invoke(cli, ["data", "check", "d.csv", "--label", "y"])
    assert done.exit_code == 0, done.output
    assert "CLEAN" in done.stdout


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a,y\n1,x\n2,x\n3,x\n", {}, r"label 'y': one class only, 'x'"),
        ("a,y\n" + "".join(f"{i},3.5\n" for i in range(30)), {}, r"label 'y': the same in all rows"),
        ("a,y\n1,x\n2,\n3,z\n4,x\n5,z\n", {}, r"label 'y': 1 of 5 rows have none"),
        ("a,y\n" + "".join(f"{i},{i}.5\n" for i in range(30)) + "1,\n", {}, r"label 'y': 1 rows have none"),
        ("a,y\n1,\n2,\n3,\n4,\n5,\n", {}, r"label 'y': every value is missing"),
        ("a,y\n1,x\n2,z\n3,w\n", {}, r"label 'y' is text: 3 different values in 3 rows"),
        ("a,y\n1,1\n2,2\n3,3\n", {}, r"3 classes in 3 rows"),
        ("a,b\n1,2\n", {}, r"no column 'y'; there are: a, b"),
        ("a,y\n1,x\n2,z\n3,x\n4,z\n", {"group": "who"}, r"no column 'who'; there are: a, y"),
    ],
)
def test_bad_tables(tmp_path, text, options, sentence):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        check_table(tmp_path / "d.csv", "y", None, options.get("group"))


def test_bad_evaluation_data(tmp_path):
    table = draw.draw_numbers(np.random.default_rng(5))
    path = draw.write_csv(tmp_path / "d.csv", table)
    other = draw.write_csv(tmp_path / "e.csv", {**table, "n3": ["much", *table["n3"][1:]]})
    with pytest.raises(InputError, match=r"e\.csv: column 'n3' is a number, and row 2 holds 'much'"):
        check_table(path, "y", other, None)
    other = draw.write_csv(tmp_path / "e.csv", {name: column for name, column in table.items() if name != "y"})
    with pytest.raises(InputError, match=r"e\.csv: no column 'y'"):
        check_table(path, "y", other, None)


def test_nothing_is_half_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw.write_csv(tmp_path / "d.csv", draw.draw_numbers(np.random.default_rng(6)))
    (tmp_path / "taken").write_text("")
    for arguments in (["d.csv", "--out", "taken"], ["d.csv", "--label", "nope"], ["no.csv"]):
        done = CliRunner().invoke(cli, ["data", "check", *arguments])
        assert isinstance(done.exception, InputError)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "taken"]


def test_without_scikit_learn_a_sentence_says_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgeship\[data\]'"):
        check_draw(draw.draw_numbers(np.random.default_rng(8)), tmp_path)


def test_the_models_have_one_thread(monkeypatch):
    """On a machine that is busy threads of OpenMP spin while they wait for each other: 98 s in place of 8."""
    pools: list[Any] = []
    monkeypatch.setattr(checks, "_check_splits", lambda *_: pools.extend(threadpool_info()))
    split: Any = None
    checks.check_splits(split, None)
    assert "openmp" in {pool["user_api"] for pool in pools}
    assert {pool["num_threads"] for pool in pools} == {1}

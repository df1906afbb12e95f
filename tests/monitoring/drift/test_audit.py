from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.cli.monitoring.monitor import monitor
from edgeship.errors import InputError
from edgeship.monitoring.drift.audit import judge_audit


def run(*words):
    return CliRunner().invoke(monitor, ["audit", *map(str, words)])


def write_samples(path, count=600, users=500, accuracy=0.9):
    rng = np.random.default_rng(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "user", "predicted", "truth", "server"])
        for number in range(count):
            truth = rng.integers(10)
            said, server = (truth if rng.random() < share else (truth + 1) % 10 for share in (accuracy, 0.9))
            writer.writerow([f"{number}.png", number % users, said, truth, server])
    return path


def fill_in(path, count=None):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:count]:
        row["label"] = row["truth"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_draw_has_each_user_once_and_can_be_repeated(tmp_path):
    samples = write_samples(tmp_path / "samples.csv")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        result = run("draw", samples, "--count", 400, "--seed", seed, "--out", tmp_path / f"{name}.csv")
        assert result.exit_code == 0, result.output
    first, again, other = ((tmp_path / f"{name}.csv").read_text() for name in "abc")
    assert first == again != other
    rows = list(csv.DictReader(first.splitlines()))
    assert len({row["user"] for row in rows}) == len(rows) == 400
    assert {row["label"] for row in rows} == {""}


@pytest.mark.parametrize(("accuracy", "verdict", "code"), [(0.9, "PASS", 0), (0.6, "FAIL", 1)])
def test_the_verdict_is_that_of_the_gate(tmp_path, accuracy, verdict, code):
    samples = write_samples(tmp_path / "samples.csv", accuracy=accuracy)
    audit = tmp_path / "audit.csv"
    assert run("draw", samples, "--count", 450, "--out", audit).exit_code == 0
    result = run("judge", fill_in(audit), "--tolerance", 8, "--json", "-")
    content = json.loads(result.output)
    assert (result.exit_code, content["verdict"]) == (code, verdict)
    assert content["drops"][0]["method"].startswith("Tango")


def test_few_labels_decide_nothing_and_say_how_many_would(tmp_path):
    audit = tmp_path / "audit.csv"
    run("draw", write_samples(tmp_path / "samples.csv"), "--count", 100, "--out", audit)
    result = run("judge", fill_in(audit, 60))
    assert result.exit_code == 1
    assert "INCONCLUSIVE" in result.output
    assert "labels would decide" in result.output
    assert "40 rows have no label yet" in result.output


def test_the_interval_beside_the_lab_holds_the_truth(tmp_path):
    """Of audits of a model that lost nothing 95 % or more have 0 in their interval."""
    rng, held = np.random.default_rng(2), 0
    path = tmp_path / "audit.csv"
    for _ in range(60):
        right = rng.random(200) < 0.9
        path.write_text("predicted,label\n" + "".join(f"{int(item)},1\n" for item in right))
        drop = judge_audit(path, 0.05, (rng.binomial(1000, 0.9) / 1000, 1000)).drops[0]
        held += drop.low <= 0 <= drop.high
    assert held >= 54


def test_names_of_classes_may_stand_for_numbers(tmp_path):
    path = tmp_path / "audit.csv"
    path.write_text("predicted,label\n0,cat\n1,dog\n1,cat\n")
    assert judge_audit(path, 0.01, classes=("cat", "dog")).accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("label\n1\n", "column predicted"),
        ("predicted\n1\n", "no column label"),
        ("predicted,label\n1,\n", "no row has a label"),
        ("predicted,label\n1\n", ":2: has another number of columns"),
        ("predicted,label\n", "no rows"),
        ("predicted,label,label\n1,1,1\n", "each column once"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path, content, text):
    path = tmp_path / "audit.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=text):
        judge_audit(path, 0.01)


def test_labels_are_not_overwritten(tmp_path):
    samples = write_samples(tmp_path / "samples.csv")
    result = run("draw", samples, "--out", samples)
    assert isinstance(result.exception, InputError)
    assert "is there already" in str(result.exception)
    few = run("draw", samples, "--count", 501, "--out", tmp_path / "audit.csv")
    assert "500 users" in str(few.exception)

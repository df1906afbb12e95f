"""Two models on the same inputs: the joint table, and which of them is right where they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgeship.cli import cli
from edgeship.client.outcome import ClientError
from edgeship.client.shadow import ShadowTable
from edgeship.errors import InputError
from edgeship.monitoring.experiments.shadow import compare_in_shadow, read_shadow
from edgeship.types import Verdict


def write(path: Path, *rows: str, head: str = "first,second,count,label") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_joint_table_and_mcnemar(tmp_path):
    same, differ = (
        ("cat,cat,90,", "dog,dog,95,dog"),
        ("cat,dog,12,dog", "cat,dog,2,cat", "dog,cat,1,dog", "dog,cat,30,"),
    )
    table = write(tmp_path / "shadow.csv", *same, *differ)
    found = read_shadow(table)
    assert found.classes == ("cat", "dog")
    assert found.table == ((90, 14), (31, 95))
    assert (found.count, found.disagreements, found.audited) == (230, 45, 15)
    assert (found.gains, found.losses) == (12, 3)
    assert found.p == pytest.approx(2 * sum([1, 15, 105, 455]) / 2**15)  # the binomial tail of 3 of 15
    assert found.verdict is Verdict.PASS
    assert [(pair.first, pair.second, pair.count) for pair in found.pairs] == [("dog", "cat", 31), ("cat", "dog", 14)]
    result = CliRunner().invoke(cli, ["experiment", "shadow", str(table), "--json", "-"])
    assert (result.exit_code, json.loads(result.output)["gains"]) == (0, 12)
    shown = CliRunner().invoke(cli, ["experiment", "shadow", str(table)]).output
    assert "230 inputs, 45 answers differ: 19.57%" in shown


def test_without_audit_it_is_not_known_which_is_right(tmp_path):
    table = write(tmp_path / "shadow.csv", "cat,dog,12", "cat,cat,500", head="first,second,count")
    assert read_shadow(table).verdict is Verdict.INCONCLUSIVE
    assert CliRunner().invoke(cli, ["experiment", "shadow", str(table)]).exit_code == 1


def test_a_class_called_none_is_no_audit(tmp_path):
    """Rows without a label tell nothing of who is right, also where a class is called as Python calls what is missing."""
    table = write(tmp_path / "shadow.csv", "None,cat,40,", "cat,cat,100,", "None,cat,2,None")
    found = read_shadow(table)
    assert (found.audited, found.gains, found.losses, found.verdict) == (2, 0, 2, Verdict.INCONCLUSIVE)


def clustered(rng: np.random.Generator, users: int) -> tuple[dict[str, list[str]], Any]:
    """Audited disagreements of equal models: in each user's world one of them is right, most of the time."""
    rows: dict[str, list[str]] = {"first": [], "second": [], "label": [], "user": []}
    for user in range(users):
        second_is_right = rng.random(8) < rng.choice([0.1, 0.9])
        for right in second_is_right:
            for key, value in zip(rows, ("cat", "dog", "dog" if right else "cat", f"u{user}"), strict=True):
                rows[key].append(value)
    return rows, np.ones(8 * users, dtype=np.int64)


def test_by_user_equal_models_are_found_different_in_one_of_twenty():
    rng = np.random.default_rng(1)
    by_user = by_input = 0
    for _ in range(200):
        rows, counts = clustered(rng, 40)
        by_user += compare_in_shadow(rows, counts).verdict is not Verdict.INCONCLUSIVE
        alone = {key: values for key, values in rows.items() if key != "user"}
        by_input += compare_in_shadow(alone, counts).verdict is not Verdict.INCONCLUSIVE
    assert by_user / 200 < 0.085
    assert by_input / 200 > 0.2


def test_an_interval_over_users(tmp_path):
    rows = [f"u{user},cat,{'dog' if user % 4 == 0 else 'cat'},10" for user in range(80)]
    found = read_shadow(write(tmp_path / "shadow.csv", *rows, head="user,first,second,count"))
    assert found.users == 80
    assert found.low is not None and found.high is not None
    assert found.low == pytest.approx(0.25 - 1.96 * (0.25 * 0.75 / 79) ** 0.5, abs=1e-4)
    assert found.low < 0.25 < found.high


@pytest.mark.parametrize(
    ("head", "row", "message"),
    [
        ("first,second", "cat,dog", "no column 'count'"),
        ("first,second,count", "cat,dog,0", "not all 0"),
        ("first,second,count", "cat,dog,1.5", "whole numbers"),
        ("first,second,count", "cat,dog,-1", "whole numbers"),
        ("first,second,count", "cat,,3", "column 'second' lacks values"),
        ("first,second,count", "cat,dog,inf", "counts add up to inf"),
        ("first,second,count", "cat,dog,1e30", r"counts add up to 1e\+30"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, head, row, message):
    with pytest.raises(InputError, match=message):
        read_shadow(write(tmp_path / "shadow.csv", row, head=head))


def test_a_device_counts_a_few_of_its_inputs(tmp_path):
    device = ShadowTable(0.05)
    drawn = 0
    for number in range(20_000):
        if device.is_drawn():
            drawn += 1
            device.count("cat", "dog" if number % 2 else 'a "cat", perhaps')
    assert drawn == pytest.approx(1000, abs=150)
    table = tmp_path / "shadow.csv"
    table.write_text(device.take_csv("u1"))
    assert read_shadow(table).count == drawn
    assert device.take_csv("u1") == "user,first,second,count\n"


@pytest.mark.parametrize("share", [0, -0.1, 0.06, float("nan")])
def test_shadow_takes_no_more_than_a_twentieth(share):
    with pytest.raises(ClientError, match=r"at most 0\.05"):
        ShadowTable(share)

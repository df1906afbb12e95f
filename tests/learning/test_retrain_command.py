"""`edgeship retrain` from a field that moved to a challenger, and what it refuses."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from edgeship import api
from edgeship.data import RepresentativeDataset, load, save
from tests.learning import small_world
from tests.learning.conftest import AUDIT, POOL


def load_names(path):
    """The labels of a table."""
    return [line.split(",")[1] for line in path.read_text().splitlines()[1:]]


def test_a_better_challenger_is_registered_and_stays_one(world, place, retrain, edgeship):
    result = retrain("--promote", "staging", "--page", "page.html", "--now", "2027-01-05")
    assert (
        result["outcome"] == "better" and result["champion"] == 1 and result["challenger"] == 2 and result["promoted"]
    )
    record = result["record"]
    assert record["gain"]["gain"] > 0.03 and record["gain"]["n"] == AUDIT and record["gain"]["low"] > 0
    assert record["when"].startswith("2027-01-05") and record["evaluation_uses"] == 2 and record["audit_uses"] == 1
    assert result["plan"]["labels"] == POOL and result["plan"]["replay"] == 3000
    assert any(reason.startswith("old evaluation data") and "not worse" in reason for reason in record["reasons"])
    page = (place / "page.html").read_text()
    assert "a better challenger" in page and "<svg" in page and "asked for by --force" in page
    rows = api.list_versions("bars", store=f"sqlite:///{place / 'registry.db'}")
    assert [row.aliases for row in rows] == [("champion",), ("staging",)]
    assert rows[1].record.data["labels"].digest == record["pools"][0]["digest"]
    assert rows[1].record.data["server-training"].digest == RepresentativeDataset(world / "train.npz").digest
    card = json.loads((place / result["folder"] / "model-card.json").read_text())
    assert card["evaluation"]["versions_judged"] == 2 and card["retraining"]["labels"]["samples"] == POOL
    assert "has judged 2 versions" in (place / result["folder"] / "model-card.md").read_text()

    again = retrain("--now", "2027-01-06")  # the same labels are no other challenger
    assert again["challenger"] == 2 and not again["is_new"] and again["record"] == record
    assert len(api.list_versions("bars", store=f"sqlite:///{place / 'registry.db'}")) == 2

    few = small_world.write_labels(place / "few.csv", range(POOL, POOL + 12), load_names(place / "audit.csv")[:12])
    luck = retrain("--now", "2027-01-07", "--promote", "staging", audit=few, code=1)
    assert luck["outcome"] == "refused" and not luck["promoted"] and "may be luck" in luck["record"]["reasons"][-1]
    store = f"sqlite:///{place / 'registry.db'}"
    promote = ("registry", "promote", luck["challenger"], "--to", "staging", "--why", "by hand", "--store", store)
    edgeship(*promote, code=1, says="was refused as a challenger (newest audit")
    edgeship(*promote, "--despite-refusal", says=f"staging: version 2 -> {luck['challenger']}")

    # It is the champion's time again only 30 days after that challenger was evaluated.
    quiet = edgeship("retrain", "--name", "bars", "--now", "2027-01-20", "--json", "-")
    assert json.loads(quiet)["outcome"] == "nothing to do"
    says = "name --labels"
    edgeship("retrain", "--name", "bars", "--now", "2027-02-07", "--data", world, code=2, says=says)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(place, retrain, edgeship):
    edgeship("retrain", "--name", "bars", "--force", "--dry-run", says="bars: would train")
    before = sorted(path for path in place.rglob("*") if path.name != "registry.db.lock")
    result = retrain("--dry-run")
    assert result["outcome"] == "would train" and result["plan"]["labels"] == POOL and result["challenger"] is None
    assert result["decision"]["reasons"] == ["asked for by --force"]
    assert sorted(path for path in place.rglob("*") if path.name != "registry.db.lock") == before


def test_samples_that_judge_are_never_trained_on(world, place, retrain):
    field = load(place / "field.npz")["image"]
    evaluation = load(world / "evaluation.npz")["image"]
    train = load(world / "train.npz")["image"]
    save(place / "field.npz", {"image": np.concatenate([field, evaluation[:7], train[:3]])})
    names = list(range(POOL + AUDIT, POOL + AUDIT + 7))
    of_evaluation = small_world.write_labels(place / "a.csv", [*range(9), *names], [0, 1] * 8)
    retrain(labels=of_evaluation, code=2, says="refused: 7 labelled samples are in the evaluation data")
    mixed = small_world.write_labels(place / "b.csv", [*range(9), POOL, POOL + 1], [0, 1] * 5 + [0])
    retrain(labels=mixed, code=2, says="refused: 2 labelled samples are in the audit, which is never trained on")
    known = small_world.write_labels(
        place / "c.csv", [*range(POOL, POOL + 9), *range(POOL + AUDIT + 7, POOL + AUDIT + 10)], [0, 1] * 6
    )
    retrain(
        audit=known,
        code=2,
        says="refused: 3 audit samples were trained on, as they are in the champion's training data",
    )
    assert len(api.list_versions("bars", store=f"sqlite:///{place / 'registry.db'}")) == 1


@pytest.mark.parametrize(
    ("names", "labels", "says"),
    [
        (["0", "1", "nobody"], ["left", "top", "left"], "1 of 3 labelled samples are not in it: nobody"),
        (["0", "1"], ["left", "sideways"], "1 labels are no class: sideways (known: left, right, top, bottom)"),
        (["0", "1", "2"], ["left", "left", "left"], "all 3 labels are 'left': of one class alone"),
        (["0", "1"], ["", ""], "no row has a label yet"),
        (["0", "0"], ["left", "top"], "all labels are disputed"),
    ],
)
def test_labels_that_teach_nothing_are_refused(place, retrain, names, labels, says):
    retrain(labels=small_world.write_labels(place / "bad.csv", names, labels), code=2, says=says)


def test_what_is_not_there_is_said(world, place, edgeship):
    edgeship("retrain", "--name", "bars", "--store", "sqlite:///none.db", code=2, says="no registry is there")
    edgeship("retrain", "--name", "hats", code=2, says="unknown name 'hats'")
    (place / "elsewhere").mkdir()
    named = ["--labels", "pool.csv", "--audit", "audit.csv", "--samples", "field.npz", "--force", "--data", "elsewhere"]
    edgeship("retrain", "--name", "bars", *named, code=2, says="evaluation data (evaluation.npz")
    edgeship("registry", "add", world / "bundle", "--name", "others")
    edgeship("retrain", "--name", "others", *named, code=2, says="others has no champion yet")


@pytest.mark.more
def test_what_is_learned_at_the_cost_of_the_old_is_refused(place, retrain):
    swapped = {"left": "right", "right": "left"}  # what the field calls so now
    for table, first in (("pool.csv", 0), ("audit.csv", POOL)):
        names = load_names(place / table)
        renamed = [swapped.get(name, name) for name in names]
        small_world.write_labels(place / table, range(first, first + len(names)), renamed)
    result = retrain("--replay", 0, "--learning-rate", 0.01, "--epochs", 10, "--promote", "staging", code=1)
    reasons = result["record"]["reasons"]
    assert any(reason.startswith("old evaluation data") and reason.endswith(": worse") for reason in reasons)
    assert reasons[-1].endswith(": better")
    rows = api.list_versions("bars", store=f"sqlite:///{place / 'registry.db'}")
    assert [row.aliases for row in rows] == [("champion",), ()]


@pytest.mark.more
def test_a_command_of_ones_own_trains(place, retrain):
    script = place / "train.py"
    script.write_text("import shutil, sys\nshutil.copyfile(sys.argv[1], sys.argv[2])\n")
    result = retrain("--recipe", f"{sys.executable} {script} {{model}} {{out}} {{train}}", code=1)  # the champion again
    assert result["record"]["gain"]["gain"] == 0 and "may be luck" in result["record"]["reasons"][-1]
    retrain("--recipe", f"{sys.executable} -c 'import sys; sys.exit(3)' {{train}} {{out}}", code=1, says="exit code 3")
    retrain("--recipe", "no-such-program {train} {out}", code=2, says="cannot be run")

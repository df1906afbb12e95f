"""Which samples are drawn for labels, and which judge."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from edgeship import api
from edgeship.data import load, save
from edgeship.errors import InputError
from tests.learning import small_world
from tests.learning.conftest import run_edgeship


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
    """Samples as clients sent them: of 100 users two each, one at random and one for its small margin."""
    rows = ["sample,week,bundle,artifact,user,picked,predicted,margin"]
    rng = np.random.default_rng(0)
    for user in range(100):
        rows.append(f"r{user},2026-W45,ab,cd,u{user},random,left,{rng.random():.4f}")
        rows.append(f"m{user},2026-W45,ab,cd,u{user},margin,top,{rng.random() / 10:.4f}")
    (tmp_path / "samples.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_half_are_hard_and_the_audit_is_random_and_apart(folder):
    pool, audit = folder / "pool.csv", folder / "audit.csv"
    drawn = api.select_samples(folder, pool, count=40, audit=30, audit_out=audit, seed=3)
    assert (drawn.hard, drawn.random, drawn.audit, drawn.candidates, drawn.users) == (20, 20, 30, 200, 100)
    hard = [row for row in rows_of(pool) if row["picked"] == "margin"]
    margins = {row["sample"]: float(row["margin"]) for row in rows_of(folder / "samples.csv")}
    judged = rows_of(audit)
    rest = sorted(margin for name, margin in margins.items() if name not in {row["sample"] for row in judged})
    assert len(hard) == 20 and max(float(row["margin"]) for row in hard) <= rest[19]
    assert all(row["sample"].startswith("r") for row in judged)  # nothing that was kept for being hard
    assert len({row["user"] for row in judged}) == 30
    assert not {row["sample"] for row in judged} & {row["sample"] for row in rows_of(pool)}
    assert all(row["label"] == "" for row in (*judged, *rows_of(pool)))
    at_random = [row for row in rows_of(pool) if row["picked"] == "random"]
    assert all(row["sample"].startswith("r") for row in at_random)

    again = folder / "again.csv"
    api.select_samples(folder, again, count=40, audit=30, audit_out=folder / "audit2.csv", seed=3)
    assert again.read_bytes() == pool.read_bytes()
    more = folder / "more.csv"
    api.select_samples(folder, more, count=40, labelled=[pool, audit])
    assert not {row["sample"] for row in rows_of(more)} & {row["sample"] for row in (*rows_of(pool), *judged)}


def test_what_cannot_be_drawn_is_said(folder):
    with pytest.raises(InputError, match=r"100 users have a sample that was kept at random, an audit of 101"):
        api.select_samples(folder, folder / "a.csv", count=5, audit=101, audit_out=folder / "b.csv")
    with pytest.raises(InputError, match=r"150 samples are left to label, 151"):
        api.select_samples(folder, folder / "a.csv", count=151, audit=50, audit_out=folder / "b.csv")
    with pytest.raises(InputError, match="both or neither"):
        api.select_samples(folder, folder / "a.csv", count=5, audit=5)
    with pytest.raises(InputError, match="is there already"):
        api.select_samples(folder, folder / "samples.csv", count=5)
    assert not (folder / "a.csv").exists()
    pictures, _ = small_world.draw(5, 1)
    small_world.write(folder / "x.npz", pictures)
    with pytest.raises(InputError, match="name the --bundle that scores them"):
        api.select_samples(folder / "x.npz", folder / "a.csv", count=2)


def test_a_bundle_scores_what_no_client_did(world, tmp_path):
    pictures, _ = small_world.draw(200, 9, moved=0.5)
    of_evaluation = load(world / "evaluation.npz")["image"][:20]
    save(tmp_path / "field.npz", {"image": np.concatenate([pictures, pictures[:5], of_evaluation])})
    command = [
        "select",
        "field.npz",
        "--bundle",
        world / "bundle",
        "--evaluation",
        world / "evaluation.npz",
        "--count",
        50,
    ]
    out = run_edgeship(*command, "--out", "pool.csv", "--json", "-", cwd=tmp_path)
    drawn = json.loads(out)
    assert (drawn["evaluation"], drawn["repeated"], drawn["candidates"], drawn["hard"]) == (20, 5, 200, 25)
    rows = rows_of(tmp_path / "pool.csv")
    assert {row["predicted"] for row in rows} <= {*small_world.LABELS}
    hard = [float(row["margin"]) for row in rows if row["picked"] == "margin"]
    assert max(hard) <= np.median([float(row["margin"]) for row in rows if row["picked"] == "random"])

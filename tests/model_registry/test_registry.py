from __future__ import annotations

import json
import sqlite3
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgeship import api
from edgeship.bundle.bundle import open_bundle
from edgeship.errors import CheckError, InputError, MissingDependencyError
from edgeship.model_registry.connection import Place, in_our_words
from edgeship.model_registry.store import PROMOTION, open_store
from edgeship.model_registry.version import DataUse
from tests.model_registry import made_up

HARD = np.r_[np.full(1000, 0.99), np.full(1000, 0.75)]  # of 2,000 samples, half are hard


def _contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_version_holds_what_the_bundle_knows(add, registry, tmp_path):
    added = add("one", 0.9, instructions=650_000)
    again = api.add_version(tmp_path / "bundle-one", "garments", store=registry)
    assert (added.number, again.version.number, again.is_new) == (1, 1, False)
    (row,) = api.list_versions(store=registry)
    manifest = open_bundle(tmp_path / "bundle-one").manifest
    report = manifest.measurements_of("tflite/float32")[0].details.accuracy
    assert row.record.verdict == "PASS" and row.record.artifact == "tflite/int8"
    figures = row.record.figures
    assert manifest.server_measurement and report and report.drop is not None
    assert figures["accuracy.server"] == manifest.server_measurement.server
    assert figures["device.cortex-a76.instructions"] == figures["device.cortex-a76.instructions.tflite-int8"] == 650_000
    ends = figures["accuracy_drop_low.tflite-float32"], figures["accuracy_drop_high.tflite-float32"]
    assert ends == (report.low, report.high)
    assert figures["class.class-3.accuracy.tflite-int8"] > 0.8
    assert row.record.evaluation and row.record.evaluation.samples == 2000
    found = api.search_versions("accuracy > 0.85 and device.cortex-a76.instructions < 700000", store=registry)
    assert [item.number for item in found] == [1]
    assert not api.search_versions("device.cortex-a76.instructions < 600000", store=registry)
    with open_store(registry) as opened, opened.writing():
        opened.add_version("long", replace(row.record, data={"evaluation": DataUse("ab" * 32, 200 * "name.")}))


def test_a_bundle_comes_out_as_it_went_in(add, registry, tmp_path):
    add("one", 0.9)
    out = tmp_path / "out"
    api.export_version("1", out, store=registry)
    assert _contents(tmp_path / "bundle-one") == _contents(out)
    signature = tmp_path / "bundle-one" / "signature.json"
    for text in ("one key's", "another key's"):
        signature.write_text(text)
        signed = api.add_version(tmp_path / "bundle-one", "garments", store=registry)
        assert not signed.is_new and signed.version == api.list_versions(store=registry)[0]
        api.export_version("1", tmp_path / text, store=registry)
        assert _contents(tmp_path / "bundle-one") == _contents(tmp_path / text)
    assert api.add_version(tmp_path / text, "shoes", store=registry).version.signature == signed.version.signature
    page = api.write_registry_page(tmp_path / "page", store=registry)
    assert "reports/garments-1.html" in page.read_text()
    assert (page.parent / "reports" / "garments-1.html").read_text() == "<title>one</title>"
    assert api.write_registry_page(page.parent, store=registry) == page
    (page.parent / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis\.txt, too"):
        api.write_registry_page(page.parent, store=registry)
    with pytest.raises(InputError, match=r"index\.html: Not a directory"):
        api.write_registry_page(page / "more", store=registry)


def test_files_are_stored_once_and_looked_at_when_they_are_read(add, registry, tmp_path):
    add("one", 0.9, seed=1)
    add("two", 0.9, seed=2)
    files = tmp_path / "registry-files" / "sha256"
    names = [path.name for path in files.glob("*/*")]
    assert len(names) == len(set(names)) and not [name for name in names if name.startswith(".")]
    manifests = [open_bundle(tmp_path / f"bundle-{name}").manifest.files for name in ("one", "two")]
    assert len(names) == len({*manifests[0].values(), *manifests[1].values()}) + 2
    labels = files / manifests[0]["answers/labels.npz"][:2] / manifests[0]["answers/labels.npz"]
    labels.write_bytes(labels.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="was changed or is damaged"):
        api.compare_versions(1, 2, store=registry)
    labels.unlink()
    with pytest.raises(InputError, match="add the bundle again"):
        api.compare_versions(1, 2, store=registry)
    assert not api.add_version(tmp_path / "bundle-one", "garments", store=registry).is_new
    assert api.compare_versions(1, 2, store=registry).paired


def test_two_versions_are_compared_on_the_same_samples(add, registry):
    truth = made_up.truth_of()
    better = np.r_[np.full(1000, 0.99), np.full(1000, 0.85)]
    add("one", HARD, seed=1)
    add("two", better, seed=1, budget={"accuracy": "mlperf95"})  # the same draws: what was right stays so
    found = api.compare_versions(1, 2, store=registry)
    figure = found.paired[0]
    right = [made_up.answers_of(truth, share, 1).argmax(axis=1) == truth for share in (HARD, better)]
    assert figure.gain == pytest.approx(right[1].mean() - right[0].mean())
    assert figure.gain and figure.low and figure.high
    assert 0 < figure.low < figure.gain < figure.high and figure.flips_total == (right[0] != right[1]).sum()
    assert {item.before for item in found.paired} == {"server", "tflite/float32", "tflite/int8"}
    assert any(change.startswith("server model: another") for change in found.changes)
    assert "settings: budget.accuracy mlperf98 -> mlperf95" in found.changes
    assert "evaluation data: the same (2,000 samples)" in found.changes
    assert any(cost.title == "download of tflite-int8" and cost.before == 1000 for cost in found.costs)
    text = api.render_difference(found)
    assert "| server | top1 |" in text and f"{figure.flips_total} of 2,000" in text


def test_other_samples_are_not_paired(add, registry):
    add("one", 0.9)
    add("two", 0.9, seed=2, data="ef" * 32)
    found = api.compare_versions(1, 2, store=registry)
    assert all(figure.gain is None and "other samples" in figure.reason for figure in found.paired)
    add("three", 0.9, seed=3)
    assert api.trace_lineage(1, store=registry).shared["evaluation data"] == ("garments/3",)
    assert api.trace_lineage(1, store=registry).shared["calibration data"] == ("garments/2", "garments/3")
    api.promote_version(1, to="champion", why="the first", store=registry)
    add("one", 0.9, data="ef" * 32)  # the same files, evaluated on new data: from there on others can be compared
    assert (
        api.promote_version(4, to="champion", why="new data", store=registry)
        .reasons[0]
        .endswith("the same file as the champion's")
    )


def test_a_card_tells_what_the_server_model_was_trained_on(add, registry, tmp_path):
    files = {"train.npz": "ab" * 32}
    for name, splits in (("one", {"train": {"samples": 700}}), ("two", "a stranger's")):
        model = {"sha256": made_up.digest_of(f"server model {name}".encode())}
        card = {
            "model": model,
            "seed": 5,
            "title": ["no text"],
            "data": {"name": "shoes", "splits": splits},
            "files": files,
        }
        (tmp_path / "model-card.json").write_text(json.dumps(card))
        add(name, 0.9, source="../server.keras")
    add("three", 0.9, source="../server.keras")  # beside a card of another model
    (tmp_path / "model-card.json").unlink()
    tells = [api.trace_lineage(number, store=registry).server.tells for number in (1, 2, 3)]
    assert tells == [{"seed": "5", "data": "shoes", "splits": "train 700"}, {"seed": "5", "data": "shoes"}, {}]
    record = api.list_versions(store=registry)[0].record
    assert record.data["server-training"].samples == 700


def test_a_promotion_has_to_hold_against_the_champion(add, registry):
    add("one", HARD, seed=1)
    first = api.promote_version(1, to="champion", why="the first", store=registry)
    assert (first.version, first.previous, first.reasons) == (1, None, ())
    add("much worse", HARD - 0.1, seed=1)
    add("as good", HARD, seed=1, noise={"tflite/int8": 0.021})
    add("better", np.r_[np.full(1000, 0.99), np.full(1000, 0.85)], seed=1)
    add("on other samples", 0.99, seed=1, data="ef" * 32)
    add("failing", 0.9, noise={"tflite/int8": 40.0})
    for version, claim, reason in (
        (2, "not-worse", "margin 1.75: worse"),
        (3, "better", "not surely better"),
        (5, "not-worse", "cannot be decided, they were evaluated on other samples"),
        (6, "not-worse", "only a PASS is promoted"),
    ):
        with pytest.raises(CheckError, match=reason):
            api.promote_version(version, to="champion", why="try", claim=claim, store=registry)
    api.promote_version(3, to="champion", why="smaller", store=registry)
    api.promote_version(4, to="staging", why="candidate", claim="better", store=registry)
    api.promote_version(4, to="champion", why="better", claim="better", store=registry)
    assert [row.aliases for row in api.list_versions(store=registry)] == [(), (), (), ("champion", "staging"), (), ()]
    assert api.roll_back_version(why="complaints", store=registry).version == 3
    assert api.roll_back_version(why="more", store=registry).version == 1
    with pytest.raises(InputError, match="none is known that was it before"):
        api.roll_back_version(why="more", store=registry)
    api.promote_version(4, to="champion", why="again", store=registry)
    assert api.roll_back_version(why="again", store=registry).version == 1
    shown = api.show_version("4", store=registry)
    assert [item.why for item in shown.promotions] == ["candidate", "better", "complaints", "again", "again"]


def test_a_margin_is_the_stricter_of_both_budgets(add, registry):
    add("one", HARD, seed=1, budget={"accuracy": "mlperf99"})
    worse = HARD - np.r_[np.zeros(1990), np.full(10, 0.2)]
    add("lax", worse, seed=1, budget={"accuracy": "none", "max_drop": 50}, noise={"tflite/int8": 0.021})
    api.promote_version(1, to="champion", why="the first", store=registry)
    assert "margin 0.87" in api.promote_version(2, to="champion", why="try", store=registry).reasons[0]


def test_an_interrupted_promotion_has_not_taken_place(add, registry):
    add("one", 0.9, seed=1)
    add("two", 0.9, seed=1, noise={"tflite/int8": 0.021})
    api.promote_version(1, to="champion", why="the first", store=registry)
    with open_store(registry) as opened:
        entry = json.loads(opened.client.get_registered_model("garments").tags[f"{PROMOTION}000001"])
        half = json.dumps({**entry, "entry": 2, "version": 2, "previous": 1})
        opened.client.set_registered_model_tag("garments", f"{PROMOTION}000002", half)
        assert [item.entry for item in opened.promotions("garments")] == [1]
    api.promote_version(2, to="champion", why="again", store=registry)
    with open_store(registry) as opened:
        assert [(item.entry, item.why) for item in opened.promotions("garments")] == [(1, "the first"), (3, "again")]
    assert api.roll_back_version(why="back", store=registry).version == 1


def test_show_tells_what_chance_would_give(add, registry):
    add("one", HARD, seed=1)
    assert "no other version" in api.show_version(1, store=registry).luck.reason
    api.promote_version(1, to="champion", why="the first", store=registry)
    add("two", np.r_[np.full(1000, 0.99), np.full(1000, 0.77)], seed=2)
    add("three", HARD, seed=3)
    luck = api.show_version(2, store=registry).luck
    assert (luck.against, luck.candidates, luck.promotions) == (1, 2, 1)
    truth = made_up.truth_of()
    gained = [
        (made_up.answers_of(truth, share, seed).argmax(axis=1) == truth).astype(int)
        for share, seed in ((HARD, 1), (np.r_[np.full(1000, 0.99), np.full(1000, 0.77)], 2))
    ]
    assert luck.figure and luck.p is not None
    assert luck.figure.gain == pytest.approx((gained[1] - gained[0]).mean(), abs=0.002)  # int8 is what stands for it
    assert luck.corrected == pytest.approx(min(1.0, 2 * luck.p))


def test_what_cannot_be_used_is_said_in_a_sentence(add, registry, tmp_path):
    add("one", 0.9)
    missing, inside = f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "bundle-one"
    (tmp_path / "text.db").write_text("no database")
    sqlite3.connect(tmp_path / "other.db").execute("create table shoes (size)").connection.commit()
    for call, message in (
        (lambda: api.list_versions("shoes", store=registry), "unknown name 'shoes' in .*; known: garments"),
        (lambda: api.show_version(7, store=registry), "unknown version of garments '7'; known: 1"),
        (lambda: api.show_version("champion", store=registry), "unknown version of garments 'champion'; known: 1"),
        (lambda: api.promote_version(1, to="first", why="x", store=registry), "unknown alias 'first'; known: champion"),
        (lambda: api.promote_version(1, to="champion", why=" ", store=registry), "--why must say"),
        (lambda: api.roll_back_version(why="x", store=registry), "garments has no champion"),
        (lambda: api.add_version(inside, "a/b", store=missing), "--name a/b: must be letters"),
        (lambda: api.list_versions(store=missing), "no registry is there; `edgeship registry add"),
        (lambda: api.list_versions(store="registry.db"), "--store takes sqlite:///FILE"),
        (
            lambda: api.list_versions(store=f"sqlite:///{tmp_path / 'text.db'}"),
            "is no registry, which is a SQLite file",
        ),
        (lambda: api.list_versions(store=f"sqlite:///{tmp_path / 'other.db'}"), "a SQLite file of something else"),
        (
            lambda: api.list_versions(store="http://me:secret@127.0.0.1:9"),
            r"http://\.\.\.@127\.0\.0\.1:9: no MLflow server answers there \((?!.*secret)",
        ),
        (lambda: api.export_version(1, tmp_path, store=registry), "exists; choose another --out"),
        (lambda: api.write_registry_page(tmp_path, store=registry), "is no page of a registry"),
        (
            lambda: api.add_version(inside, "x", store=f"sqlite:///{tmp_path / 'text.db' / 'registry.db'}"),
            "text.db/registry.db: cannot be written",
        ),
        (lambda: api.write_registry_page(inside / "page", store=registry), "lies in the bundle"),
        (lambda: api.add_version(inside, "x", store=f"sqlite:///{inside / 'registry.db'}"), "lies in the bundle"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_what_a_server_answers_may_be_anything():
    """MLflow reads answers with protobuf, whose errors are neither MLflow's nor those of a value."""
    from google.protobuf import json_format, struct_pb2

    with pytest.raises(InputError, match="http://host: "), in_our_words(Place("http://host", None)):
        json_format.Parse("[1", struct_pb2.Struct())


@pytest.mark.parametrize("module", ["mlflow", "alembic", "sqlalchemy"])
def test_a_missing_extra_is_named(monkeypatch, tmp_path, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgeship\[registry\]'"):
        api.list_versions(store=f"sqlite:///{tmp_path / 'registry.db'}")


@pytest.mark.parametrize("change", ["ours", "theirs", "record", "half", "promotion", "signature"])
def test_a_registry_of_another_schema_is_refused(add, registry, tmp_path, change):
    add("one", 0.9)
    statement = {
        "ours": "update registered_model_tags set value = '2' where key = 'edgeship.registry'",
        "theirs": "update alembic_version set version_num = 'another'",
        "record": "update model_version_tags set value = '{\"bundle\": 5}' where key = 'edgeship.record.0'",
        "half": "update model_version_tags set value = substr(value, 1, 90) where key = 'edgeship.record.0'",
        "promotion": "insert into registered_model_tags (key, value, name) values ('edgeship.promotion.x', '', 'garments')",
        "signature": "insert into model_version_tags (key, value, name, version) "
        "values ('edgeship.signature', '../../x', 'garments', 1)",
    }[change]
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "registry.db").read_bytes())
    with sqlite3.connect(copy) as database:
        database.execute(statement)
    words = {
        "ours": "a registry of schema 2, this edgeship reads 1",
        "theirs": "another version of MLflow",
        "record": "bundle must be a digest|bundle must be a text",
        "half": "cannot be read, is the file damaged",
        "promotion": "cannot be read, is the file damaged",
        "signature": "copy.db: a tag was changed or is damaged: it must be a text",
    }[change]
    with pytest.raises(InputError, match=words):
        api.promote_version(1, to="champion", why="x", store=f"sqlite:///{copy}")

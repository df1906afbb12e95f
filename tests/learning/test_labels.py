"""Labelling: sessions that resume, the page's server, agreement, likely errors."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from edgeship import api
from edgeship.errors import InputError
from edgeship.learning.labels.agreement import compare_annotators, find_kappa
from edgeship.learning.labels.suspects import find_suspects
from edgeship.learning.samples.sample_table import read_sample_labels, read_table
from tests.learning import small_world

CLASSES = ("left", "right", "top", "bottom")


@pytest.fixture
def field(tmp_path):
    """A folder of samples as the collector keeps it, with a table of six."""
    folder = tmp_path / "samples"
    folder.mkdir()
    pictures, _ = small_world.draw(8, 1)
    rows = ["sample,week,user,picked,predicted,margin"]
    for number, picture in enumerate(pictures):
        np.savez(folder / f"s{number}.npz", image=picture[None])
        rows.append(f"s{number},2026-W45,u{number},random,left,0.{number}")
    (folder / "samples.csv").write_text("\n".join(rows) + "\n")
    small_world.write_labels(tmp_path / "pool.csv", [f"s{number}" for number in range(6)], [""] * 6)
    return tmp_path


def opened(field, annotator="anna", **more):
    return api.open_labelling(
        field / "samples", field / "pool.csv", annotator=annotator, classes=CLASSES, port=0, **more
    )


def test_a_session_goes_on_where_it_was(field):
    with opened(field) as server:
        session = server.session
        first = session.state
        assert (first.sample, first.done, first.total, first.keys) == ("s0", 0, 6, ("1", "2", "3", "4"))
        assert first.views[0].picture.startswith("data:image/png;base64,")
        session.give("s0", "top")
        session.give("s1", "left")
        session.leave("s2")
        assert session.state.sample == "s3" and session.state.last == ("s1", "left")
        assert session.take_back() == "s1" and session.state.sample == "s1"
    assert read_sample_labels(field / "labels.csv").labels == {"s0": "top"}
    with opened(field) as server:
        assert server.session.state.sample == "s1" and server.session.state.done == 1
        for number in range(1, 6):
            server.session.give(f"s{number}", "left")
        assert server.session.state.sample is None
        assert [server.session.take_back() for _ in range(7)] == ["s5", "s4", "s3", "s2", "s1", "s0", None]
    assert not (field / "labels.csv").exists()


def test_two_annotators_write_one_file(field):
    with opened(field, "anna") as one, opened(field, "bert") as two:
        for number in range(4):
            one.session.give(f"s{number}", CLASSES[number])
            two.session.give(f"s{number}", CLASSES[number if number else 3])
    found = compare_annotators(field / "labels.csv")
    assert found.labels == {"anna": 4, "bert": 4} and found.pairs[0].same == 0.75
    assert found.disagreements[0].sample == "s0" and found.disagreements[0].labels == (
        ("anna", "left"),
        ("bert", "bottom"),
    )
    table = read_sample_labels(field / "labels.csv")
    assert table.disputed == ("s0",) and table.labels == {"s1": "right", "s2": "top", "s3": "bottom"}


def test_kappa_is_that_of_the_publication():
    # Cohen 1960, table 1: agreement of proportions .44, .20, .06 with .41 expected by chance, of 200.
    table = {("a", "a"): 88, ("a", "b"): 10, ("a", "c"): 2, ("b", "a"): 14, ("b", "b"): 40, ("b", "c"): 6}
    table |= {("c", "a"): 18, ("c", "b"): 10, ("c", "c"): 12}
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    assert find_kappa(pairs) == pytest.approx(0.4915, abs=2e-4)
    assert find_kappa([("a", "a")] * 5) is None
    assert find_kappa([("a", "b"), ("b", "a")]) == -1


def test_labels_that_the_model_finds_unlikely_are_suspect():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=300)
    chances = np.full((300, 3), 0.1)
    chances[np.arange(300), truth] = 0.8
    labels = truth.copy()
    wrong = rng.choice(300, 12, replace=False)
    labels[wrong] = (truth[wrong] + 1) % 3
    found = find_suspects([str(row) for row in range(300)], labels, chances, ("a", "b", "c"))
    assert {int(item.sample) for item in found} == {*wrong.tolist()}
    assert (
        found[0].chance_given == pytest.approx(0.1) and found[0].likely == ("a", "b", "c")[truth[int(found[0].sample)]]
    )
    unsure = np.full((4, 2), 0.5)
    assert find_suspects("abcd", np.array([0, 1, 0, 1]), unsure, ("a", "b")) == ()


def test_a_suspect_is_asked_again(field):
    with opened(field) as server:
        session = server.session
        for number in range(6):
            session.give(f"s{number}", "left")
        chances = np.tile([0.9, 0.05, 0.03, 0.02], (6, 1))
        chances[3] = [0.01, 0.02, 0.95, 0.02]
        labels = np.zeros(6, int)
        labels[5] = 2  # so that a class has a mean
        chances[5] = [0.05, 0.05, 0.85, 0.05]
        session.ask_again(find_suspects([f"s{number}" for number in range(6)], labels, chances, CLASSES))
        assert session.state.sample == "s3" and session.state.suspect.likely == "top"
        session.leave("s3")  # it stays as it was
        assert session.state.sample is None and session.given["s3"] == "left"


def test_the_server_is_this_machines_alone(field):
    with opened(field) as server:
        server.start()

        def ask(path, content=None, **headers):
            body = None if content is None else json.dumps(content).encode()
            request = urllib.request.Request(server.url + path, body, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        token = {"X-Label-Token": server.token}
        assert ask("")[0] == 200 and server.token in ask("")[1]
        assert json.loads(ask("state")[1])["sample"] == "s0"
        said = {"sample": "s0", "label": "top"}
        assert ask("label", said)[0] == 403
        assert ask("state", Host="evil.example")[0] == 421
        assert json.loads(ask("label", said, **token)[1])["sample"] == "s1"
        assert ask("label", {"sample": "s0", "label": "sideways"}, **token) == (
            400, "unknown class 'sideways'; known: bottom, left, right, top",
        )  # fmt: skip
        assert ask("label", {"sample": "../x", "label": "top"}, **token)[0] == 400
        assert (
            ask("label", [], **token)[0] == 400 and ask("nothing", {}, **token)[0] == 400 and ask("nothing")[0] == 404
        )
        assert json.loads(ask("undo", {}, **token)[1])["done"] == 0
        server.stop()


def test_what_cannot_be_labelled_is_said(field):
    with pytest.raises(InputError, match="which classes are there"):
        api.open_labelling(field / "samples", field / "pool.csv", port=0)
    with pytest.raises(InputError, match="no such file"):
        api.open_labelling(field / "samples", field / "none.csv", classes=CLASSES, port=0)
    small_world.write_labels(field / "pool.csv", ["s0", "other"], ["", ""])
    with pytest.raises(InputError, match="1 samples are not in"):
        opened(field)
    with pytest.raises(InputError, match="--annotator"):
        opened(field, "an\nna")


def test_a_table_that_is_none_names_its_line(tmp_path):
    file = tmp_path / "x.csv"
    for content, says in [
        ("sample,label\na", r"x\.csv:2"),
        ("label\na", "has no column sample"),
        ("", "has no column"),
        ("sample\n", "no rows"),
    ]:
        file.write_text(content)
        with pytest.raises(InputError, match=says):
            read_table(file)

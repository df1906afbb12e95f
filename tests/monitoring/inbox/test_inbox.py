"""What an inbox holds depends on what arrived, and not on the order, the parts in which, or how often."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeship import api
from edgeship.monitoring.inbox.arrival import Arrival
from edgeship.monitoring.inbox.database import StoreError
from edgeship.monitoring.inbox.inbox import MOST_COPIES, Inbox
from edgeship.monitoring.inbox.place import parse_store
from tests.monitoring.inbox.samples import report_of, to_line, write_bundle_with_profile
from tests.monitoring.inbox.stores import ask_store


def arrival(key: int, content: int, late: bool = False) -> Arrival:
    return Arrival(f"key {key}", "2026-W48", "p", bytes([content] * 16), b"{}", 0, late)


Copies = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(copies=Copies, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_a_key_is_kept_where_all_its_copies_agree(
    copies: list[tuple[int, int]], cuts: list[int], new_store: Callable[[], str]
) -> None:
    store = new_store()
    bounds = [0, *sorted(cuts), len(copies)]
    with Inbox(parse_store(store), create=True) as inbox:
        results = [
            result
            for start, end in itertools.pairwise(bounds)
            for result in inbox.add([arrival(*item) for item in copies[start:end]])
        ]
        counts = inbox.count()
    contents: dict[int, set[int]] = {}
    for (key, content), result in zip(copies, results, strict=True):
        seen = contents.setdefault(key, set())
        assert result == ("conflict" if seen - {content} else "duplicate" if seen else "new")
        seen.add(content)
    disputed = {
        (f"key {key}", bytes([item] * 16)) for key, found in contents.items() if len(found) > 1 for item in found
    }
    kept = {key for (key,) in ask_store(store, "select key from report")}
    aside = {(key, bytes(digest)) for key, digest in ask_store(store, "select key, digest from conflict")}
    assert kept == {f"key {key}" for key, found in contents.items() if len(found) == 1}
    assert aside == disputed
    assert (counts.reports, counts.conflicts) == (len(kept), len({key for key, _ in disputed}))


def test_copies_of_a_disputed_key_are_bounded(store: str) -> None:
    with Inbox(parse_store(store), create=True) as inbox:
        for content in range(100):
            inbox.add([arrival(0, content)])
    assert ask_store(store, "select count(*) from conflict") == [(MOST_COPIES,)]
    assert ask_store(store, "select count(*) from report") == [(0,)]


def test_what_cannot_be_written_leaves_nothing(store: str) -> None:
    with Inbox(parse_store(store), create=True) as inbox:
        bad = arrival(2, 0)._replace(window=None)  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="what was taken before stays"):
            inbox.add([arrival(1, 0), bad], {"bins": 1})
        assert (inbox.count().reports, inbox.count().refused) == (0, {})
        assert inbox.add([arrival(1, 0)], {"bins": 2}) == ["new"]
        assert inbox.count().refused == {"bins": 2}


def test_a_reader_sees_what_a_writer_adds(bundle: Path, store: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(to_line(report_of(bundle, number)) for number in range(1200)))
    assert api.ingest_reports([tmp_path / "r.jsonl"], store=store, bundles=[bundle]).new == 1200
    reports = api.read_reports(store)
    first = next(reports).report
    other = write_bundle_with_profile(tmp_path / "other", 2)
    (tmp_path / "2.jsonl").write_bytes(to_line(report_of(other, 5000)))
    assert api.ingest_reports([tmp_path / "2.jsonl"], store=store, bundles=[other]).new == 1
    rest = [item.report.install for item in reports]
    assert len({first.install, *rest}) == len(rest) + 1 == 1201

"""Reports from files: each valid one once, whatever else arrives, how often and in which order."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.bundle.bundle import MANIFEST
from edgeship.cli.monitoring.monitor import monitor
from edgeship.errors import InputError
from edgeship.monitoring.inbox.database import SCHEMA
from edgeship.monitoring.reports.windows import find_window
from edgeship.storage import digest
from tests.monitoring.inbox.samples import Json, mix_traffic, report_of, to_line, write_bundle_with_profile
from tests.monitoring.inbox.stores import ask_store, is_there, set_schema


def ingest(store: Path | str, *arguments: object) -> Json:
    words = ["ingest", *map(str, arguments), "--store", str(store), "--json", "-"]
    done = CliRunner().invoke(monitor, words, catch_exceptions=False, standalone_mode=False)
    result: Json = json.loads(done.stdout) if done.stdout else {}
    if done.exception:
        raise done.exception
    return result


def write_lines(file: Path, *reports: Json | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [line if isinstance(line, bytes) else to_line(line) for line in reports]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def refusal(store: Path | str, *arguments: object) -> str:
    with pytest.raises(InputError) as error:
        ingest(store, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def installs(store: Path | str) -> list[str]:
    return sorted(item.report.install for item in api.read_reports(store))


def test_every_valid_report_is_kept_once_whatever_the_order(
    bundle: Path, new_store: Callable[[], str], tmp_path: Path
) -> None:
    lines, good, kinds = mix_traffic(bundle, 3000, 1)
    found = []
    for name, order in (("a", lines), ("b", lines[::-1])):
        store = new_store()
        result = ingest(store, write_lines(tmp_path / f"{name}.jsonl", *order), "--bundle", bundle)
        assert installs(store) == sorted(good)
        counts = api.count_reports(store)
        assert (counts.reports, counts.conflicts) == (len(good), kinds["forged"])
        bad = {"invalid": kinds["truncated"] + kinds["sums"]} | {
            key: kinds[key] for key in ("unknown", "bins", "window")
        }
        assert counts.refused == result["refused"] == dict(sorted(bad.items()))
        assert result["reports"] == len(lines)
        again = ingest(store, tmp_path / f"{name}.jsonl")
        assert again["new"] == 0
        assert installs(store) == sorted(good)
        found.append(ask_store(store, "select key, digest from conflict order by key, digest"))
    assert found[0] == found[1]
    assert len(found[0]) == 2 * kinds["forged"], "both copies are put aside"


@pytest.mark.more
def test_of_100_000_reports_every_valid_one_is_there_once(bundle: Path, store: str, tmp_path: Path) -> None:
    lines, good, kinds = mix_traffic(bundle, 100_000, 3)
    result = ingest(store, write_lines(tmp_path / "r.jsonl", *lines), "--bundle", bundle)
    assert installs(store) == sorted(good)
    refused = sum(kinds[kind] for kind in ("truncated", "sums", "unknown", "bins", "window"))
    assert (result["reports"], sum(result["refused"].values())) == (len(lines), refused)
    assert api.count_reports(store).conflicts == kinds["forged"]


def test_other_order_of_names_and_blanks_are_no_other_content(bundle: Path, store: str, tmp_path: Path) -> None:
    report = report_of(bundle, arms={"a": "x", "b": "y"})
    turned = {**dict(reversed(report.items())), "arms": {"b": "y", "a": "x"}}
    result = ingest(store, write_lines(tmp_path / "r.jsonl", report, json.dumps(turned).encode()), "--bundle", bundle)
    assert (result["new"], result["duplicates"], result["conflicts"]) == (1, 1, 0)
    (stored,) = api.read_reports(store)
    assert stored.report.arms == report["arms"]


def test_files_may_be_packed_whole_or_in_folders(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    write_lines(folder / "1.jsonl", report_of(bundle, 1), b"", b"  ")
    (folder / "deep").mkdir()
    (folder / "deep" / "2.ndjson.gz").write_bytes(gzip.compress(to_line(report_of(bundle, 2)) + b"\r\n"))
    (folder / "3.json").write_text(json.dumps(report_of(bundle, 3), indent=1))
    write_lines(folder / "4.json", report_of(bundle, 4), report_of(bundle, 5))
    (folder / "notes.txt").write_text("no report")
    result = ingest(tmp_path / "s", folder, "--bundle", bundle)
    assert (result["files"], result["reports"], result["new"], result["refused"]) == (4, 5, 5, {})


def test_a_damaged_file_is_told_and_the_others_are_in(bundle: Path, tmp_path: Path) -> None:
    many = b"\n".join(to_line(report_of(bundle, number)) for number in range(200))
    packed = gzip.compress(many)
    (tmp_path / "1.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    write_lines(tmp_path / "2.jsonl", report_of(bundle, 1000))
    said = refusal(tmp_path / "s", tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl", "--bundle", bundle)
    assert "1.jsonl.gz: is damaged or ends early" in said
    assert report_of(bundle, 1000)["install"] in installs(tmp_path / "s")
    counts = api.count_reports(tmp_path / "s")
    assert 20 < counts.reports < 201, "what stands before the damage"
    assert counts.refused == {}, "a line that was cut is of the damage"


def test_an_endless_line_is_refused_and_what_follows_is_read(bundle: Path, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "r.jsonl", b"[" * 200_000, report_of(bundle))
    result = ingest(tmp_path / "s", file, "--bundle", bundle)
    assert (result["new"], result["refused"]) == (1, {"invalid": 1})
    assert result["examples"]["invalid"].startswith(f"{file}:1: the report has")


def window_of(days: int) -> str:
    return find_window((datetime.now(UTC) + timedelta(days=days)).date())


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"profile": "9" * 64}, "unknown", "a profile that is not known here, 9999999999999999"),
        ({"bundle": "8" * 64}, "unknown", "a bundle that is not known here, 8888888888888888"),
        ({"latency": [136, 1]}, "bins", "latency has a count in cell 136"),
        ({"content": "7" * 64}, "bins", "an artifact that is not in the bundle"),
        ({"window": window_of(-50)}, "window", "more than 35 days from"),
        ({"window": window_of(45)}, "window", "more than 35 days from"),
        ({"window": "9999-W52"}, "window", "more than 35 days from"),
        ({"window": "0001-W01"}, "window", "more than 35 days from"),
        ({"window": "0000-W01"}, "invalid", "must be a week"),
        ({"n": 5000}, "invalid", "do not add up"),
        ({"install": "someone@example.com"}, "invalid", "install must be"),
        ({"schema": 3}, "invalid", "schema 3"),
    ],
)
def test_what_could_mislead_is_refused_with_the_reason(
    fields: dict[str, Any], reason: str, said: str, bundle: Path, store: str, tmp_path: Path
) -> None:
    result = ingest(store, write_lines(tmp_path / "r.jsonl", report_of(bundle, **fields)), "--bundle", bundle)
    assert (result["new"], result["refused"]) == (0, {reason: 1})
    assert said in result["examples"][reason]
    assert installs(store) == []


def test_the_bundle_that_a_report_names_is_known_by_its_manifest(bundle: Path, tmp_path: Path) -> None:
    report = report_of(bundle, bundle=digest.of_path(bundle / MANIFEST))
    assert ingest(tmp_path / "s", write_lines(tmp_path / "r.jsonl", report), "--bundle", bundle)["new"] == 1


def test_late_is_what_comes_after_its_window_was_closed(
    bundle: Path, new_store: Callable[[], str], tmp_path: Path
) -> None:
    monday = date(2026, 11, 2)
    file = write_lines(tmp_path / "r.jsonl", report_of(bundle, window=find_window(monday)))
    for days, late in ((13, 0), (14, 1), (41, 1)):
        received = monday + timedelta(days=days)
        store = new_store()
        result = ingest(store, file, "--bundle", bundle, "--received", received)
        assert (result["new"], result["late"]) == (1, late)
        (stored,) = api.read_reports(store, "2026-W45")
        assert (stored.late, stored.received) == (
            bool(late),
            datetime(*received.timetuple()[:3], tzinfo=UTC).timestamp(),
        )
    assert ingest(new_store(), file, "--bundle", bundle, "--received", "2026-12-14")["refused"] == {"window": 1}
    assert list(api.read_reports(store, "2026-W46")) == []


def test_an_inbox_remembers_its_bundles(bundle: Path, store: str, tmp_path: Path) -> None:
    other = write_bundle_with_profile(tmp_path / "other", 2)
    ingest(store, write_lines(tmp_path / "1.jsonl", report_of(bundle, 1)), "--bundle", bundle)
    both = write_lines(tmp_path / "2.jsonl", report_of(bundle, 2), report_of(other, 3))
    assert ingest(store, both)["refused"] == {"unknown": 1}
    assert ingest(store, both, "--bundle", other)["new"] == 1


def test_an_inbox_of_another_schema_is_refused(bundle: Path, store: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "r.jsonl", report_of(bundle))
    ingest(store, file, "--bundle", bundle)
    set_schema(store, SCHEMA + 1)
    assert f"an inbox of schema {SCHEMA + 1}, this edgeship reads {SCHEMA}" in refusal(store, file)


def test_a_file_of_others_is_refused(bundle: Path, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "r.jsonl", report_of(bundle))
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table orders(id)")
    assert "is no inbox of edgeship" in refusal(f"sqlite:///{tmp_path}/shop.db", file)
    (tmp_path / "text.db").write_text("no database at all " * 100)
    assert "is no inbox of edgeship" in refusal(f"sqlite:///{tmp_path}/text.db", file)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("mysql://me:secret@host/db", "no inbox can be there; name a folder, sqlite:///FILE, or postgresql:"),
        ("postgresql://me:secret@127.0.0.1:1/db", r"^postgresql://me@127\.0\.0\.1:1/db: no server answers there"),
        ("postgresql://me:secret@[/db", r"^postgresql://\.\.\.: no server answers there"),
        ("sqlite:///", "no file can be there"),
        ("", "no inbox can be there"),
    ],
)
def test_a_store_that_can_be_none_is_refused(store: str, said: str, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as error:
        api.ingest_reports([write_lines(tmp_path / "r.jsonl", report_of(bundle))], store=store, bundles=[bundle])
    assert "secret" not in str(error.value)


def test_what_is_not_there_is_refused(bundle: Path, store: str, tmp_path: Path) -> None:
    """And nothing is made, which a later command would take for an inbox."""
    file = write_lines(tmp_path / "r.jsonl", report_of(bundle))
    assert "knows no bundle yet" in refusal(store, file)
    assert "no such file" in refusal(store, tmp_path / "x.jsonl", "--bundle", bundle)
    assert "not a bundle" in refusal(store, file, "--bundle", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "holds no file of reports" in refusal(store, tmp_path / "empty", "--bundle", bundle)
    assert "is no day or time" in refusal(store, file, "--bundle", bundle, "--received", "yesterday")
    for call in (api.count_reports, api.read_reports):
        with pytest.raises(InputError, match="no inbox is there"):
            call(store)
    assert not is_there(store)
    assert "name the folder" in refusal(file, file, "--bundle", bundle)


@pytest.mark.parametrize("name", ["/proc/inbox", "/proc/1/inbox", "/dev/null/inbox", "sqlite:////proc/inbox.db"])
def test_where_nothing_can_be_written_it_is_said_in_a_sentence(name: str, bundle: Path, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "r.jsonl", report_of(bundle))
    assert refusal(name, file, "--bundle", bundle).startswith(name.removeprefix("sqlite:///"))


def test_two_processes_may_fill_one_inbox(bundle: Path, store: str, tmp_path: Path) -> None:
    files = [
        write_lines(tmp_path / f"{part}.jsonl", *(report_of(bundle, n) for n in range(part, 600, 3)))
        for part in range(3)
    ]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda file: api.ingest_reports([file], store=store, bundles=[bundle]), files * 2))
    assert sum(result.new for result in results) == sum(result.duplicates for result in results) == 600
    assert len(installs(store)) == 600

"""What only a server can do to an inbox: start again, be used by several machines, refuse rights, hold something else."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeship import api
from edgeship.cli.monitoring.monitor import monitor
from edgeship.errors import InputError, MissingDependencyError
from edgeship.monitoring.inbox.database import StoreError
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.inbox.place import parse_store
from tests.monitoring.drift.small_field import fill_inbox, make_field, make_reports, window_of
from tests.monitoring.inbox.samples import mix_traffic, report_of, to_line
from tests.monitoring.inbox.stores import ask_store
from tests.monitoring.inbox.test_collect import Sender, collecting
from tests.monitoring.inbox.test_inbox import arrival
from tests.monitoring.inbox.test_interrupted import Clients, KilledServer
from tests.postgres_server import PostgresServer

DATABASE = "edgeship.monitoring.inbox.postgres_database"


@pytest.fixture
def address(server: PostgresServer) -> str:
    """Of a new, empty database."""
    return server.make_database()


def test_without_its_driver_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    monkeypatch.delitem(sys.modules, DATABASE, raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgeship\[monitor-postgres\]'"):
        api.count_reports("postgresql://me:secret@127.0.0.1:1/db")


def test_our_options_give_way_to_the_users() -> None:
    from edgeship.monitoring.inbox.postgres_database import _add_options

    assert _add_options("postgresql://h/d").startswith("postgresql://h/d?connect_timeout=10&")
    own = _add_options("postgresql://h/d?connect_timeout=3&sslmode=require")
    assert own.startswith("postgresql://h/d?connect_timeout=3&sslmode=require&keepalives_idle=10&")
    assert own.count("connect_timeout") == 1


@pytest.mark.more
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_starts_again_loses_nothing(
    mode: str, bundle: Path, address: str, server: PostgresServer
) -> None:
    lines, good, kinds = mix_traffic(bundle, 600, 7)
    collector = KilledServer(address, bundle)
    clients = Clients(collector, lines)
    for number in (1, 2, 3):
        clients.wait(lambda number=number: len(clients.answered) >= number * 150)  # type: ignore[misc]
        taken = clients.taken()
        server.stop(mode)
        before = clients.refused
        clients.wait(lambda before=before: clients.refused > before)  # type: ignore[misc]
        server.start()
        assert taken & good <= {item.report.install for item in api.read_reports(address)}, "what was taken is there"
    clients.wait(lambda: len(clients.answered) == len(lines))
    assert Sender(collector.url).ask("GET", "/health")[0] == 200
    collector.stop()
    assert sorted(item.report.install for item in api.read_reports(address)) == sorted(good)
    assert api.count_reports(address).conflicts == kinds["forged"]


@pytest.mark.more
def test_several_collectors_share_an_inbox(bundle: Path, address: str) -> None:
    """The two copies of a forged report may come to two of them."""
    lines, good, kinds = mix_traffic(bundle, 600, 8)
    collectors = [KilledServer(address, bundle) for _ in range(2)]
    parts = [Clients(collector, lines[at::2]) for at, collector in enumerate(collectors)]
    for clients in parts:
        clients.wait(lambda clients=clients: len(clients.answered) == clients.count)  # type: ignore[misc]
    for collector in collectors:
        collector.stop()
    assert sorted(item.report.install for item in api.read_reports(address)) == sorted(good)
    counts = api.count_reports(address)
    assert counts.conflicts == kinds["forged"]
    assert sum(counts.refused.values()) == sum(kinds[key] for key in ("truncated", "sums", "unknown", "bins", "window"))


@pytest.mark.more
def test_many_that_begin_an_inbox_at_once_begin_one(address: str) -> None:
    failures: list[BaseException] = []

    def begin(number: int) -> None:
        try:
            with Inbox(parse_store(address), create=True) as inbox:
                inbox.add([arrival(number, 0), arrival(99, 0)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert api.count_reports(address).reports == 7


@pytest.mark.more
def test_a_collector_without_a_pulse_keeps_nobody_out(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lost power inside of a transaction: the server ends it."""
    monkeypatch.setattr(f"{DATABASE}.SETTINGS", settings_of("60s", "200ms"))
    with Inbox(parse_store(address), create=True) as silent, Inbox(parse_store(address)) as other:
        with pytest.raises(StoreError, match="no server answers there"):
            fall_silent(silent, other)
        assert silent.add([arrival(2, 0), arrival(1, 0)]) == ["new", "duplicate"]


def fall_silent(silent: Inbox, other: Inbox) -> None:
    with silent._database.transaction():
        assert other.add([arrival(1, 0)]) == ["new"]
        silent._database.run("select 1")


@pytest.mark.more
def test_who_writes_for_too_long_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{DATABASE}.SETTINGS", settings_of("50ms", "60s"))
    with Inbox(parse_store(address), create=True) as first, Inbox(parse_store(address)) as other:
        with first._database.transaction(), pytest.raises(StoreError, match="another process writes for too long"):
            other.add([arrival(1, 0)])
        assert other.add([arrival(1, 0)]) == ["new"]


def settings_of(lock: str, silence: str) -> str:
    from edgeship.monitoring.inbox.postgres_database import SETTINGS

    first, _, rest = SETTINGS.partition("'30s'")
    return f"{first}'{lock}'{rest.replace('30s', silence)}"


@pytest.mark.more
def test_a_full_disk_of_the_server_is_told_and_asked_again(bundle: Path, address: str) -> None:
    """The server says so by a code, which a trigger says here."""
    with collecting(address, bundle) as url:
        sender = Sender(url)
        assert sender.post(report_of(bundle, 1))[0] == 201
        ask_store(
            address,
            "create function fill() returns trigger language plpgsql as "
            "$$begin raise exception using errcode = '53100', message = 'could not extend file'; end$$",
            "create trigger fill before insert on report for each row execute function fill()",
        )
        status, answer = sender.post(report_of(bundle, 2))
        assert (status, answer["reason"], sender.headers["retry-after"]) == (503, "store", "60")
        with (
            Inbox(parse_store(address)) as inbox,
            pytest.raises(StoreError, match=r"no room on its disk .*could not extend file"),
        ):
            inbox.add([arrival(1, 0)], {"bins": 1})
        assert api.count_reports(address).refused == {}
        ask_store(address, "drop trigger fill on report")
        assert sender.post(report_of(bundle, 2))[0] == 201


@pytest.mark.more
def test_rights_that_are_missing_are_told(bundle: Path, address: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(to_line(report_of(bundle, 1)))

    def ingest(store: str) -> int:
        return api.ingest_reports([tmp_path / "r.jsonl"], store=store, bundles=[bundle]).new

    ask_store(address, "create role guest login", "create role reader login")
    guest, reader = (address.replace("postgres@", f"{name}@") for name in ("guest", "reader"))
    with pytest.raises(InputError, match=r"has no right to \(.*permission denied for database"):
        ingest(guest)
    assert ingest(address) == 1
    for call in (ingest, api.count_reports):
        with pytest.raises(InputError, match=r"has no right to \(.*permission denied for schema edgeship_inbox"):
            call(guest)
    for right in ("usage on schema", "select on all tables in schema"):
        ask_store(address, f"grant {right} edgeship_inbox to reader")
    assert [item.report.install for item in api.read_reports(reader)] == [report_of(bundle, 1)["install"]]
    assert api.export_reports(tmp_path / "r.parquet", store=reader, to="parquet") == 1
    with pytest.raises(InputError, match=r"has no right to \(.*permission denied"):
        ingest(reader)


@pytest.mark.more
def test_a_schema_that_an_administrator_made_is_filled(bundle: Path, address: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(to_line(report_of(bundle, 1)))
    ask_store(address, "create role keeper login", "create schema edgeship_inbox authorization keeper")
    keeper = address.replace("postgres@", "keeper@")
    assert api.ingest_reports([tmp_path / "r.jsonl"], store=keeper, bundles=[bundle]).new == 1


@pytest.mark.more
def test_a_database_that_holds_something_else_stays_as_it_is(bundle: Path, address: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(to_line(report_of(bundle, 1)))
    ask_store(address, "create table public.report(id int)", "create schema edgeship_inbox")
    ask_store(address, "create table edgeship_inbox.inbox(letter text)")
    with pytest.raises(InputError, match="its schema edgeship_inbox is no inbox of edgeship"):
        api.ingest_reports([tmp_path / "r.jsonl"], store=address, bundles=[bundle])
    ask_store(address, "drop table edgeship_inbox.inbox")
    assert api.ingest_reports([tmp_path / "r.jsonl"], store=address, bundles=[bundle]).new == 1
    assert ask_store(address, "select count(*) from public.report") == [(0,)]


@pytest.mark.more
def test_isolation_and_durability_do_not_hang_on_the_databases_defaults(
    address: str,
) -> None:
    name = address.rpartition("/")[2]
    ask_store(
        address,
        f"alter database {name} set default_transaction_isolation = 'serializable'",
        f"alter database {name} set synchronous_commit = off",
    )
    with Inbox(parse_store(address), create=True) as first, Inbox(parse_store(address)) as second:
        for number in range(20):
            assert first.add([arrival(number, 0)]) == ["new"]
            assert second.add([arrival(number, 0)]) == ["duplicate"]
        with first._database.transaction():
            assert first._database.run("select current_setting('synchronous_commit')") == [("on",)]
            assert first._database.run("select current_setting('transaction_isolation')") == [("read committed",)]


@pytest.mark.more
def test_drift_and_report_say_the_same_of_both_stores(address: str, tmp_path: Path) -> None:
    field = make_field()
    weeks = {week: make_reports(field, week, 60, noise=6 if week == 5 else 0, outcomes=0.3) for week in range(6)}
    found: list[list[object]] = []
    for store in (str(tmp_path / "inbox"), address):
        fill_inbox(field, store, weeks)
        fill_inbox(field, store, {4: make_reports(field, 4, 7, seed=1)}, days_late=10)
        options = (["drift", "--window", window_of(5)], ["report"])
        done = [CliRunner().invoke(monitor, [*words, "--store", store, "--json", "-"]) for words in options]
        found.append([(item.exit_code, json.loads(item.stdout)) for item in done])
    assert found[0] == found[1]
    assert found[0][0][1]["verdict"] == "ALARM"  # type: ignore[index]

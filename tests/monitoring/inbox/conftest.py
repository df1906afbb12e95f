from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from edgeship import api
from tests.monitoring.inbox.samples import Json, report_of, to_line, write_bundle_with_profile
from tests.monitoring.inbox.stores import WEEKS
from tests.postgres_server import PostgresServer, run_server


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle_with_profile(tmp_path_factory.mktemp("reported") / "bundle")


@pytest.fixture(scope="session")
def server(missing: Callable[[str], NoReturn]) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run."""
    with run_server(missing) as opened:
        yield opened


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.more)])
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """`new_store()`: what names a store that is not there yet, of each kind in turn."""
    if request.param == "sqlite":
        return lambda: str(tmp_path_factory.mktemp("store") / "inbox")
    opened: PostgresServer = request.getfixturevalue("server")
    return opened.make_database


@pytest.fixture
def store(new_store: Callable[[], str]) -> str:
    """A store that is not there yet."""
    return new_store()


@pytest.fixture(scope="session")
def reports(bundle: Path) -> list[Json]:
    """Of two weeks."""
    arms = {"exp-7": "b"}
    return [report_of(bundle, number, window=WEEKS[number % 2], arms=arms, sequence=number) for number in range(30)]


@pytest.fixture(scope="session")
def filled_store(
    bundle: Path, reports: list[Json], new_store: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A store that holds these reports, and is only read."""
    file, store = tmp_path_factory.mktemp("exported") / "r.jsonl", new_store()
    file.write_bytes(b"\n".join(map(to_line, reports)))
    assert api.ingest_reports([file], store=store, bundles=[bundle], received="2026-11-20").new == 30
    return store

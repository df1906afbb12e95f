"""PostgreSQL by a watermark, with a server."""

from __future__ import annotations

import pytest
from adbc_driver_postgresql import dbapi

from tests.learning.stream.conftest import make_rows

WAITING = ("--interval", 1000)
QUERY = "select id, image, label, seen from visits where label is not null"


def insert(address, table, stamps):
    with dbapi.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("create table if not exists visits (id text, image int[], label text, seen timestamptz)")
        for key, image, label, seen in zip(*table.values(), stamps, strict=True):
            numbers = ",".join(map(str, image))
            text = f"insert into visits values ('{key}', '{{{numbers}}}', nullif('{label}', ''), '{seen}')"
            cursor.execute(text)


def test_rows_are_read_from_the_watermark_on(postgres, stream):
    address = postgres.make_database()
    table = make_rows(60, 5).to_pydict()
    stamps = [f"2026-11-29 10:00:{number // 4:02}.000001+00" for number in range(60)]
    insert(address, table, stamps)
    asked = ["--query", QUERY, "--watermark", "seen", *WAITING]
    result = stream(address, *asked)
    assert result["share"]["rows"] == 60 and result["share"]["accuracy"] > 0.9
    late = make_rows(3, 6, first=100).to_pydict()
    late["label"][1] = ""  # it has no label yet, and is not in the query
    insert(address, late, [stamps[-1], stamps[-1], "2026-11-29 10:01:00+00"])
    result = stream(address, *asked)
    assert result["share"]["rows"] == 62 and result["counts"]["repeated"] == 0
    assert stream(address, *asked)["share"]["rows"] == 62
    insert(address, {**make_rows(1, 7, first=200).to_pydict(), "label": ["up"]}, ["2026-11-29 11:00:00+00"])
    stream(address, *asked, code=2, says="seen 2026-11-29 11:00:00+00, key row-200: key row-200 label 'up' is no class")


def test_what_is_wrong_is_said(postgres, stream):
    address = postgres.make_database()
    insert(address, make_rows(2, 5).to_pydict(), ["2026-11-29", "2026-11-30"])
    stream(address, "--query", QUERY, *WAITING, code=2, says="--watermark must name the column")
    stream(address, "--query", QUERY, "--watermark", "seq", code=2, says="no column seq (--watermark)")
    stream(address, "--query", "select", "--watermark", "seen", code=2, says="no column seen")
    gone = "postgresql://me:secret@127.0.0.1:1/none"
    stream(gone, "--query", QUERY, "--watermark", "seen", code=2, says="its rows cannot be read")


@pytest.fixture(autouse=True)
def _no_password(capsys):
    yield
    assert "secret" not in "".join(capsys.readouterr())

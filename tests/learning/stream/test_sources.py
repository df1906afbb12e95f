"""Where a stream's rows come from: whatever comes, and whenever, each row is given once and in one order."""

from __future__ import annotations

import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeship.errors import InputError
from edgeship.learning.stream.sources.files import GrowingFiles
from edgeship.learning.stream.sources.sqlite_table import SqliteRows
from edgeship.learning.stream.sources.watermark import Watermark
from edgeship.tables.database import find_database


def columns(names):
    assert {"id", "value"} <= set(names)
    return ["id", "value"]


def write(path, first, count):
    ids = [f"{path.stem}{number}" for number in range(first, first + count)]
    pq.write_table(pa.table({"other": [0] * count, "id": ids, "value": list(range(count))}), path, row_group_size=7)


def open_database(folder):
    found = find_database(f"sqlite:///{folder}/rows.db")
    assert found is not None
    return found


def fetch(source, position, count):
    fetched = source.fetch(position, count)
    assert fetched is not None
    return fetched


def read_all(source, position=None, size=5):
    """The keys that come, and the position after them; each fetch is forgotten but for its position."""
    keys = []
    while (fetched := source.fetch(position, size)) is not None:
        taken = max(1, len(fetched) - 1)  # the last is left, and comes again
        keys += fetched.rows.column("id").to_pylist()[:taken]
        position = fetched.position_after(taken)
    return keys, position


def test_a_folder_grows(tmp_path):
    write(tmp_path / "b.parquet", 0, 20)
    source = GrowingFiles(str(tmp_path), columns)
    keys, position = read_all(source)
    assert keys == [f"b{number}" for number in range(20)] and position == {"b.parquet": 20}
    write(tmp_path / "a.parquet", 0, 3)  # late, although its name is the first
    write(tmp_path / "_c.parquet", 0, 3)  # being written
    write(tmp_path / "d.parquet", 0, 2)
    keys, position = read_all(source, position)
    assert keys == ["a0", "a1", "a2", "d0", "d1"]
    keys, _ = read_all(GrowingFiles(str(tmp_path), columns), {"b.parquet": 17, "a.parquet": 3})
    assert keys == ["b17", "b18", "b19", "d0", "d1"]
    write(tmp_path / "b.parquet", 0, 4)
    with pytest.raises(InputError, match="has 4 rows, and 20 were taken of it before"):
        source.fetch(position, 5)


def test_a_file_without_a_column_is_refused(tmp_path):
    write(tmp_path / "a.parquet", 0, 2)
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "b.parquet")
    source = GrowingFiles(str(tmp_path), columns)
    with pytest.raises(InputError, match=r"b\.parquet: no column value; it has id"):
        read_all(source)
    (tmp_path / "c.parquet").write_bytes(b"half of it")
    with pytest.raises(InputError, match=r"c\.parquet: cannot be read"):
        read_all(source, {"a.parquet": 2, "b.parquet": 1})


def test_rows_of_a_csv_that_cannot_be_read_are_told(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"id,value\na,1\nb\nc,\xff\nd,\n\xc3\xa9,5\n")
    source = GrowingFiles(str(file), columns)
    fetched = fetch(source, None, 10)
    assert fetched.faults == ["", "has 1 fields, not 2", "is no UTF-8", "", ""]
    assert fetched.rows.to_pydict() == {"id": ["a", None, None, "d", "é"], "value": ["1", None, None, None, "5"]}
    assert fetched.places[1] == "rows.csv row 2"
    with file.open("a") as more:
        more.write("f,6\n")
    assert fetch(source, fetched.position_after(5), 10).rows.to_pydict() == {"id": ["f"], "value": ["6"]}


def test_a_table_is_read_by_its_watermark(tmp_path):
    database = sqlite3.connect(tmp_path / "rows.db")
    database.execute("create table seen (id text, value real, seq integer)")
    database.executemany("insert into seen values (?, ?, ?)", [(f"k{n}", n / 3, n // 4) for n in range(20)])
    database.execute("insert into seen values ('later', 1, null)")
    database.commit()
    source = SqliteRows(open_database(tmp_path), "select * from seen", "seq", columns)
    keys, position = read_all(source)
    assert keys == sorted((f"k{n}" for n in range(20)), key=lambda key: (int(key[1:]) // 4, key))
    # One that has the same value as the last comes afterwards, and so does one that had none.
    database.execute("insert into seen values ('a-late-one', 2, 4)")
    database.execute("update seen set seq = 5 where id = 'later'")
    database.commit()
    fetched = fetch(source, position, 10)
    assert fetched.rows.column("id").to_pylist() == ["a-late-one", "later"]
    assert fetched.places[0] == "seq 4, key a-late-one"
    first = fetch(source, None, 2).rows.column("value").to_pylist()
    assert [float(text) for text in first] == [0.0, 1 / 3]  # to the last digit
    database.close()
    with pytest.raises(InputError, match="no column when \\(--watermark\\); it has id, value, seq"):
        SqliteRows(open_database(tmp_path), "select * from seen", "when", columns)
    with pytest.raises(InputError, match="the query cannot be run"):
        SqliteRows(open_database(tmp_path), "select * from nothing", "seq", columns)


def test_a_watermark_knows_what_was_taken_at_it():
    first = Watermark.after(None, [(1, "a"), (2, "b"), (2, "c")])
    assert first == {"value": 2, "keys": ["b", "c"]}
    assert Watermark.after(Watermark.read(first), [(2, "d")]) == {"value": 2, "keys": ["b", "c", "d"]}
    assert Watermark.after(Watermark.read(first), [(3, "d")]) == {"value": 3, "keys": ["d"]}
    assert Watermark.after(Watermark.read(first), []) == first

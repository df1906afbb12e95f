"""Tables: what is inferred of them, what data.toml sets right, and rows in typed batches."""

import datetime
import math
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeship.errors import InputError, MissingDependencyError
from edgeship.tables import reading
from edgeship.tables.inference import read_schema
from edgeship.tables.number_summary import NumberSummary
from edgeship.tables.reading import iterate_batches
from edgeship.tables.schema_file import FILE, read_schema_file, write_schema

HEAD = "age,zip,city,ok,day,note,score,none\n"


def write_table(path, rows=60):
    """A table of every kind, with gaps."""
    cities = ("Bern", "Ulm", "")
    lines = [
        f"{i if i % 7 else ''},{i:05d},{cities[i % 3]},{('false', 'TRUE')[i % 2]},2026-01-{i % 28 + 1:02d},note {i},{i % 3},NA"
        for i in range(rows)
    ]
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return path


def statistics_of(schema, name):
    statistics = schema.column(name).statistics
    assert statistics is not None
    return statistics


def rows_of(path, schema, columns=None):
    batches = list(iterate_batches(path, schema, columns))
    return pa.Table.from_batches(batches).to_pydict()


def test_kinds_and_counts_of_a_csv(tmp_path):
    schema = read_schema(write_table(tmp_path / "d.csv"))
    assert schema.rows == 60
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds == {
        **{"age": "number", "zip": "text", "city": "category", "ok": "boolean", "day": "date", "note": "text"},
        **{"score": "number", "none": "ignored"},
    }
    age = schema.column("age")
    found = statistics_of(schema, "age")
    values = np.array([i for i in range(60) if i % 7])
    assert (age.missing, age.distinct) == (9, 51)
    assert (found.minimum, found.maximum, found.whole) == (1, 59, True)
    assert found.median == np.median(values)
    assert found.deviation == pytest.approx(values.std())
    assert schema.column("city").categories == ("Bern", "Ulm")
    assert schema.column("city").counts == (20, 20)
    assert schema.column("none").missing == 60
    assert schema.find_task("score") == schema.find_task("city") == schema.find_task("ok") == "classification"
    assert schema.find_task("age") == "regression"


def test_batches_are_typed(tmp_path):
    path = write_table(tmp_path / "d.csv")
    rows = rows_of(path, read_schema(path))
    assert "none" not in rows
    assert rows["age"][:3] == [None, 1.0, 2.0]
    assert rows["zip"][1] == "00001"
    assert rows["city"][:3] == ["Bern", "Ulm", None]
    assert rows["ok"][:2] == [False, True]
    assert rows["day"][0] == datetime.datetime(2026, 1, 1)
    assert list(rows_of(path, read_schema(path), ["note", "age"])) == ["age", "note"]


def test_parquet_has_the_same_schema(tmp_path):
    path = write_table(tmp_path / "d.csv")
    schema = read_schema(path)
    table = pa.Table.from_batches(list(iterate_batches(path, schema)))
    table = table.append_column("nan", pa.array([math.nan] * 30 + [1.5] * 30))
    table = table.append_column("small", pa.array(np.array([1.5, math.nan] * 30, "float16")))
    table = table.append_column("named", table["city"].dictionary_encode())
    pq.write_table(table, tmp_path / "d.parquet")
    other = read_schema(tmp_path / "d.parquet")
    assert other.column("small").kind == "number"
    assert other.columns[:7] == schema.columns[:7]
    assert other.column("nan").missing == 30
    assert other.column("named").categories == ("Bern", "Ulm")
    assert rows_of(tmp_path / "d.parquet", other)["nan"][0] is None


def test_data_toml_wins(tmp_path):
    path = write_table(tmp_path / "d.csv")
    write_schema(tmp_path / FILE, "d.csv", read_schema(path))
    assert read_schema(path) == read_schema(path)
    text = (tmp_path / FILE).read_text()
    text = text.replace('[column.zip]\nkind = "text"', '[column.zip]\nkind = "number"')
    text = text.replace("missing_values = []", 'missing_values = ["Ulm"]').replace("# task = ", "task = ")
    (tmp_path / FILE).write_text(text)
    schema = read_schema(path)
    assert statistics_of(schema, "zip").maximum == 59
    assert schema.column("city").missing == 40
    assert schema.find_task("score") == "regression"
    write_table(tmp_path / "other.csv")
    assert read_schema(tmp_path / "other.csv").column("zip").kind == "text"  # data.toml is about d.csv
    assert read_schema_file(tmp_path / FILE).file == "d.csv"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty, it holds no row"),
        ("a,b\n", "empty, it holds no row"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,b\n1,2,3\n", "a row has 3 fields, the header has 2"),
    ],
)
def test_no_table(tmp_path, text, sentence):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_schema(tmp_path / "d.csv")


def test_bad_files(tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"a,b\n1,\xe4\n2,\xe4\n")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_schema(tmp_path / "latin.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"bad\.parquet: cannot be read as a table"):
        read_schema(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="no such file"):
        read_schema(tmp_path / "missing.csv")
    pq.write_table(pa.table({"a": [[1], [2]]}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=r"column 'a' holds list.*ignored"):
        read_schema(tmp_path / "list.parquet")
    (tmp_path / FILE).write_text('file = "list.parquet"\n[column.a]\nkind = "ignored"\n')
    assert read_schema(tmp_path / "list.parquet").column("a").kind == "ignored"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file = 3", "file must be a string"),
        ("", "no file"),
        ('file = "d.csv"\nkinds = 1', "unknown key 'kinds'"),
        ('file = "d.csv"\n[column.age]\nkind = "int"', "unknown kind 'int'"),
        ('file = "d.csv"\n[column.agee]\nkind = "number"', "is no column of d.csv"),
        ('file = "d.csv"\n[column.city]\nkind = "number"', "stated as number in data.toml, and holds 'Bern'"),
        ('file = "d.csv"\ntask = "guess"', "unknown task"),
        ('file = "d.csv"\ndelimiter = ",,"', "must be one character"),
        ('file = "d.csv"\nmissing_values = "?"', "must be a list"),
    ],
)
def test_bad_data_toml(tmp_path, text, sentence):
    write_table(tmp_path / "d.csv")
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_schema(tmp_path / "d.csv")


def test_text_where_numbers_were(tmp_path):
    schema = read_schema(write_table(tmp_path / "d.csv"))
    (tmp_path / "e.csv").write_text((tmp_path / "d.csv").read_text().replace("\n4,", "\nfour,"))
    with pytest.raises(InputError, match=r"e\.csv: column 'age' is a number, and row 6 holds 'four'"):
        list(iterate_batches(tmp_path / "e.csv", schema))
    pq.write_table(pa.table({"age": ["1", "x"]}), tmp_path / "e.parquet")
    with pytest.raises(InputError, match=r"row 2 holds 'x'"):
        list(iterate_batches(tmp_path / "e.parquet", schema, ["age"]))
    with pytest.raises(InputError, match="no column 'city', which the schema has"):
        list(iterate_batches(tmp_path / "e.parquet", schema, ["age", "city"]))


def test_no_such_column_lists_columns(tmp_path):
    schema = read_schema(write_table(tmp_path / "d.csv"))
    with pytest.raises(InputError, match="no column 'bought'; there are: age, zip, city"):
        schema.column("bought")
    for label, sentence in {"note": "is text", "none": "every value is missing", "day": "is a date"}.items():
        with pytest.raises(InputError, match=sentence):
            schema.find_task(label)


def test_delimiters_blanks_quotes_and_zones(tmp_path):
    text = 'a;b;"c;d"\n 1;"x\ny";2026-01-01T10:00Z\n2 ;"x\ny";2026-01-01T10:00+02:00\n'
    (tmp_path / "d.csv").write_text("\ufeff" + text, encoding="utf-8")
    schema = read_schema(tmp_path / "d.csv")
    assert (schema.delimiter, [column.name for column in schema.columns]) == (";", ["a", "b", "c;d"])
    rows = rows_of(tmp_path / "d.csv", schema)
    assert rows["a"] == [1, 2]
    assert rows["b"] == ["x\ny", "x\ny"]
    assert [value.hour for value in rows["c;d"]] == [10, 8]


def test_kinds_hold_beyond_the_first_block(tmp_path, monkeypatch):
    """A column that begins with numbers and goes on with text is text, wherever it turns."""
    monkeypatch.setattr(reading, "BLOCK", 4096)
    lines = [f"{i if i < 5000 else 'x'},{i}" for i in range(6000)]
    (tmp_path / "d.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    schema = read_schema(tmp_path / "d.csv")
    assert (schema.column("a").kind, schema.column("b").kind) == ("text", "number")
    assert statistics_of(schema, "b").mean == pytest.approx(2999.5)
    assert len(rows_of(tmp_path / "d.csv", schema)["b"]) == 6000


def test_statistics_of_parts_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(1e6, 3, 250_001)
    summary = NumberSummary()
    for part in np.array_split(values, 37):
        summary.add(part)
    summary.add(np.array([math.inf]))
    result = summary.describe()
    assert result is not None
    assert (result.minimum, result.maximum, result.infinite) == (values.min(), values.max(), 1)
    assert result.mean == pytest.approx(values.mean(), rel=1e-12)
    assert result.deviation == pytest.approx(values.std(), rel=1e-9)
    assert result.median == pytest.approx(np.median(values), abs=0.05)


def test_statistics_of_numbers_whose_squares_are_beyond_floats(tmp_path):
    (tmp_path / "d.csv").write_text("a\n1e300\n-3e300\n5e299\n")
    assert statistics_of(read_schema(tmp_path / "d.csv"), "a").deviation == math.inf
    summary = NumberSummary()
    for value in (1.5e300, -3e300):
        summary.add(np.array([value]))
    result = summary.describe()
    assert result is not None
    assert (result.minimum, result.deviation) == (-3e300, math.inf)
    assert result.mean == pytest.approx(-7.5e299)


def test_without_pyarrow_a_sentence_says_what_installs_it(tmp_path, monkeypatch):
    path = write_table(tmp_path / "d.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgeship\[data\]'"):
        read_schema(path)

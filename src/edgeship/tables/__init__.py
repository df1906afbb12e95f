"""Tables, as CSV or Parquet. Nothing is loaded whole.

`inference.read_schema` gives a table's schema, `schema_file` is its `data.toml`, `reading.iterate_batches` gives its rows.
"""

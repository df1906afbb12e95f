"""Sources of samples: tables, pictures, recordings, windows of a long table, arrays; `source` says which reader takes which."""

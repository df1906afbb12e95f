"""Tables: their schema, and their rows in batches."""

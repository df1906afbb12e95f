"""Client or server: what the same model costs, how late it answers and what it gives away, as either."""

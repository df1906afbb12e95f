"""Child processes: how one is started, what it is given, and how arrays and calls reach it."""

"""Built-in tasks that are learned as a person's own data is: a table of flights, and spoken digits."""

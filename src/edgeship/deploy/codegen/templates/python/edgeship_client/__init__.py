"""Client code for one model; the README beside this package says how it is used."""

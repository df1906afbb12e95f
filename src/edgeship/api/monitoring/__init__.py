"""Functions for what happens after a model shipped."""

"""Functions for a person's own data: what it is like, and a model from it."""

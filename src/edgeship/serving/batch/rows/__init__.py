"""Rows of a source as inputs of a model, and its answers as columns."""

"""Operators that a converter does not take, written as others that it does."""

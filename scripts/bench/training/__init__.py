"""Benches of training on own data."""

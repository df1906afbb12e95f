"""Benches of learning again."""

"""Requests of the protocol as arrays, and arrays as answers."""

"""Signatures: keys, and what they say of a bundle (DSSE over an in-toto statement)."""

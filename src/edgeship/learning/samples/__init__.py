"""Samples from the field, their labels, and what tells two of them apart."""

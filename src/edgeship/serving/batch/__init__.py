"""Batch prediction: rows of a source through an artifact of a bundle into a table, once each, whatever interrupts it."""

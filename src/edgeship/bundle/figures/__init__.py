"""Figures of artifacts as a manifest holds them: measurements, what devices tell, and comparisons with the server model."""

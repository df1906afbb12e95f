"""Servers as runtimes: what starts their workers, and a network between."""

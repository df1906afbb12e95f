"""Tuning: configurations of network and training, tried on validation samples, of which the best is taken."""

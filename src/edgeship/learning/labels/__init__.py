"""Which samples to label, and the labelling."""

"""The model card as a page with pictures: curves, failures, and what a search tried."""
